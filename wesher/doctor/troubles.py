"""What only the doctor finds, in words; the rest are in wesher/troubles.py and mesh/troubles.py."""

from wesher.troubles import Trouble

NO_AGENT = Trouble(
    "no-agent",
    "no agent runs on interface {interface}",
    "start it with `systemctl start wesher`, or with `wesher`; its log says why it ended",
)
AGENT_STOPPED = Trouble(
    "agent-stopped",
    "the agent on {interface} (pid {pid}) is stopped by a signal",
    "continue it with `kill -CONT {pid}`",
)
AGENT_STARTING = Trouble(
    "agent-starting",
    "the agent on {interface} is still starting",
    "if that lasts, its log says what it waits for, an address of this host for instance",
)
AGENT_SILENT = Trouble(
    "agent-silent",
    "the agent tells nothing: {reason}",
    "see its log and the load of this host; `systemctl restart wesher` keeps the interface",
)
NOT_ROOT = Trouble(
    "not-root",
    "only root may ask the agent on {interface}",
    "run this as root (`sudo wesher doctor`)",
)
NOT_UP_TO_DATE = Trouble(
    "not-up-to-date",
    "the {what} is not up to date: {reason}",
    "the agent tries again until it works; put right what it names",
)
NO_TUN = Trouble(
    "no-tun",
    "wireguard-go needs /dev/net/tun, which is not there",
    "run `modprobe tun`, or give this container the device",
)
PORT_TAKEN = Trouble(
    "port-taken",
    "{protocol} port {port} is taken by {owner}",
    "stop what uses it, or choose another {option}",
)
WIREGUARD_PORT = Trouble(
    "wireguard-port",
    "WireGuard listens on UDP port {port} instead of {wanted}",
    "see whether UDP port {wanted} is free; the agent sets it again within half a minute",
)
LOOPBACK = Trouble(
    "loopback",
    "we advertise {address}, which is no address for other hosts",
    "bind to another address with --bind-addr, or give --advertise-addr",
)
OVERLAY_COVERS = Trouble(
    "overlay-covers",
    "the overlay network {overlay} covers this host's gateway {address}",
    "choose another --overlay-net, the same on all hosts",
)
SEED_SILENT = Trouble(
    "seed-silent",
    "seed {seed} answers neither by TCP nor by UDP",
    "is wesher running there, and do firewalls let UDP and TCP port {port} through?",
)
SEED_REFUSED = Trouble(
    "seed-refused",
    "seed {seed} refuses connections to port {port}: nothing listens there",
    "is wesher running there, with this --cluster-port?",
)
SEED_HALF = Trouble(
    "seed-half",
    "seed {seed} answers by {heard} but not by {silent}",
    "does a firewall drop its {silent} packets? let {silent} port {port} through on both hosts",
)
TCP_BLOCKED = Trouble(
    "tcp-blocked",
    "member {member} answers at {address} by UDP but not by TCP",
    "does a firewall drop its TCP packets? let TCP port {port} through on both hosts",
)
OURSELVES_UNREACHED = Trouble(
    "ourselves-unreached",
    "our own agent does not answer at {address} by {silent}",
    "a firewall of this host drops it: let {silent} port {port} in",
)
MEMBER_FAILED = Trouble(
    "member-failed",
    "member {member} has failed {ago} ago",
    "see whether its host runs; `wesher forget {member}` removes it for good",
)
MEMBER_REFUSED = Trouble(
    "member-refused",
    "member {member} refuses connections to {address}: nothing listens there",
    "it will be held failed if this lasts: is wesher running there?",
)
MEMBER_SILENT = Trouble(
    "member-silent",
    "member {member} answers at {address} neither by TCP nor by UDP",
    "it will be held failed if this lasts: see whether its host and its agent run",
)
OTHER_NAME = Trouble(
    "other-name",
    "another member answers at {address}, not {member}",
    "see which host has that address; {member} needs an --advertise-addr at which it is reached",
)
STRANGER = Trouble(
    "stranger",
    "{address} sent us {count} packets that our cluster key does not open, the last {ago} ago",
    "if it should be a member, compare --cluster-key on both hosts; if not, keep it out",
)
NO_HANDSHAKE = Trouble(
    "no-handshake",
    "member {member} is reached by gossip, but WireGuard has no handshake with it at {endpoint}",
    "does a firewall drop UDP port {port}? let it through on both hosts",
)
SILENT_TUNNEL = Trouble(
    "silent-tunnel",
    "member {member} is reached by gossip, but answers nothing through WireGuard; "
    "the last handshake was {ago} ago",
    "does a firewall drop UDP port {port}, or ping inside the overlay?",
)
ONLY_TUNNEL = Trouble(
    "only-tunnel",
    "member {member} is reached through WireGuard, but not by gossip at {address}",
    "is its agent running, and do firewalls let UDP and TCP port {port} through?",
)
NARROW_PATH = Trouble(
    "narrow-path",
    "packets of {size} bytes to member {member} get lost: "
    "the path to {address} carries {mtu} bytes, WireGuard needs {needed}",
    "run `ip link set dev {interface} mtu {tunnel}` on both hosts, or raise the MTU of the path",
)
NO_PATH_FOR_IPV6 = Trouble(
    "no-path-for-ipv6",
    "packets of {size} bytes to member {member} get lost: the path to {address} carries {mtu} "
    "bytes, WireGuard needs {needed}, and IPv6 lets {interface} have no MTU as low as that",
    "raise the MTU of the path, or run `ip link set dev {link} mtu {mtu}` on both hosts, "
    "which then split what is larger",
)
NARROW_TUNNEL = Trouble(
    "narrow-tunnel",
    "packets of {size} bytes to member {member} get lost, smaller ones do not",
    "the path to {address} must carry {needed} bytes: see the MTU of what is on it, "
    "or lower that of {interface} on both hosts",
)
HOSTS_FILE = Trouble(
    "hosts-file",
    "cannot write the hosts file {file}: {reason}",
    "make it writable (`lsattr`, `findmnt -T {file}`), or run the agent with --no-etc-hosts",
)
