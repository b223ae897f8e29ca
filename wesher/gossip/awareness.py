"""How much we distrust our own view of the others (spec/memberlist.md, 4.15)."""


class Awareness:
    """Our health score: 0 is healthy; the sicker we are, the longer our probes wait."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.score = 0

    def adjust(self, delta: int) -> None:
        """Add `delta`, keeping the score from 0 to below the limit."""
        self.score = max(0, min(self.score + delta, self._limit - 1))

    def scale(self, interval: float) -> float:
        """Return `interval` stretched by our health."""
        return interval * (self.score + 1)
