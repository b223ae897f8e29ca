"""Timed accusations: the more members confirm one, the sooner it ends (spec/memberlist.md, 4.7).

Whoever does not answer a probe is not dead yet: the packets may have been lost, or it is the prober
who is cut off. So everybody is told of the suspicion, and the suspect has time to hear of it and to
refute it. If that time is short, slow members are declared dead wrongly; if it is long, those who
crashed stay for long. Lifeguard's answer: begin with the long one, six times the short, and shorten
it with each *other* member that accuses as well. With a few of them it is not the prober.

    lasts(c) = longest - ln(c + 1) / ln(k + 1) * (longest - shortest),  k = suspicion_mult - 2

So the first confirmations count most: for 10 members of the WAN preset, 180 s, 115, 78, 51 and 30.
Where there are not enough members for k others to confirm, it is the short one from the start.
"""

import math
from collections.abc import Callable

from wesher.base.timers import Timers
from wesher.gossip.settings import Timer, Timing, suspicion_timeout


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


class Suspicions:
    """The suspicions that run, by the name of the suspect."""

    def __init__(
        self, timing: Timing, timers: Timers, expired: Callable[[str, float], None]
    ) -> None:
        self._timing = timing
        self._timers = timers
        self._expired = expired
        self._by_name: dict[str, Suspicion] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def deadline(self, name: str) -> float | None:
        """Return when the suspicion of `name` ends as things stand, None if there is none."""
        suspicion = self._by_name.get(name)
        return suspicion.deadline if suspicion else None

    def start(self, name: str, accuser: str, members: int, now: float) -> None:
        """Begin to suspect `name`; `expired` is called with it unless `forget` comes first."""
        self._by_name[name] = Suspicion(accuser, now, self._timing, members)
        self._set_timer(name)

    def confirm(self, name: str, accuser: str) -> bool:
        """Count another accuser; False when it is none, or one more than needed."""
        confirmed = self._by_name[name].confirm(accuser)
        if confirmed:
            self._set_timer(name)
        return confirmed

    def forget(self, name: str) -> None:
        """End the suspicion, if there is one."""
        if self._by_name.pop(name, None) is not None:
            self._timers.cancel((Timer.SUSPICION, name))

    def _set_timer(self, name: str) -> None:
        deadline = self._by_name[name].deadline
        self._timers.set((Timer.SUSPICION, name), deadline, lambda now: self._expire(name, now))

    def _expire(self, name: str, now: float) -> None:
        del self._by_name[name]
        self._expired(name, now)
