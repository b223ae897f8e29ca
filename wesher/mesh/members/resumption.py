"""After a sleep our table is old: look at another before we show it, and check what that lacks."""

from collections import deque
from collections.abc import Iterable

from wesher.base.frozen import frozen
from wesher.gossip import Address, ExchangeFinished, Members, RecordState
from wesher.mesh.base.actions import (
    Actions,
    Check,
    Exchange,
    Hide,
    Merge,
    ReadTable,
    SetTimer,
    Show,
    Timer,
)

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
