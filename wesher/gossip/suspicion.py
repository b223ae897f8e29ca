"""A timed accusation: the more members confirm it, the sooner it ends (protocol, 4.7)."""

import math

from wesher.gossip.timing import Timing, suspicion_timeout


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
