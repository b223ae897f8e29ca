"""One Gossip on the bench: what it hears and says, as messages instead of sealed bytes."""

from collections.abc import Iterable
from random import Random
from typing import Any

from wesher.gossip import (
    WAN,
    Ack,
    Address,
    Alive,
    Dead,
    Event,
    Gossip,
    GossipSettings,
    Keyring,
    Member,
    Message,
    Packet,
    Ping,
    PushPull,
    Record,
    RecordState,
    StreamRequest,
    Suspect,
    Timing,
    Wire,
    pack_ip,
)
from wesher.gossip.codec import encode

Named = Alive | Suspect | Dead | Ping

KEY = bytes(range(32))
LOCAL = "local"
LOCAL_IP = "10.0.0.1"
REMOTE = "remote"
PORT = 7946
VERSIONS = bytes([1, 5, 2, 0, 0, 0])
STRANGER = Address("192.0.2.7", 40000)

_nonces = Random(0)


def sealing(key: bytes = KEY) -> Wire:
    return Wire(Keyring(key), lambda: _nonces.randbytes(12))


def sealed(plain: bytes) -> bytes:
    """What holds `plain`, whatever it is."""
    return Keyring(KEY).seal(plain, b"", _nonces.randbytes(12))


def unsealed(data: bytes) -> bytes:
    return Keyring(KEY).open(data, b"")[0]


def address(ip: str, port: int = PORT) -> Address:
    return Address(ip, port)


def alive(
    node: str = REMOTE,
    incarnation: int = 1,
    *,
    ip: str = "10.0.0.2",
    port: int = PORT,
    meta: bytes | None = b"meta",
    versions: bytes | None = VERSIONS,
    mapped: bool = False,
) -> Alive:
    return Alive(incarnation, node, pack_ip(ip, mapped=mapped), port, meta, versions)


def local_alive(incarnation: int = 1, **claims: Any) -> Alive:
    """What the bench's own node says of itself, but for the given claims."""
    return alive(LOCAL, incarnation, **({"ip": LOCAL_IP, "meta": b"own"} | claims))


def others(number: int) -> list[Alive]:
    """Members `m0`, `m1`, ... at 10.0.1.x."""
    return [alive(f"m{index}", ip=f"10.0.1.{index + 1}") for index in range(number)]


def record(
    name: str = REMOTE,
    incarnation: int = 1,
    state: int = RecordState.ALIVE,
    *,
    ip: str = "10.0.0.2",
    port: int = PORT,
    meta: bytes | None = b"meta",
    versions: bytes | None = VERSIONS,
) -> Record:
    return Record(name, pack_ip(ip), port, meta, incarnation, state, versions)


class Harness:
    """A participant named `local` at 10.0.0.1 that has heard the `known` messages before."""

    def __init__(
        self,
        *known: Message,
        name: str = LOCAL,
        ip: str = LOCAL_IP,
        announced: bool = True,
        wire: Wire | None = None,
        timing: Timing = WAN,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        self.wire = wire or sealing()
        self.now = 0.0
        local = GossipSettings(name, pack_ip(ip), PORT, timing=timing, **settings)
        self.gossip = Gossip(local, self.wire, Random(seed))
        if announced:
            self.gossip.announce(b"own", self.now)
        for message in known:
            self.hears(message)
        self.forget()

    def forget(self) -> None:
        """Drain all outputs."""
        for output in (self.packets(), self.streams(), self.events()):
            assert isinstance(output, list)

    # In

    def hears(self, *messages: Message, source: Address = STRANGER) -> None:
        """Receive the messages in one packet."""
        parts = [encode(message) for message in messages]
        self.receives(self.wire.seal_packet(parts, checksum=False), source)

    def receives(self, data: bytes, source: Address = STRANGER) -> None:
        self.gossip.receive_packet(data, source, self.now)

    def asked(self, message: Message) -> Message | None:
        """Serve a stream that brings `message`; return what it answers."""
        reply = self.serves(self.wire.seal_frame(encode(message)))
        return None if reply is None else self.wire.open_frame(reply, reply=True)

    def serves(self, data: bytes) -> bytes | None:
        return self.gossip.receive_request(data, STRANGER, self.now)

    def answered(self, stream: StreamRequest, message: Message) -> None:
        """Receive `message` as the reply to a stream of ours."""
        reply = self.wire.seal_frame(encode(message))
        self.gossip.receive_reply(stream.id, reply, self.now)

    def exchanges(self, *records: Record, user_state: bytes = b"") -> PushPull:
        """Serve a push/pull of these records; return our table as it was sent."""
        reply = self.asked(PushPull(False, records, user_state))
        assert isinstance(reply, PushPull)
        return reply

    def run(self, until: float) -> None:
        """Let the time pass."""
        while (at := self.gossip.next_timer()) is not None and at <= until:
            self.now = max(self.now, at)
            self.gossip.handle_timer(self.now)
        self.now = until

    def step(self) -> None:
        """Let the time pass until the next timer."""
        self.now = self.next_timer()
        self.gossip.handle_timer(self.now)

    def step_answering(self) -> None:
        """Let the time pass until the next timer, and answer our pings."""
        self.step()
        for _, messages in self.said():
            for message in messages:
                if isinstance(message, Ping):
                    self.hears(Ack(message.sequence))

    # Out

    def packets(self) -> list[Packet]:
        return list(self.gossip.packets_to_send())

    def said(self) -> list[tuple[Address, tuple[Message, ...]]]:
        """Return where packets went, and the messages in each."""
        return [
            (packet.to, self.wire.open_packet(packet.data).messages) for packet in self.packets()
        ]

    def said_to(self, to: Address) -> list[Message]:
        return [message for target, messages in self.said() for message in messages if target == to]

    def streams(self) -> list[StreamRequest]:
        return list(self.gossip.streams_to_open())

    def requests(self) -> list[tuple[Address, Message]]:
        return [(stream.to, self.wire.open_frame(stream.data)) for stream in self.streams()]

    def events(self) -> list[Event]:
        return list(self.gossip.events())

    def queued(self) -> list[Message]:
        """Return the broadcasts that wait: they come along with an ack."""
        self.packets()
        self.hears(Ping(4711, LOCAL))
        [(_, messages)] = self.said()
        assert messages[0] == Ack(4711)
        return list(messages[1:])

    def news(self, about: str = REMOTE) -> list[Message]:
        """Return what is queued about one member."""
        return [message for message in self.queued() if subjects([message]) == [about]]

    def no_longer_queues(self) -> None:
        """Let every queued broadcast reach its transmit limit."""
        while self.queued():
            pass

    @property
    def local(self) -> Member:
        local = self.gossip.local
        assert local
        return local

    def next_timer(self) -> float:
        at = self.gossip.next_timer()
        assert at is not None
        return at

    def member(self, name: str = REMOTE) -> Member:
        member = self.gossip.members.get(name)
        assert member, f"{name} is unknown"
        return member

    def state(self, name: str = REMOTE) -> str:
        member = self.gossip.members.get(name)
        return "unknown" if member is None else member.state.name


def subjects(messages: Iterable[Message]) -> list[str]:
    """Return whom messages are about, or for whom pings are."""
    return [message.node for message in messages if isinstance(message, Named)]
