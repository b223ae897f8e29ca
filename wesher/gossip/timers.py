"""What is to be done when."""

import heapq
from collections.abc import Callable
from itertools import count

Action = Callable[[float], None]
"""What to do at a time; it is given the time."""


class Timers:
    """Actions with their times, done in the order of these.

    None is ever taken back: an action checks for itself whether it is still wanted.
    """

    def __init__(self) -> None:
        self._serials = count()
        self._heap: list[tuple[float, int, Action]] = []

    def at(self, when: float, action: Action) -> None:
        """Do `action` as soon as it is `when`."""
        heapq.heappush(self._heap, (when, next(self._serials), action))

    def delay(self, seconds: float) -> None:
        """Put off everything: we were asleep for so long."""
        # The order stays what it was, so the heap stays a heap.
        self._heap = [(when + seconds, serial, action) for when, serial, action in self._heap]

    def next(self) -> float | None:
        """Return the time of the next action."""
        return self._heap[0][0] if self._heap else None

    def run(self, now: float) -> None:
        """Do all that is due."""
        while self._heap and self._heap[0][0] <= now:
            action = heapq.heappop(self._heap)[2]
            action(now)
