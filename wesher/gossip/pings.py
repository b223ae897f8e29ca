"""Pings, and who waits for their acks: probes, relays, our owner (spec/memberlist.md, 4.3 and 4.9).

An ack bears the number of its ping; ours also say where that came from, if it was not the address
it names: a NAT is between then, perhaps. So each ping of ours has a new one, whoever asks,
counted from a random start, and here is kept who waits for which: exactly one of "there is an ack"
and "the time is over" is called. The first ack counts, wherever it comes from, and a number nobody
waits for is ignored. Whether an ack proves something is for who waited to judge.

Who asks us is answered at the address that the ping names, or at its source. Both this and relaying
make us send where others want (spec/memberlist.md, 10.2), so both have a limit; a probe that meets
it still has TCP, which has none.
"""

from collections.abc import Callable, Hashable

from wesher.base.addresses import Address
from wesher.gossip.context import Context, TokenBucket
from wesher.gossip.events import DropReason, PingFinished, SeenAt, SeenElsewhere
from wesher.gossip.members import MemberState
from wesher.gossip.messages import Ack, IndirectPing, Nack, Ping, pack_ip, unpack_ip
from wesher.gossip.settings import Timer
from wesher.gossip.streams import Answer

ANSWERS_PER_SECOND = 400
"""Pings we answer by packet. In a cluster of any size everybody is pinged about once an interval;
whoever floods us costs us no suspicion, since probes then try TCP, where there is no limit."""
RELAYS_PER_SECOND = 50
"""Indirect pings we relay; they make us send to wherever a key holder likes."""
_SEQUENCES = 2**32
_IP_SIZES = (4, 16)  # bytes


OnAck = Callable[[Address, float], None]
"""What is to be done with an ack, which came from there at that time."""


class PendingAck:
    """The ack we wait for under a sequence number, or several, and the nacks that came meanwhile.

    It ends at `until`, which `Pings.put_off` moves.
    """

    __slots__ = ("acked", "more", "nacks", "on_ack", "on_timeout", "sequence", "until")

    def __init__(
        self, sequence: int, until: float, on_ack: OnAck, on_timeout: Callable[[float], None]
    ) -> None:
        self.sequence = sequence
        self.until = until
        self.on_ack = on_ack
        self.on_timeout = on_timeout
        self.more: list[int] = []
        self.nacks = 0
        self.acked = -1
        """The number that the ack bore, once it has come."""


def reply_address(message: Ping | IndirectPing, source: Address) -> Address:
    """Return where the sender wants the reply: what it says of itself, else where it sent from."""
    if not message.source_port or not message.source_addr:
        return source
    return Address(unpack_ip(message.source_addr), message.source_port)


class Pings:
    """Sequence numbers in use, relays for others, and the pings our owner asked for."""

    def __init__(self, context: Context) -> None:
        self._members = context.members
        self._outbox = context.outbox
        self._streams = context.streams
        self._timers = context.timers
        self._timeout = context.timing.probe_timeout
        self._answers = TokenBucket(ANSWERS_PER_SECOND)
        self._relays = TokenBucket(RELAYS_PER_SECOND)
        self._pending: dict[int, PendingAck] = {}
        self._seen: dict[Address, str] = {}
        self._sequence = context.settings.first_sequence

    def await_ack(
        self,
        until: float,
        on_ack: OnAck,
        on_timeout: Callable[[float], None],
    ) -> PendingAck:
        """Wait for an ack under a new sequence number; exactly one of the two will be called."""
        pending = PendingAck(self._next_sequence(), until, on_ack, on_timeout)
        self._pending[pending.sequence] = pending
        self.put_off(pending, until)
        return pending

    def put_off(self, pending: PendingAck, until: float) -> None:
        """Wait for an ack until then."""
        pending.until = until
        self._timers.set(
            (Timer.ACK, pending.sequence), until, lambda now: self._give_up(pending, now)
        )

    def expect_also(self, pending: PendingAck) -> int:
        """Wait for the same ack under one more sequence number; return that."""
        sequence = self._next_sequence()
        pending.more.append(sequence)
        self._pending[sequence] = pending
        return sequence

    def _next_sequence(self) -> int:
        self._sequence = (self._sequence + 1) % _SEQUENCES
        return self._sequence

    def _give_up(self, pending: PendingAck, now: float) -> None:
        self._forget(pending)
        pending.on_timeout(now)

    def _forget(self, pending: PendingAck) -> None:
        self._timers.cancel((Timer.ACK, pending.sequence))
        for sequence in (pending.sequence, *pending.more):
            del self._pending[sequence]

    def on_ack(self, ack: Ack, source: Address, now: float) -> None:
        """Tell who waits for it; only the first ack counts, whoever sent it."""
        pending = self._pending.get(ack.sequence)
        if pending is not None:
            self._forget(pending)
            pending.acked = ack.sequence
            self._note_seen(ack.payload, source)
            pending.on_ack(source, now)

    def _note_seen(self, payload: bytes | None, source: Address) -> None:
        """Tell when whoever answers sees us at another address than before; "" is our own."""
        seen = unpack_ip(payload) if payload and len(payload) in _IP_SIZES else ""
        if seen != self._seen.get(source, ""):
            self._seen[source] = seen
            self._outbox.emit_bounded(SeenAt(source, seen))
        if not seen:
            self._seen.pop(source, None)

    def on_nack(self, sequence: int) -> None:
        """Count a relay's nack, as long as the ack is awaited."""
        pending = self._pending.get(sequence)
        if pending is not None:
            pending.nacks += 1

    def ping(self, sequence: int, node: str) -> Ping:
        """Return a ping of ours."""
        return Ping(sequence, node, *self._source())

    def indirect_ping(
        self, sequence: int, node: str, addr: bytes, port: int, *, nack: bool
    ) -> IndirectPing:
        """Return a request of ours to ping `node`."""
        return IndirectPing(sequence, addr, port, node, nack, *self._source())

    def _source(self) -> tuple[bytes, int, str]:
        local = self._members.local
        return (local.addr, local.port, local.name) if local else (b"", 0, "")

    def answer(self, ping: Ping, sender: Address, now: float) -> None:
        """Acknowledge a ping for us; the ack says where it came from, if not from where it says."""
        if not self._answers.allow(now):
            self._outbox.drop(sender, DropReason.LIMIT, "too many pings")
            return
        to = reply_address(ping, sender)
        ack = Ack(ping.sequence, None if to.ip == sender.ip else pack_ip(sender.ip))
        self._outbox.send(ack, to, key=self._outbox.asked_with)
        self._compare(ping, sender)

    def _compare(self, ping: Ping, sender: Address) -> None:
        """Tell when a suspect is where it does not say; who is reached may come from anywhere."""
        member = self._members.get(ping.source_node)
        if member is None or member.state is not MemberState.SUSPECT:
            return
        if sender.ip != member.address.ip:
            self._outbox.emit_bounded(SeenElsewhere(member, sender.ip))

    def relay(self, request: IndirectPing, requester: Address, port: int, now: float) -> None:
        """Ping `request`'s target at `port` for somebody else, who sent it from `requester`."""
        if not self._relays.allow(now):
            self._outbox.drop(requester, DropReason.LIMIT, "too many indirect pings")
            return
        reply_to, key = reply_address(request, requester), self._outbox.asked_with

        def on_ack(_source: Address, _now: float) -> None:
            self._outbox.send(Ack(request.sequence), reply_to, key=key)

        def on_timeout(now: float) -> None:
            if request.nack:
                self._outbox.send(Nack(request.sequence), reply_to, key=key)

        pending = self.await_ack(now + self._timeout, on_ack, on_timeout)
        target = Address(unpack_ip(request.target), port)
        self._outbox.send(self.ping(pending.sequence, request.node), target)

    def ask(self, to: Address, node: str, now: float, purpose: Hashable) -> int:
        """Ping by packet for our owner; PingFinished brings the number and the purpose back."""
        number = self._outbox.next_id()

        def finish(seconds: float | None) -> None:
            self._outbox.emit(PingFinished(number, seconds, purpose=purpose))

        pending = self.await_ack(
            now + self._timeout, lambda _, then: finish(then - now), lambda then: finish(None)
        )
        self._outbox.send(self.ping(pending.sequence, node), to)
        return number

    def ask_by_stream(self, to: Address, node: str, now: float, purpose: Hashable) -> int:
        """Ping by TCP for our owner; PingFinished brings the number and the purpose back."""
        number = self._outbox.next_id()

        def finish(answer: Answer, then: float) -> None:
            seconds = then - now if _is_ack(answer, ping) else None
            self._outbox.emit(PingFinished(number, seconds, answer.error, purpose))

        ping = self.ping(self._next_sequence(), node)
        self._streams.open(to, ping, now, self._timeout, finish)
        return number

    def ping_by_stream(
        self,
        to: Address,
        ping: Ping,
        now: float,
        timeout: float,
        finished: Callable[[bool, float], None],
    ) -> None:
        """Ping by TCP; `finished` hears whether the right ack came, and when.

        See spec/memberlist.md, 3.6.
        """

        def on_answer(answer: Answer, now: float) -> None:
            finished(_is_ack(answer, ping), now)

        self._streams.open(to, ping, now, timeout, on_answer)


def _is_ack(answer: Answer, ping: Ping) -> bool:
    message = answer.message
    return isinstance(message, Ack) and message.sequence == ping.sequence
