"""Asking members whether they are there: in turn, or many at once (spec/memberlist.md, 4.8).

`Probes` is SWIM's failure detector. Each interval the next member is pinged. If its ack does not
come within the timeout, some others are asked to ping it for us, as it may be our own way to it
that is broken, and it is pinged by TCP, as it may be UDP. If all are silent until the interval is
over, the member is accused: a suspicion, which it can refute, and not yet a death. Of whom it is
known that it only answers by TCP, our owner is told. As Lifeguard has it, a relay that hears
nothing says so (a nack): if relays are silent, too, it is us who are badly off.

A ping is repeated within the timeout, each with a number of its own (decision 17): a packet lost
here and there must not cost the help of others.

`Trials` is for a crowd (see `members`): a probe a round would take a day for some thousands. So
each is sent a ping of its own, soon and, while it is silent, twice more; then it is accused as if a
probe had failed. If it exists after all, it refutes that. Who tells us of itself by TCP comes
first: it holds its address, at least.
"""

from collections.abc import Callable, Iterable
from itertools import islice

from wesher.base.addresses import Address
from wesher.gossip.codec import encode
from wesher.gossip.context import Context
from wesher.gossip.events import NeverAnswered, TcpOnly
from wesher.gossip.members import Member, MemberState
from wesher.gossip.messages import Suspect
from wesher.gossip.pings import PendingAck, Pings
from wesher.gossip.settings import Timer

ROUND = 0.1  # seconds from one round of trials to the next
PER_ROUND = 30
"""Pings in each round. Ten thousand honest members are asked in 33 s; and if all of them started
at once, each is asked so often as well: less than what it answers (pings.ANSWERS_PER_SECOND)."""
TRIES = 3
PASS = 5.0  # seconds from one pass through all who are silent to the next, at least
NACKS_SINCE = 4  # the protocol version whose speakers answer with nacks
STREAM_PINGS_SINCE = 3  # and with acks to pings by TCP


class _Round:
    """The probe of one member, as it was at the start.

    Each ping has a number of its own, so that its ack tells the round trip; what goes by way of
    others and by TCP bears the number that is awaited from the start.
    """

    def __init__(self, member: Member, pending: PendingAck, began_at: float) -> None:
        self.member = member
        self.pending = pending
        self.began_at = began_at
        self.pinged_at: dict[int, float] = {}
        self.nacks_expected = 0
        self.answered_by_stream = False


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
        if member.newest_protocol >= STREAM_PINGS_SINCE:
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


class Trials:
    """Pings the unproven of a crowd until they answer, or have been asked three times in vain."""

    def __init__(
        self, context: Context, pings: Pings, accuse: Callable[[Suspect, float], None]
    ) -> None:
        self._context = context
        self._members = context.members
        self._proofs = context.members.proofs
        self._pings = pings
        self._accuse = accuse
        self._queue: list[str] = []  # the next one is the last
        self._tries: dict[str, int] = {}
        self._asked: dict[str, int] = {}
        self._planned = False
        self._in_vain = 0
        self._next_pass_at = 0.0

    def joined(self, name: str, *, news: bool) -> None:
        """Take a new member into the queue: anywhere, or as the next if it is `news` of its own.

        All members hear the same tables: were their order that of asking, all asked the same one.
        """
        if self._planned:
            self._queue.append(name)
            if not news:
                turn = self._context.rng.randrange(len(self._queue))
                self._queue[-1], self._queue[turn] = self._queue[turn], self._queue[-1]

    def prove(self, names: Iterable[str], now: float) -> None:
        """Ask those of these members who have never answered us, a few at a time and thrice each.

        Nothing follows from their silence.
        """
        unproven = self._proofs.unproven
        self._asked = {name: tries for name, tries in self._asked.items() if name in unproven}
        waiting = (name for name in names if self._asked.get(name, 0) < TRIES)
        for name in islice(waiting, PER_ROUND):
            self._asked[name] = self._asked.get(name, 0) + 1
            member = self._members.get(name)
            if member is not None and member.live:
                self._ping(member, now, lambda _now: None)

    def hurry(self, name: str, now: float) -> None:
        """Ask a member at once, as it has just come to us itself."""
        self.go_on(now)
        if self._planned and self._waits(name):
            self._ask(name, now)

    def hurry_if_at(self, name: str, source: Address, now: float) -> None:
        """Ask who has just pinged us in this name, if that came from the member's address.

        So two honest members that hear of each other need not both find the other in the crowd.
        """
        member = self._members.get(name)
        if member is not None and member.address.ip == source.ip:
            self.hurry(name, now)

    def go_on(self, now: float) -> None:
        """Begin as soon as there is a crowd."""
        if self._proofs.crowded and not self._planned and self._members.local is not None:
            self._planned = True
            self._next_pass_at = now + PASS
            self._fill()
            for name in filter(self._proofs.waits, self._proofs.unproven):
                self._context.broadcasts.drop(name)  # as `Context.broadcast` does from now on
            self._context.timers.set(Timer.TRIALS, now, self._tick)

    def _tick(self, now: float) -> None:
        if not self._proofs.crowded:
            self._planned = False
            self._queue, self._tries, self._in_vain = [], {}, 0
            return
        self._context.timers.set(Timer.TRIALS, now + ROUND, self._tick)
        asked = 0
        while self._queue and asked < PER_ROUND:
            name = self._queue.pop()
            if self._waits(name):
                self._ask(name, now)
                asked += 1
        if not self._queue and now >= self._next_pass_at:
            self._start_pass(now)

    def _start_pass(self, now: float) -> None:
        """Begin anew with those that were not asked often enough yet."""
        self._next_pass_at = now + PASS
        unproven = self._proofs.unproven
        self._tries = {name: tries for name, tries in self._tries.items() if name in unproven}
        self._fill()

    def _fill(self) -> None:
        """Line up who is to be asked, at random, but those whom our owner relies on first."""
        self._queue = [name for name in self._proofs.unproven if self._waits(name)]
        self._context.rng.shuffle(self._queue)
        self._queue.sort(key=lambda name: name in self._proofs.vouched)

    def _waits(self, name: str) -> bool:
        member = self._members.get(name)
        if member is None or not member.live or name not in self._proofs.unproven:
            return False
        return self._tries.get(name, 0) < TRIES

    def _ask(self, name: str, now: float) -> None:
        member = self._members.get(name)
        assert member is not None, "who waits is a member"
        tries = self._tries[name] = self._tries.get(name, 0) + 1

        def on_timeout(now: float) -> None:
            if tries >= TRIES and name in self._proofs.unproven:
                suspect = Suspect(member.incarnation, name, self._context.settings.name)
                # Nobody is told but itself: if it exists, it has something to refute.
                self._context.outbox.send_parts([encode(suspect)], member)
                self._accuse(suspect, now)
                self._in_vain += 1
                self._context.outbox.emit_bounded(NeverAnswered(self._in_vain))

        self._ping(member, now, on_timeout)

    def _ping(self, member: Member, now: float, on_timeout: Callable[[float], None]) -> None:
        """Ping a member that its ack will prove."""

        def on_ack(source: Address, _now: float) -> None:
            self._context.prove(member, source)

        until = now + self._context.timing.probe_timeout
        pending = self._pings.await_ack(until, on_ack, on_timeout)
        # Without news: most of those who are asked may not exist.
        ping = self._pings.ping(pending.sequence, member.name)
        self._context.outbox.send_parts([encode(ping)], member)
