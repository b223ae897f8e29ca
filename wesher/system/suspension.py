"""How long the host was suspended: the clock that asyncio uses does not count that."""

import time

LEAST = 1.0  # seconds; less is none


class Suspension:
    """Notices that the host was suspended, by the clock that counts such time."""

    def __init__(self) -> None:
        self._ahead = _ahead()

    def seconds(self) -> float:
        """Return how long the host was suspended since the last call, 0 for not at all."""
        ahead = _ahead()
        if ahead - self._ahead < LEAST:
            return 0.0
        before, self._ahead = self._ahead, ahead
        return ahead - before


def _ahead() -> float:
    """Return the seconds that the host was suspended since it started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
