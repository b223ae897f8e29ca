"""What happens when, on a clock that nobody waits for."""

import heapq
from collections.abc import Callable
from itertools import count


class Agenda:
    """Actions with their times; of two at the same time, the one planned first comes first."""

    def __init__(self) -> None:
        self.now = 0.0
        self._serials = count()
        self._heap: list[tuple[float, int, Callable[..., object], tuple[object, ...]]] = []

    def at(self, when: float, action: Callable[..., object], *args: object) -> None:
        """Do `action(*args)` when it is `when`."""
        heapq.heappush(self._heap, (when, next(self._serials), action, args))

    def later(self, delay: float, action: Callable[..., object], *args: object) -> None:
        """Do `action(*args)` after `delay` seconds."""
        heapq.heappush(self._heap, (self.now + delay, next(self._serials), action, args))

    def run(self, until: float) -> None:
        """Let time pass, and happen what is planned in it."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, action, args = heapq.heappop(heap)
            action(*args)
        self.now = max(self.now, until)
