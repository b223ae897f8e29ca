"""One MeshNode between strings: what it wants sent is kept, what others answer is made up."""

import random
from ipaddress import ip_address, ip_interface
from typing import Any, Self, TypeVar

from tests.testbed.keys import key
from wesher.base.frozen import replace
from wesher.gossip import (
    WAN,
    Ack,
    Address,
    Alive,
    Keyring,
    Message,
    Packet,
    Ping,
    PushPull,
    Record,
    StreamRequest,
    Wire,
    pack_ip,
    unpack_ip,
)
from wesher.gossip.codec import encode
from wesher.mesh.base.actions import Reach
from wesher.mesh.base.events import (
    MeshEvent,
    Notice,
    PlanChanged,
    Refused,
    Resolve,
    SaveKeys,
    Severity,
)
from wesher.mesh.base.metadata import Metadata, MetadataFormat, decode_metadata, encode_metadata
from wesher.mesh.base.plan import LocalFacts, Plan
from wesher.mesh.base.rotation import HoldConfigured, KeyOrder, KeysSaved
from wesher.mesh.base.saved import Saved, SavedMember
from wesher.mesh.base.seeds import Seed
from wesher.mesh.base.settings import Adjustable, NodeSettings
from wesher.mesh.node import MeshNode

E = TypeVar("E")

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


def seed(host: str) -> Seed:
    return Seed(host, 7946)


def saved(*ips: str, overlay_addr: str | None = None, incarnation: int = 0) -> Saved:
    """What an earlier start has left: members by address, and perhaps our own address."""
    members = tuple(SavedMember(f"at{ip}", Address(ip, 7946), None) for ip in ips)
    return Saved(ip_address(overlay_addr) if overlay_addr else None, incarnation, members)


def metadata(overlay: str, number: int, format: MetadataFormat = "current", **extra: Any) -> bytes:
    """Encode a member's metadata; without `extra` it is a Go peer's."""
    value = Metadata(ip_address(overlay), key(number), has_ext=bool(extra), **extra)
    return encode_metadata(value, format)


def remote(
    name: str,
    number: int,
    overlay: str | None = None,
    *,
    ip: str | None = None,
    incarnation: int = 1,
    state: int = 0,
    meta: bytes | None = None,
    **extra: Any,
) -> Record:
    """Return the record of a member of ours, everything about it made from `number`."""
    extra = {"version": "1"} | extra
    meta = meta or metadata(overlay or f"10.9.9.{number}", number, **extra)
    addr = pack_ip(ip or f"192.0.2.{number}")
    return Record(name, addr, 7946, meta, incarnation, state, VERSIONS)


class Harness:
    """A node, the time, and all it has put out so far."""

    def __init__(
        self,
        earlier: Saved | None = None,
        facts: LocalFacts | None = None,
        *,
        ring: bytes = KEY,
        **settings: Any,
    ) -> None:
        nonces = random.Random(1)
        self.wire = Wire(Keyring(ring), lambda: nonces.randbytes(12))
        self.name = settings.get("name", "local")
        self.now = 0.0
        self.packets: list[Packet] = []
        self.streams: list[StreamRequest] = []
        self.events: list[MeshEvent] = []
        self.node = MeshNode(
            replace(SETTINGS, **settings),
            earlier or Saved(),
            facts or LocalFacts(),
            self.wire,
            random.Random(7),
        )

    # What happens to the node

    def start(self) -> Self:
        self.node.start(self.now)
        self._drain()
        return self

    def pass_time(self, seconds: float) -> None:
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

    def answer(self, request: StreamRequest, *records: Record) -> None:
        """Let a push/pull of the node's be answered with these members."""
        reply = self.wire.seal_frame(encode(PushPull(join=True, records=records)))
        self.node.receive_reply(request.id, reply, self.now)
        self._drain()

    def answer_to(self, other: "Harness", request: StreamRequest) -> None:
        """Answer a push/pull of another node's as this node does."""
        self.now = other.now
        reply = self.node.receive_request(request.data, Address(HERE, 40000), self.now)
        assert reply
        other.node.receive_reply(request.id, reply, other.now)
        other._drain()

    def answer_ping(self, request: StreamRequest) -> None:
        ping = self.message(request)
        assert isinstance(ping, Ping)
        reply = self.wire.seal_frame(encode(Ack(ping.sequence)))
        self.node.receive_reply(request.id, reply, self.now)
        self._drain()

    def fail(self, *requests: StreamRequest) -> None:
        for request in requests:
            self.node.stream_failed(request.id, "refused", self.now)
        self._drain()

    def push(self, *records: Record, ip: str = "192.0.2.99") -> tuple[Record, ...]:
        """Let a member send us its table; return what we told it."""
        frame = self.wire.seal_frame(encode(PushPull(join=True, records=records)))
        reply = self.node.receive_request(frame, Address(ip, 40000), self.now)
        self._drain()
        assert reply
        table = self.wire.open_frame(reply, reply=True)
        assert isinstance(table, PushPull)
        return table.records

    def loop_back(self, request: StreamRequest) -> bytes | None:
        """Let a stream of the node's arrive at itself, and the caller find it just closed."""
        reply = self.node.receive_request(request.data, Address(HERE, 40000), self.now)
        self._drain()
        self.fail(request)
        return reply

    def hear(self, message: Message, ip: str = "192.0.2.99", wire: Wire | None = None) -> None:
        """Let a packet arrive."""
        data = (wire or self.wire).seal_packet([encode(message)], checksum=False)
        self.node.receive_packet(data, Address(ip, 7946), self.now)
        self._drain()

    def hear_alive(self, record: Record, **changes: Any) -> None:
        """Let a member say that it is alive."""
        told = replace(record, **changes)
        self.hear(
            Alive(told.incarnation, told.name, told.addr, told.port, told.meta, told.versions)
        )

    def reconfigure(self, *seeds: Seed) -> None:
        """Give the node other seeds, as a reload does."""
        self.node.reconfigure(Adjustable(seeds, 3600), self.now)
        self._drain()

    def resolve(self, request: Resolve, *ips: str) -> None:
        self.node.resolved(request.seed, ips, self.now)
        self._drain()

    def keep_alive(self, *records: Record, until: float) -> None:
        """Let these members answer every ping while time passes."""
        ips = {Address(unpack_ip(record.addr), record.port) for record in records}
        while self.now < until:
            self.pass_time(0.5)
            for to, ping in self.pings():
                if to in ips:
                    self.hear(Ack(ping.sequence), ip=to.ip)

    def reach(self, address: Address) -> None:
        """Let the node contact an address of its own accord."""
        node = self.node
        node._act(node._coordinator._do(iter([Reach(address)]), self.now), self.now)
        self._drain()

    def update_facts(self, facts: LocalFacts) -> None:
        self.node.update_facts(facts, self.now)
        self._drain()

    def use_keys(self, *keys: bytes) -> None:
        self.obey(HoldConfigured(keys))

    def obey(self, order: KeyOrder) -> None:
        self.node.obey(order, self.now)
        self._drain()

    def leave(self) -> None:
        self.node.leave(self.now)
        self._drain()

    # What it did

    def _drain(self) -> None:
        self.packets += self.node.packets_to_send()
        self.streams += self.node.streams_to_open()
        events = self.node.events()
        self.events += [event for event in events if not isinstance(event, SaveKeys)]
        if saves := [event for event in events if isinstance(event, SaveKeys)]:
            self.node.obey(KeysSaved(saves[-1].number), self.now)
            self._drain()

    def take_streams(self) -> list[StreamRequest]:
        """Return the streams wanted since the last call."""
        streams, self.streams = self.streams, []
        return streams

    def take(self, kind: type[E]) -> list[E]:
        """Return the events of one kind since the last call."""
        events: list[object] = [*self.events]
        self.events = [event for event in self.events if not isinstance(event, kind)]
        return [event for event in events if isinstance(event, kind)]

    def message(self, request: StreamRequest) -> Message:
        """Return what a stream carries."""
        return self.wire.open_frame(request.data)

    def table(self, request: StreamRequest) -> tuple[Record, ...]:
        """Return the members that a push/pull of the node's tells of."""
        table = self.message(request)
        assert isinstance(table, PushPull)
        return table.records

    def asked(self) -> list[tuple[str, str]]:
        """Return whom it contacted since the last call, and whether to look or to join."""
        return [
            (request.to.ip, "join" if self.table(request) else "look")
            for request in self.take_streams()
        ]

    def pings(self) -> list[tuple[Address, Ping]]:
        """Return the pings sent since the last call, as packets, and forget the packets."""
        packets, self.packets = self.packets, []
        opened = [(packet, self.wire.open_packet(packet.data).messages) for packet in packets]
        return [
            (packet.to, message)
            for packet, messages in opened
            for message in messages
            if isinstance(message, Ping)
        ]

    def warnings(self, severity: Severity = Severity.WARNING) -> list[str]:
        """Return the warnings since the last call, and forget all notices."""
        return [
            notice.text.format(**notice.data)
            for notice in self.take(Notice)
            if notice.severity is severity
        ]

    def errors(self) -> list[str]:
        """Return the errors since the last call, and forget all notices."""
        return self.warnings(Severity.ERROR)

    def refusal(self) -> str:
        """Return why the node refuses to run, nothing if it does not."""
        return next((event.reason for event in self.take(Refused)), "")

    def resolving(self) -> list[Resolve]:
        return self.take(Resolve)

    def plan_changes(self) -> int:
        """Return how often the plan is said to have changed since the last call."""
        return len(self.take(PlanChanged))

    def heard_by(self, ip: str) -> list[Message]:
        """Return the messages sent to an address since the last call, and forget all packets."""
        packets, self.packets = self.packets, []
        opened = [self.wire.open_packet(p.data).messages for p in packets if p.to.ip == ip]
        return [message for messages in opened for message in messages]

    def ping_of_us(self) -> Ping:
        return Ping(77, "local", b"", 0, "")

    def key(self, number: int) -> str:
        return key(number)

    @property
    def announced(self) -> bool:
        """Whether others are told about us."""
        return any(record.name == self.name for record in self.push())

    @property
    def record(self) -> Record:
        """What others are told about us, once we are announced."""
        return next(record for record in self.push() if record.name == self.name)

    @property
    def metadata(self) -> Metadata:
        assert self.record.meta
        return decode_metadata(self.record.meta)

    @property
    def overlay_addr(self) -> str:
        """The overlay address that others are told, as text."""
        return str(self.metadata.overlay_addr)

    @property
    def saved(self) -> Saved:
        """What the node wants written down, once it knows."""
        saved = self.node.saved()
        assert saved
        return saved

    @property
    def plan(self) -> Plan:
        """What the node wants, once it knows."""
        plan = self.node.plan()
        assert plan
        return plan


def joined(
    *records: Record,
    earlier: Saved | None = None,
    facts: LocalFacts | None = None,
    **settings: Any,
) -> Harness:
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
