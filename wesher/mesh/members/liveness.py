"""Whether a member is there: asked of itself, and of all of them after we did not run for a while.

What somebody says of a member may be old. So where much depends on it, the member is asked, at the
address and under the name that are in question: by packet and by TCP, as a firewall may let only
one of them pass.

After a sleep our own table is old. Then we look at another before we show ours, and ask those whom
that lacks: so nobody who has left meanwhile comes back by us.
"""

from collections import deque
from collections.abc import Iterable
from itertools import count

from wesher.base.frozen import frozen
from wesher.gossip import Address, ExchangeFinished, Members, PingFinished, RecordState
from wesher.mesh.base.actions import (
    Actions,
    Check,
    Checked,
    Exchange,
    Hide,
    Merge,
    Ping,
    ReadTable,
    SetTimer,
    Show,
    Timer,
)

MAX_CHECKS = 64  # at a time: whoever has the key can make us ask


@frozen
class _Asked:
    """The purpose of two pings; `serial` tells those of one check from those of its like."""

    serial: int
    check: Check


class LivenessChecks:
    """Pings by packet and by TCP; the first answer counts, silence only when both are silent.

    Whose address and name are being asked already is not asked again, nor is one too many.
    """

    def __init__(self) -> None:
        self._serials = count()
        self._silent: dict[_Asked, int] = {}
        self._subjects: set[tuple[Address, str]] = set()

    def begin(self, check: Check) -> Actions:
        """Ask for the name at the address."""
        subject = (check.address, check.name)
        if subject in self._subjects or len(self._subjects) >= MAX_CHECKS:
            yield Checked(check.about, None)
            return
        asked = _Asked(next(self._serials), check)
        self._subjects.add(subject)
        self._silent[asked] = 0
        yield Ping(check.address, check.name, asked)
        yield Ping(check.address, check.name, asked, stream=True)

    def pinged(self, event: PingFinished) -> Actions:
        """Take the outcome of a ping in."""
        asked = event.purpose
        if not isinstance(asked, _Asked) or asked not in self._silent:
            return
        answered = event.seconds is not None
        self._silent[asked] += 1
        if answered or self._silent[asked] == 2:
            del self._silent[asked]
            self._subjects.discard((asked.check.address, asked.check.name))
            yield Checked(asked.check.about, answered)


LOOKS = 3  # members at a time
LOOK_AGAIN = 2.0  # seconds until others are asked, while nobody has answered
LOOK_PATIENCE = 30.0  # seconds until we go on without an answer
ASK_AGAIN = 10.0  # seconds until a member that is silent is asked once more

_PRESENT = (RecordState.ALIVE, RecordState.SUSPECT)


@frozen
class AfterSleep:
    """Whether a member is still there, which nobody else's table shows, is being asked."""

    name: str


@frozen
class _LookAfterSleep:
    """The purpose of looks at the tables of others."""


class Resumption:
    """Withholds each member from our tables until another table shows it, or it answers itself.

    So nobody who has left meanwhile comes back by us. `table` is gossip's.
    """

    def __init__(self, table: Members) -> None:
        self._table = table
        self._hidden: set[str] = set()
        self._looking_until: float | None = None
        self._looked = False
        self._unsure: deque[str] = deque()

    def resumed(self, now: float) -> Actions:
        """Begin; we did not run until now."""
        local = self._table.local
        self._hidden = {one.name for one in self._table if one.live and one is not local}
        yield Hide(tuple(self._hidden))
        if local is None or not self._hidden:
            return
        self._unsure.clear()
        self._looking_until = now + LOOK_PATIENCE
        self._looked = False
        yield SetTimer(Timer.RESUMPTION, now)

    def go_on(self, elsewhere: Iterable[Address], now: float) -> Actions:
        """Look at others, or ask the members that they lack.

        When no member answers, those are asked who are `elsewhere`.
        """
        if self._looking_until is None:
            yield from self._ask()
        elif now >= self._looking_until:
            yield from self._check_the_rest(now)
        else:
            yield from self._look(elsewhere, now)

    def exchanged(self, event: ExchangeFinished) -> Actions:
        """Take in what a look of ours has brought."""
        if isinstance(event.purpose, _LookAfterSleep) and event.error is None and not event.own:
            yield Merge(event)

    def merged(self, event: ExchangeFinished, now: float) -> Actions:
        """Go on, now that the table of a look has been taken over."""
        for record in event.records:
            if record.state in _PRESENT:
                yield from self.is_there(record.name)
        if self._looking_until is not None:
            yield Exchange(event.to)
            yield from self._check_the_rest(now)

    def is_there(self, name: str) -> Actions:
        """Take note that a member is there."""
        if name in self._hidden:
            self._hidden.discard(name)
            yield Show(name)

    def after_sleep(self, about: AfterSleep, answered: bool | None, now: float) -> Actions:
        """Take note of whether a member is still there; None is that it could not be asked."""
        if answered:
            yield from self.is_there(about.name)
            return
        if not self._unsure:
            wait = LOOK_AGAIN if answered is None else ASK_AGAIN
            yield SetTimer(Timer.RESUMPTION, now + wait)
        self._unsure.append(about.name)

    def _look(self, elsewhere: Iterable[Address], now: float) -> Actions:
        members = self._table.choose(LOOKS, lambda member: member.live)
        addresses = [member.address for member in members]
        if self._looked:
            addresses += elsewhere
        self._looked = True
        for address in dict.fromkeys(addresses):
            yield ReadTable(address, _LookAfterSleep())
        yield SetTimer(Timer.RESUMPTION, now + LOOK_AGAIN)

    def _check_the_rest(self, now: float) -> Actions:
        self._looking_until = None
        self._unsure.extend(sorted(self._hidden))
        yield SetTimer(Timer.RESUMPTION, now)

    def _ask(self) -> Actions:
        """Ask the members in doubt."""
        unsure, self._unsure = self._unsure, deque()
        for name in unsure:
            member = self._table.get(name)
            if member is not None and member.live and name in self._hidden:
                yield Check(member.address, name, AfterSleep(name))
