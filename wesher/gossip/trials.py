"""Asking those who came in a crowd whether they are there, many at once.

A probe a round would take a day for some thousands. So each is sent a ping of its own, soon and,
while it is silent, twice more; then it is accused as if a probe had failed. If it exists after all,
it refutes that. Who tells us of itself by TCP comes first: it holds its address, at least.
"""

from collections.abc import Callable

from wesher.gossip.addresses import Address
from wesher.gossip.codec import encode
from wesher.gossip.context import Context
from wesher.gossip.events import NeverAnswered
from wesher.gossip.messages import Suspect
from wesher.gossip.pings import Pings
from wesher.gossip.timers import Timer

ROUND = 0.1  # seconds
PER_ROUND = 30
"""Pings in each round. Ten thousand honest members are asked in 33 s; and if all of them started
at once, each is asked so often as well: less than what it answers (pings.ANSWERS_PER_SECOND)."""
TRIES = 3
PASS = 5.0  # seconds from one pass through all who are silent to the next, at least


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
                self._context.broadcasts.drop(name)  # as `Shared.broadcast` does from now on
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

        def on_ack(source: Address, _now: float) -> None:
            self._context.prove(member, source)

        def on_timeout(now: float) -> None:
            if tries >= TRIES and name in self._proofs.unproven:
                suspect = Suspect(member.incarnation, name, self._context.settings.name)
                # Nobody is told but itself: if it exists, it has something to refute.
                self._context.outbox.send_parts([encode(suspect)], member)
                self._accuse(suspect, now)
                self._in_vain += 1
                self._context.outbox.emit_bounded(NeverAnswered(self._in_vain))

        pending = self._pings.await_ack(
            now + self._context.timing.probe_timeout, on_ack, on_timeout
        )
        # Without news: most of those who are asked may not exist.
        ping = self._pings.ping(pending.sequence, name)
        self._context.outbox.send_parts([encode(ping)], member)
