"""Who had a thing first: an overlay address, a WireGuard key, a name that differs only in case.

A claim proves nothing, and a newcomer can make one that sorts before any other. So each node goes
by what it has seen: who has a thing and is there keeps it. Claims that appear together are ranked,
since nobody can know who was first: when a cluster forms, and when a node starts and hears of all
at once. When two clusters meet, each with a holder of its own, the smaller one gives way, or both
would hold on for ever; it is told by how many members appeared together with the claim. Since these
can be made up, only those count that have answered from addresses of their own.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Mapping

TOGETHER = (
    10.0  # seconds between claims of one moment: a lossy join, or a cut that heals, takes some
)


class Seniority:
    """Since when each member has had what it claims, by this node's own observation.

    Instants are those of the node's clock. A member that fails keeps its place until it is
    forgotten; one that claims another thing begins anew.
    """

    def __init__(self) -> None:
        self._since: dict[tuple[str, Hashable], float] = {}
        self._arrivals: dict[str, float] = {}
        self._in_order: list[float] = []
        self._proven: Mapping[str, str] | None = None
        self._newcomers: dict[float, int] = {}

    def note(
        self,
        claims: Iterable[tuple[str, Hashable]],
        now: float,
        proven: Mapping[str, str] | None = None,
    ) -> None:
        """Take what all members that are not forgotten claim now: names and things.

        `proven` tells from which IP address each member has answered that did; None is all did,
        each from another one.
        """
        self._proven = proven
        self._newcomers.clear()
        self._since = {claim: self._since.get(claim, now) for claim in claims}
        names = {name for name, _ in self._since}
        self._arrivals = {name: self._arrivals.get(name, now) for name in names}
        self._in_order = sorted(self._arrivals.values())

    def order(
        self, older: str, younger: str, thing: Hashable, other: Hashable | None = None
    ) -> int:
        """Compare two claims to one thing: -1 if the first has it, 1 if the second, 0 for neither.

        The second may be to an `other` thing, which cannot be had beside that one. Both must have
        been noted. With 0 their ranks decide.
        """
        other = thing if other is None else other
        first = self._since[older, thing]
        second = self._since[younger, other]
        if second < first:
            return -self.order(younger, older, other, thing)
        if second - first <= TOGETHER:
            return 0
        newcomers, established = self._sides(second)
        if newcomers < 2:
            return -1  # one alone is no cluster
        return (newcomers > established) - (newcomers < established)

    def _sides(self, moment: float) -> tuple[int, int]:
        """Return how many members appeared about then, and how many had been there before."""
        established = bisect_left(self._in_order, moment - TOGETHER)
        newcomers = bisect_right(self._in_order, moment + TOGETHER) - established
        if self._proven is not None and newcomers > 1:
            newcomers = self._proven_at(moment, self._proven)
        return newcomers, established

    def _proven_at(self, moment: float, proven: Mapping[str, str]) -> int:
        """Return from how many addresses those have answered who appeared about then."""
        if moment not in self._newcomers:
            about_then = (
                name for name, at in self._arrivals.items() if abs(at - moment) <= TOGETHER
            )
            self._newcomers[moment] = len({proven[name] for name in about_then if name in proven})
        return self._newcomers[moment]
