"""One MeshNode between strings: what it wants sent is kept, what others answer is made up."""

import random
from ipaddress import ip_address, ip_interface

from tests.unit.mesh.builders import key
from wesher.base.frozen import replace
from wesher.gossip import (
    WAN,
    Ack,
    Address,
    Alive,
    Keyring,
    Ping,
    PushPull,
    Record,
    Wire,
    pack_ip,
    unpack_ip,
)
from wesher.gossip.codec import encode
from wesher.mesh.base.events import Notice, PlanChanged, Refused, Resolve, Severity
from wesher.mesh.base.local_facts import LocalFacts
from wesher.mesh.base.metadata import Metadata, decode_metadata, encode_metadata
from wesher.mesh.base.seeds import Seed
from wesher.mesh.base.settings import NodeSettings, Saved, SavedMember
from wesher.mesh.node import MeshNode

KEY = bytes(range(32))
VERSIONS = bytes([1, 5, 2, 0, 0, 0])
HERE = "192.0.2.1"
SETTINGS = NodeSettings(
    name="local",
    ip=HERE,
    port=7946,
    mapped=False,
    seeds=(),
    overlay_net=ip_interface("10.0.0.0/8"),
    overlay_addr=None,
    public_key=key(1),
    wireguard_port=51820,
    metadata_format="current",
    forget_after=86400,
    timing=WAN,
)


def seed(host):
    return Seed(host, 7946)


def saved(*ips, overlay_addr=None, incarnation=0):
    """What an earlier start has left: members by address, and perhaps our own address."""
    members = tuple(SavedMember(f"at{ip}", Address(ip, 7946), None) for ip in ips)
    return Saved(overlay_addr and ip_address(overlay_addr), incarnation, members)


def metadata(overlay, number, format="current", **extra):
    """Encode a member's metadata; without `extra` it is a Go peer's."""
    value = Metadata(ip_address(overlay), key(number), has_ext=bool(extra), **extra)
    return encode_metadata(value, format)


def remote(name, number, overlay=None, *, ip=None, incarnation=1, state=0, meta=None, **extra):
    """Return the record of a member of ours, everything about it made from `number`."""
    extra = {"version": "1"} | extra
    meta = meta or metadata(overlay or f"10.9.9.{number}", number, **extra)
    addr = pack_ip(ip or f"192.0.2.{number}")
    return Record(name, addr, 7946, meta, incarnation, state, VERSIONS)


class Harness:
    """A node, the time, and all it has put out so far."""

    def __init__(self, earlier=None, facts=None, *, ring=KEY, **settings):
        nonces = random.Random(1)
        self.wire = Wire(Keyring(ring), lambda: nonces.randbytes(12))
        self.name = settings.get("name", "local")
        self.now = 0.0
        self.packets = []
        self.streams = []
        self.events = []
        self.node = MeshNode(
            replace(SETTINGS, **settings),
            earlier or Saved(),
            facts or LocalFacts(),
            self.wire,
            random.Random(7),
        )

    # What happens to the node

    def start(self):
        self.node.start(self.now)
        self._drain()
        return self

    def pass_time(self, seconds):
        """Let time pass, with every timer on the way."""
        until = self.now + seconds
        for _ in range(100_000):
            at = self.node.next_timer()
            if at is None or at > until:
                break
            self.now = max(at, self.now)
            self.node.handle_timer(self.now)
            self._drain()
        else:
            raise AssertionError("the node wants to be woken without end")
        self.now = until

    def answer(self, request, *records):
        """Let a push/pull of the node's be answered with these members."""
        reply = self.wire.seal_frame(encode(PushPull(join=True, records=records)), reply=True)
        self.node.receive_reply(request.id, reply, self.now)
        self._drain()

    def answer_to(self, other, request):
        """Answer a push/pull of another node's as this node does."""
        self.now = other.now
        reply = self.node.receive_request(request.data, Address(HERE, 40000), self.now)
        other.node.receive_reply(request.id, reply, other.now)
        other._drain()

    def answer_ping(self, request):
        reply = self.wire.seal_frame(encode(Ack(self.message(request).sequence)), reply=True)
        self.node.receive_reply(request.id, reply, self.now)
        self._drain()

    def fail(self, *requests):
        for request in requests:
            self.node.stream_failed(request.id, "refused", self.now)
        self._drain()

    def push(self, *records, ip="192.0.2.99"):
        """Let a member send us its table; return what we told it."""
        frame = self.wire.seal_frame(encode(PushPull(join=True, records=records)))
        reply = self.node.receive_request(frame, Address(ip, 40000), self.now)
        self._drain()
        return self.wire.open_frame(reply, reply=True).records

    def loop_back(self, request):
        """Let a stream of the node's arrive at itself, and the caller find it just closed."""
        reply = self.node.receive_request(request.data, Address(HERE, 40000), self.now)
        self._drain()
        self.fail(request)
        return reply

    def hear(self, message, ip="192.0.2.99", wire=None):
        """Let a packet arrive."""
        data = (wire or self.wire).seal_packet([encode(message)], checksum=False)
        self.node.receive_packet(data, Address(ip, 7946), self.now)
        self._drain()

    def hear_alive(self, record, **changes):
        """Let a member say that it is alive."""
        told = replace(record, **changes)
        self.hear(
            Alive(told.incarnation, told.name, told.addr, told.port, told.meta, told.versions)
        )

    def resolve(self, request, *ips):
        self.node.resolved(request, ips, self.now)
        self._drain()

    def keep_alive(self, *records, until):
        """Let these members answer every ping while time passes."""
        ips = {Address(unpack_ip(record.addr), record.port) for record in records}
        while self.now < until:
            self.pass_time(0.5)
            for to, ping in self.pings():
                if to in ips:
                    self.hear(Ack(ping.sequence), ip=to.ip)

    def update_facts(self, facts):
        self.node.update_facts(facts, self.now)
        self._drain()

    def leave(self):
        self.node.leave(self.now)
        self._drain()

    # What it did

    def _drain(self):
        self.packets += self.node.packets_to_send()
        self.streams += self.node.streams_to_open()
        self.events += self.node.events()

    def take_streams(self):
        """Return the streams wanted since the last call."""
        streams, self.streams = self.streams, []
        return streams

    def take(self, kind):
        """Return the events of one kind since the last call."""
        taken = [event for event in self.events if isinstance(event, kind)]
        self.events = [event for event in self.events if not isinstance(event, kind)]
        return taken

    def message(self, request):
        """Return what a stream carries."""
        return self.wire.open_frame(request.data)

    def asked(self):
        """Return whom it contacted since the last call, and whether to look or to join."""
        kinds = {False: "look", True: "join"}
        return [
            (request.to.ip, kinds[bool(self.message(request).records)])
            for request in self.take_streams()
        ]

    def pings(self):
        """Return the pings sent since the last call, as packets, and forget the packets."""
        packets, self.packets = self.packets, []
        opened = [(packet, self.wire.open_packet(packet.data).messages) for packet in packets]
        return [
            (packet.to, message)
            for packet, messages in opened
            for message in messages
            if isinstance(message, Ping)
        ]

    def warnings(self, severity=Severity.WARNING):
        """Return the warnings since the last call, and forget all notices."""
        return [
            notice.text.format(**notice.data)
            for notice in self.take(Notice)
            if notice.severity is severity
        ]

    def errors(self):
        """Return the errors since the last call, and forget all notices."""
        return self.warnings(Severity.ERROR)

    def refusal(self):
        """Return why the node refuses to run, if it does."""
        return next((event.reason for event in self.take(Refused)), None)

    def resolving(self):
        return self.take(Resolve)

    def plan_changes(self):
        """Return how often the plan is said to have changed since the last call."""
        return len(self.take(PlanChanged))

    def heard_by(self, ip):
        """Return the messages sent to an address since the last call, and forget all packets."""
        packets, self.packets = self.packets, []
        opened = [self.wire.open_packet(p.data).messages for p in packets if p.to.ip == ip]
        return [message for messages in opened for message in messages]

    def ping_of_us(self):
        return Ping(77, "local", b"", 0, "")

    def key(self, number):
        return key(number)

    @property
    def record(self):
        """What others are told about us; None before we are announced."""
        return next((record for record in self.push() if record.name == self.name), None)

    @property
    def metadata(self):
        return decode_metadata(self.record.meta)

    @property
    def overlay_addr(self):
        """The overlay address that others are told, as text."""
        return str(self.metadata.overlay_addr)

    @property
    def plan(self):
        return self.node.plan()


def joined(*records, earlier=None, facts=None, **settings):
    """Return a node that has looked and joined a cluster of these members through a seed."""
    settings = {"seeds": (seed("192.0.2.10"),)} | settings
    harness = Harness(earlier, facts, **settings).start()
    (look,) = harness.take_streams()
    harness.answer(look, *records)
    (join,) = harness.take_streams()
    harness.answer(join, *records)
    harness.pass_time(0.2)
    harness.take_streams()
    harness.events.clear()
    return harness
