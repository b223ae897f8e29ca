"""Asking members in turn whether they are there (spec/memberlist.md, 4.8)."""

from collections.abc import Callable
from dataclasses import dataclass, field

from wesher.gossip.addresses import Address
from wesher.gossip.codec import encode
from wesher.gossip.context import Context
from wesher.gossip.events import TcpOnly
from wesher.gossip.members import Member, MemberState
from wesher.gossip.messages import Suspect
from wesher.gossip.pings import PendingAck, Pings
from wesher.gossip.timers import Timer

NACKS_SINCE = 4  # the protocol version whose speakers answer with nacks
STREAM_PINGS_SINCE = 3  # and with acks to pings by TCP


@dataclass(slots=True, eq=False)
class _Round:
    """The probe of one member, as it was at the start.

    Each ping has a number of its own, so that its ack tells the round trip; what goes by way of
    others and by TCP bears the number that is awaited from the start.
    """

    member: Member
    pending: PendingAck
    began_at: float
    pinged_at: dict[int, float] = field(default_factory=dict)
    nacks_expected: int = 0
    answered_by_stream: bool = False


class Probes:
    """Probes one member per interval, and accuses those who do not answer."""

    def __init__(
        self, context: Context, pings: Pings, accuse: Callable[[Suspect, float], None]
    ) -> None:
        self._context = context
        self._timing = context.timing
        self._members = context.members
        self._outbox = context.outbox
        self._timers = context.timers
        self._awareness = context.awareness
        self._local_name = context.settings.name
        self._pings = pings
        self._wanted_pings = context.settings.pings
        self._accuse = accuse
        self._round: _Round | None = None
        self._missed = False
        self.round_trips: dict[str, float] = {}
        """The seconds that each member's last direct ack took."""
        self.answered_at: dict[str, float] = {}
        """When each member's last direct ack came, by packet."""

    def start(self, now: float) -> None:
        """Begin, at a random phase of the interval."""
        phase = self._context.rng.uniform(0, self._timing.probe_interval)
        self._timers.set(Timer.PROBE, now + phase, self._tick)

    def _tick(self, now: float) -> None:
        self._timers.set(Timer.PROBE, now + self._timing.probe_interval, self._tick)
        if self._round is not None:
            self._missed = True
            return
        self._probe_next(now)

    def _probe_next(self, now: float) -> None:
        member = self._members.next_to_probe(now, self._timing.gossip_to_the_dead)
        if member is None:
            return
        ends_at = now + self._awareness.scale(self._timing.probe_interval)
        pending = self._pings.await_ack(ends_at, self._on_ack, self._on_timeout)
        probe = self._round = _Round(member, pending, now)
        self._ask(probe, now)

    def _ask(self, probe: _Round, now: float) -> None:
        """Ping the member itself, and see to what follows if there is no ack."""
        sequence = self._pings.expect_also(probe.pending)
        probe.pinged_at[sequence] = now
        self._send_ping(probe.member, sequence)
        share = len(probe.pinged_at) / self._wanted_pings
        next_at = probe.began_at + self._timing.probe_timeout * share
        self._timers.set(Timer.PROBE_AGAIN, next_at, lambda now: self._insist(probe, now))

    def _insist(self, probe: _Round, now: float) -> None:
        """Ping again, as a packet may be lost; after the timeout try the other ways."""
        if len(probe.pinged_at) < self._wanted_pings:
            self._ask(probe, now)
        else:
            self._ask_others(probe, now)

    def _send_ping(self, member: Member, sequence: int) -> None:
        ping = self._pings.ping(sequence, member.name)
        if member.state is MemberState.ALIVE:
            self._outbox.send(ping, member.address)
            return
        # It should learn at once that it has something to refute.
        suspect = Suspect(member.incarnation, member.name, self._local_name)
        self._outbox.send_parts([encode(ping), encode(suspect)], member)

    def _ask_others(self, probe: _Round, now: float) -> None:
        """Try the other ways to the member: through members that are alive, and by TCP."""
        member, pending = probe.member, probe.pending
        if now >= pending.until:
            # It is us who are late, and timers run before what came meanwhile is read.
            self._pings.put_off(pending, now + self._timing.probe_timeout)
        for relay in self._members.choose(
            self._timing.indirect_checks,
            lambda relay: relay.state is MemberState.ALIVE and relay.name != member.name,
        ):
            nack = relay.newest_protocol >= NACKS_SINCE
            probe.nacks_expected += nack
            request = self._pings.indirect_ping(
                pending.sequence, member.name, member.addr, member.port, nack=nack
            )
            self._outbox.send(request, relay.address)
        if self._context.settings.stream_pings and member.newest_protocol >= STREAM_PINGS_SINCE:
            self._ask_by_stream(probe, now)

    def _ask_by_stream(self, probe: _Round, now: float) -> None:
        def finished(answered: bool, now: float) -> None:
            probe.answered_by_stream = answered

        member, pending = probe.member, probe.pending
        ping = self._pings.ping(pending.sequence, member.name)
        self._pings.ping_by_stream(member.address, ping, now, pending.until - now, finished)

    def _on_ack(self, source: Address, now: float) -> None:
        probe = self._round
        assert probe is not None, "a probe ends with its ack or with its silence"
        self._context.prove(probe.member, source)
        self._awareness.adjust(-1)
        self._note_round_trip(now)
        self._end(now)

    def _note_round_trip(self, now: float) -> None:
        """Remember how long the ack took, unless it came by way of others.

        One that took longer than the timeout has waited for us to read it, perhaps.
        """
        probe = self._round
        assert probe is not None, "a probe ends with its ack or with its silence"
        pinged_at = probe.pinged_at.get(probe.pending.acked)
        if pinged_at is None:
            return
        self.answered_at[probe.member.name] = now
        if now - pinged_at < self._timing.probe_timeout:
            self.round_trips[probe.member.name] = now - pinged_at
        if len(self.answered_at) >= len(self._members):  # there are some of the reaped
            self.answered_at = self._of_members(self.answered_at)
            self.round_trips = self._of_members(self.round_trips)

    def _of_members(self, known: dict[str, float]) -> dict[str, float]:
        return {name: seconds for name, seconds in known.items() if name in self._members}

    def _on_timeout(self, now: float) -> None:
        probe = self._round
        assert probe is not None, "a probe ends with its ack or with its silence"
        if probe.answered_by_stream:
            self._context.prove(probe.member, probe.member.address)
            self._awareness.adjust(-1)
            self._outbox.emit(TcpOnly(probe.member))
        else:
            self._fail(probe, now)
        self._end(now)

    def _fail(self, probe: _Round, now: float) -> None:
        """Accuse the member; ourselves too, unless our relays proved to be reachable."""
        if probe.nacks_expected:
            self._awareness.adjust(max(0, probe.nacks_expected - probe.pending.nacks))
        else:
            self._awareness.adjust(1)
        member = probe.member
        self._accuse(Suspect(member.incarnation, member.name, self._local_name), now)

    def _end(self, now: float) -> None:
        self._round = None
        self._timers.cancel(Timer.PROBE_AGAIN)
        if self._missed:
            self._missed = False
            self._probe_next(now)
