"""Timed accusations: the more members confirm one, the sooner it ends (spec/memberlist.md, 4.7)."""

import math
from collections.abc import Callable
from itertools import count

from wesher.gossip.timers import Timers
from wesher.gossip.timing import Timing, suspicion_timeout

_NO_LOOK = (math.inf, -1)


def suspicion_lasts(confirmations: int, wanted: int, shortest: float, longest: float) -> float:
    """Return the seconds from the start of a suspicion to its end.

    It shrinks from `longest` towards `shortest` with the logarithm of the confirmations, and gets
    there with the number `wanted`.
    """
    share = math.log(confirmations + 1) / math.log(wanted + 1)
    seconds = longest - share * (longest - shortest)
    return max(shortest, math.floor(1000 * seconds) / 1000)


class Suspicion:
    """One running suspicion; the size of the cluster counts as it was at the start."""

    def __init__(self, accuser: str, now: float, timing: Timing, members: int) -> None:
        wanted = timing.suspicion_mult - 2
        self._wanted = wanted if members - 2 >= wanted else 0
        self._shortest = suspicion_timeout(timing, members)
        self._longest = timing.suspicion_max_timeout_mult * self._shortest
        self._started_at = now
        self._accusers = {accuser}
        self.deadline = now + (self._longest if self._wanted else self._shortest)

    def confirm(self, accuser: str) -> bool:
        """Count another accuser; False when it is none, or one more than needed."""
        confirmations = len(self._accusers)
        if confirmations > self._wanted or accuser in self._accusers:
            return False
        self._accusers.add(accuser)
        lasts = suspicion_lasts(confirmations, self._wanted, self._shortest, self._longest)
        self.deadline = self._started_at + lasts
        return True

    def delay(self, seconds: float) -> None:
        """Count as if it had begun so much later."""
        self._started_at += seconds
        self.deadline += seconds


class Suspicions:
    """The suspicions that run, by the name of the suspect."""

    def __init__(
        self, timing: Timing, timers: Timers, expired: Callable[[str, float], None]
    ) -> None:
        self._timing = timing
        self._timers = timers
        self._expired = expired
        self._by_name: dict[str, Suspicion] = {}
        self._looks: dict[str, tuple[float, int]] = {}
        self._numbers = count()

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def deadline(self, name: str) -> float | None:
        """Return when the suspicion of `name` ends as things stand, None if there is none."""
        suspicion = self._by_name.get(name)
        return suspicion.deadline if suspicion else None

    def start(self, name: str, accuser: str, members: int, now: float) -> None:
        """Begin to suspect `name`; `expired` is called with it unless `forget` comes first."""
        self._by_name[name] = Suspicion(accuser, now, self._timing, members)
        self._plan_look(name)

    def confirm(self, name: str, accuser: str) -> bool:
        """Count another accuser; False when it is none, or one more than needed."""
        confirmed = self._by_name[name].confirm(accuser)
        if confirmed:
            self._plan_look(name)
        return confirmed

    def forget(self, name: str) -> None:
        """End the suspicion, if there is one."""
        self._by_name.pop(name, None)

    def delay(self, seconds: float) -> None:
        """Put off the end of all suspicions, like all deadlines: we were asleep for so long."""
        for suspicion in self._by_name.values():
            suspicion.delay(seconds)
        self._looks = {name: (at + seconds, number) for name, (at, number) in self._looks.items()}

    def _plan_look(self, name: str) -> None:
        """See to it that we look in time; a look too early plans the next one.

        So there is one deadline a name, however often others make us start anew.
        """
        deadline = self._by_name[name].deadline
        if deadline < self._looks.get(name, _NO_LOOK)[0]:
            number = next(self._numbers)
            self._looks[name] = (deadline, number)
            self._timers.at(deadline, lambda now: self._look(name, number, now))

    def _look(self, name: str, number: int, now: float) -> None:
        if self._looks.get(name, _NO_LOOK)[1] != number:
            return
        del self._looks[name]
        suspicion = self._by_name.get(name)
        if suspicion is None:
            return
        if suspicion.deadline > now:
            self._plan_look(name)
            return
        del self._by_name[name]
        self._expired(name, now)
