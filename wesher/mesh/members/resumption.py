"""After a sleep our table is old: look at another before we show it, and check what that lacks."""

from collections import deque
from collections.abc import Callable

from wesher.gossip import Address, ExchangeFinished, Gossip, Member, RecordState
from wesher.mesh.members.liveness_checks import LivenessChecks

LOOKS = 3  # members at a time
LOOK_AGAIN = 2.0  # seconds until others are asked, while nobody has answered
LOOK_PATIENCE = 30.0  # seconds until we go on without an answer
ASK_AGAIN = 10.0  # seconds until a member that is silent is asked once more

_PRESENT = (RecordState.ALIVE, RecordState.SUSPECT)


class Resumption:
    """Withholds each member from our tables until another table shows it, or it answers itself.

    So nobody who has left meanwhile comes back by us. `elsewhere` returns whom to ask besides the
    members, when none of these answers.
    """

    def __init__(
        self,
        gossip: Gossip,
        liveness_checks: LivenessChecks,
        elsewhere: Callable[[], list[Address]],
    ) -> None:
        self._gossip = gossip
        self._liveness_checks = liveness_checks
        self._elsewhere = elsewhere
        self._hidden: set[str] = set()
        self._looks: set[int] = set()
        self._looking_until: float | None = None
        self._looked = False
        self._unsure: deque[str] = deque()
        self._next_at: float | None = None

    def resumed(self, now: float) -> None:
        """Begin; we did not run until now."""
        local = self._gossip.local
        self._hidden = {one.name for one in self._gossip.members if one.live and one is not local}
        self._gossip.hide(self._hidden)
        if local is None or not self._hidden:
            return
        self._unsure.clear()
        self._looking_until = now + LOOK_PATIENCE
        self._looked = False
        self._next_at = now

    def next_timer(self) -> float | None:
        """Return when `advance` has something to do, None for never."""
        return self._next_at

    def advance(self, now: float) -> None:
        """Look at others, or ask the members that they lack."""
        if self._next_at is None or now < self._next_at:
            return
        self._next_at = None
        if self._looking_until is None:
            self._ask(now)
        elif now >= self._looking_until:
            self._check_the_rest(now)
        else:
            self._look(now)

    def finished(self, event: ExchangeFinished, now: float) -> None:
        """Take in what a look of ours has brought."""
        if event.exchange not in self._looks:
            return
        self._looks.discard(event.exchange)
        if event.error is not None or event.own or not self._gossip.merge(event, now):
            return
        for record in event.records:
            if record.state in _PRESENT:
                self._hidden.discard(record.name)
        if self._looking_until is not None:
            self._gossip.push_pull(event.to, now, join=True)
            self._check_the_rest(now)

    def returned(self, member: Member) -> None:
        """Take note that a member has just said that it is there."""
        self._hidden.discard(member.name)

    def _look(self, now: float) -> None:
        members = self._gossip.members.choose(LOOKS, lambda member: member.live)
        addresses = [member.address for member in members]
        if self._looked:
            addresses += self._elsewhere()
        self._looked = True
        for address in dict.fromkeys(addresses):
            self._looks.add(self._gossip.push_pull(address, now, join=False, look=True))
        self._next_at = now + LOOK_AGAIN

    def _check_the_rest(self, now: float) -> None:
        self._looking_until = None
        self._unsure.extend(sorted(self._hidden))
        self._next_at = now

    def _ask(self, now: float) -> None:
        """Ask as many of the members in doubt as may be asked at a time."""
        while self._unsure:
            name = self._unsure[0]
            member = self._gossip.members.get(name)
            if member is not None and member.live and name in self._hidden:
                then = self._judge(name)
                if not self._liveness_checks.ask(member.address, name, now, then):
                    self._next_at = now + LOOK_AGAIN
                    return
            self._unsure.popleft()

    def _judge(self, name: str) -> Callable[[bool, float], None]:
        def then(answered: bool, now: float) -> None:
            if answered:
                self._hidden.discard(name)
            else:
                self._unsure.append(name)
                self._next_at = now + ASK_AGAIN if self._next_at is None else self._next_at

        return then
