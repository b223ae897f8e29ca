// A member of a memberlist cluster with the settings that the Go wesher uses, driven through its
// standard input: one command a line, one JSON object a line in answer or when something happens.
// It ends, without a farewell, when its input does.
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

type object map[string]interface{}

var output sync.Mutex

func tell(what object) {
	output.Lock()
	defer output.Unlock()
	line, err := json.Marshal(what)
	check(err)
	fmt.Println(string(line))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "gomember:", err)
		os.Exit(1)
	}
}

func text(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

// How the Go wesher describes a node: master and v0.3, and before that v0.2.

func encodeCurrent(address, key string) []byte {
	type nodeMeta struct {
		OverlayAddr netip.Addr
		PubKey      string
	}
	return encode(nodeMeta{netip.MustParseAddr(address), key})
}

func encodeOld(address, key string) []byte {
	type nodeMeta struct {
		OverlayAddr net.IPNet
		PubKey      string
	}
	ip := net.ParseIP(address)
	if short := ip.To4(); short != nil {
		ip = short
	}
	whole := net.CIDRMask(8*len(ip), 8*len(ip))
	return encode(nodeMeta{net.IPNet{IP: ip, Mask: whole}, key})
}

func encode(meta interface{}) []byte {
	var buffer bytes.Buffer
	check(gob.NewEncoder(&buffer).Encode(meta))
	return buffer.Bytes()
}

func decodeCurrent(data []byte) object {
	type nodeMeta struct {
		OverlayAddr netip.Addr
		PubKey      string
	}
	var meta nodeMeta
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&meta); err != nil {
		return object{"error": err.Error()}
	}
	return object{"address": meta.OverlayAddr.String(), "key": meta.PubKey}
}

func decodeOld(data []byte) object {
	type nodeMeta struct {
		OverlayAddr net.IPNet
		PubKey      string
	}
	var meta nodeMeta
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&meta); err != nil {
		return object{"error": err.Error()}
	}
	return object{"address": meta.OverlayAddr.String(), "key": meta.PubKey}
}

func describe(node *memberlist.Node) object {
	return object{
		"name": node.Name, "ip": node.Addr.String(), "port": node.Port,
		"addr": hex.EncodeToString(node.Addr), "meta": hex.EncodeToString(node.Meta),
		"current": decodeCurrent(node.Meta), "v0.2": decodeOld(node.Meta),
		"delegate": []int{int(node.DMin), int(node.DMax), int(node.DCur)},
	}
}

// Delegates.

type delegate struct {
	mutex      sync.Mutex
	meta       []byte
	state      []byte
	broadcasts [][]byte
}

func (d *delegate) NodeMeta(limit int) []byte {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.meta
}

func (d *delegate) NotifyMsg(data []byte) {
	tell(object{"event": "user", "data": hex.EncodeToString(data)})
}

func (d *delegate) GetBroadcasts(overhead, limit int) [][]byte {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	taken := d.broadcasts
	d.broadcasts = nil
	return taken
}

func (d *delegate) LocalState(join bool) []byte {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.state
}

func (d *delegate) MergeRemoteState(data []byte, join bool) {
	tell(object{"event": "state", "data": hex.EncodeToString(data), "join": join})
}

func (d *delegate) NotifyJoin(node *memberlist.Node)   { happened("join", node) }
func (d *delegate) NotifyLeave(node *memberlist.Node)  { happened("leave", node) }
func (d *delegate) NotifyUpdate(node *memberlist.Node) { happened("update", node) }

func happened(event string, node *memberlist.Node) {
	description := describe(node)
	description["event"] = event
	tell(description)
}

func (d *delegate) NotifyConflict(known, other *memberlist.Node) {
	tell(object{"event": "conflict", "name": known.Name, "known": describe(known), "other": describe(other)})
}

// Commands.

type member struct {
	list     *memberlist.Memberlist
	delegate *delegate
}

func (m *member) publish(meta []byte) error {
	m.delegate.mutex.Lock()
	m.delegate.meta = meta
	m.delegate.mutex.Unlock()
	return m.list.UpdateNode(10 * time.Second)
}

func (m *member) find(name string) *memberlist.Node {
	for _, node := range m.list.Members() {
		if node.Name == name {
			return node
		}
	}
	check(fmt.Errorf("no member %q", name))
	return nil
}

func bytesOf(word string) []byte {
	data, err := hex.DecodeString(word)
	check(err)
	return data
}

func (m *member) do(words []string) {
	answer := object{"event": "done", "command": words[0]}
	switch words[0] {
	case "members":
		nodes := []object{}
		for _, node := range m.list.Members() {
			nodes = append(nodes, describe(node))
		}
		answer["members"] = nodes
	case "health":
		answer["health"] = m.list.GetHealthScore()
	case "join":
		count, err := m.list.Join(words[1:])
		answer["count"], answer["error"] = count, text(err)
	case "leave":
		answer["error"] = text(m.list.Leave(10 * time.Second))
	case "meta":
		answer["error"] = text(m.publish(bytesOf(words[1])))
	case "gob":
		encoders := map[string]func(string, string) []byte{"current": encodeCurrent, "v0.2": encodeOld}
		answer["error"] = text(m.publish(encoders[words[1]](words[2], words[3])))
	case "userstate":
		m.delegate.mutex.Lock()
		m.delegate.state = bytesOf(words[1])
		m.delegate.mutex.Unlock()
	case "packet":
		answer["error"] = text(m.list.SendBestEffort(m.find(words[1]), bytesOf(words[2])))
	case "stream":
		answer["error"] = text(m.list.SendReliable(m.find(words[1]), bytesOf(words[2])))
	case "broadcast":
		m.delegate.mutex.Lock()
		m.delegate.broadcasts = append(m.delegate.broadcasts, bytesOf(words[1]))
		m.delegate.mutex.Unlock()
	case "ping":
		node := m.find(words[1])
		address := &net.UDPAddr{IP: node.Addr, Port: int(node.Port)}
		took, err := m.list.Ping(node.Name, address)
		answer["seconds"], answer["error"] = took.Seconds(), text(err)
	default:
		check(fmt.Errorf("unknown command %q", words[0]))
	}
	tell(answer)
}

func main() {
	name := flag.String("name", "", "name of the member")
	bind := flag.String("bind", "0.0.0.0", "address to listen on")
	port := flag.Int("port", 7946, "port to listen on and to advertise")
	key := flag.String("key", "", "cluster key in base64, empty for none")
	timing := flag.String("timing", "wan", "wan, lan or local")
	meta := flag.String("meta", "", "metadata in hex")
	compress := flag.Bool("compress", true, "compress")
	protocol := flag.Int("protocol", 2, "protocol version to speak")
	interval := flag.Duration("interval", 0, "time between probes, 0 as the timing says")
	timeout := flag.Duration("timeout", 0, "time that a direct probe may take, 0 as the timing says")
	forget := flag.Duration("forget", 0, "time that the dead are kept, 0 as the timing says")
	flag.Parse()

	presets := map[string]func() *memberlist.Config{
		"wan": memberlist.DefaultWANConfig, "lan": memberlist.DefaultLANConfig, "local": memberlist.DefaultLocalConfig,
	}
	config := presets[*timing]()
	config.TCPTimeout = 10 * time.Second // no test is about it, and the machine may be slow
	config.Name, config.BindAddr = *name, *bind
	config.BindPort, config.AdvertisePort = *port, *port
	config.EnableCompression = *compress
	config.ProtocolVersion = uint8(*protocol)
	config.LogOutput = os.Stderr
	set := func(setting *time.Duration, value time.Duration) {
		if value != 0 {
			*setting = value
		}
	}
	set(&config.ProbeInterval, *interval)
	set(&config.ProbeTimeout, *timeout)
	set(&config.GossipToTheDeadTime, *forget)
	if *key != "" {
		secret, err := base64.StdEncoding.DecodeString(*key)
		check(err)
		config.SecretKey = secret
	}
	list, err := memberlist.Create(config)
	check(err)

	// As wesher does it: afterwards, so that the first alive message has no metadata.
	d := &delegate{}
	config.Delegate, config.Events, config.Conflict = d, d, d
	m := &member{list, d}
	if *meta != "" {
		check(m.publish(bytesOf(*meta)))
	}
	tell(object{"event": "up"})

	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if words := strings.Fields(lines.Text()); len(words) > 0 {
			m.do(words)
		}
	}
}
