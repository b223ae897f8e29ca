"""What is to be done when, for gossip and mesh alike: named timers in one heap, a node's own time.

A timer has a name, so that a test or a trace can say what is pending, and so that setting it anew
replaces what waits: nobody keeps a flag beside it, or checks at its end whether it is still wanted.

A process can be stopped, and a virtual machine paused, while the clock of its driver runs on. What
others answered meanwhile waits unread, and who is late then is nobody but us. So that time is taken
off, once, by `NodeClock`: no deadline moves, and no part has to know of it.
"""

import heapq
from collections.abc import Callable, Hashable
from itertools import count
from math import inf, nextafter

Action = Callable[[float], None]
"""What to do at a time; it is given the time."""

_SLACK = 64  # replaced timers that the heap may hold beside as many as are pending


class Timers:
    """Actions by name with their times, done in the order of these."""

    def __init__(self) -> None:
        self._serials = count()
        self._pending: dict[Hashable, tuple[float, int, Action]] = {}
        self._heap: list[tuple[float, int, Hashable]] = []

    def __contains__(self, name: Hashable) -> bool:
        return name in self._pending

    def set(self, name: Hashable, when: float, action: Action) -> None:
        """Do `action` as soon as it is `when`, instead of what waits under this name."""
        serial = next(self._serials)
        self._pending[name] = (when, serial, action)
        if len(self._heap) > 2 * len(self._pending) + _SLACK:
            self._heap = [(at, number, one) for one, (at, number, _) in self._pending.items()]
            heapq.heapify(self._heap)
        else:
            heapq.heappush(self._heap, (when, serial, name))

    def cancel(self, name: Hashable) -> None:
        """Do nothing under this name."""
        self._pending.pop(name, None)

    def next(self) -> float | None:
        """Return the time of the next action."""
        while self._heap and self._is_stale(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def when(self, name: Hashable) -> float | None:
        """Return the time of what waits under this name."""
        waiting = self._pending.get(name)
        return waiting[0] if waiting else None

    def run(self, now: float) -> list[Hashable]:
        """Do all that is due; return the names."""
        ran: list[Hashable] = []
        while (when := self.next()) is not None and when <= now:
            name = heapq.heappop(self._heap)[2]
            action = self._pending.pop(name)[2]
            action(now)
            ran.append(name)
        return ran

    def pending(self) -> list[tuple[float, Hashable]]:
        """Return what waits, by time."""
        waiting = [(when, serial, name) for name, (when, serial, _) in self._pending.items()]
        return [(when, name) for when, _, name in sorted(waiting, key=lambda one: one[:2])]

    def _is_stale(self, entry: tuple[float, int, Hashable]) -> bool:
        """Tell whether a timer was set anew, or cancelled, since."""
        held = self._pending.get(entry[2])
        return held is None or held[1] != entry[1]


class NodeClock:
    """The node's time by the driver's; a timer that is `patience` late was slept through."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.behind = 0.0
        """How many seconds our time is behind the driver's: all for which we did not run."""
        self._ran_at = float("-inf")

    def time(self, now: float) -> float:
        """Return the node's time at the driver's."""
        return now - self.behind

    def driver_time(self, instant: float) -> float:
        """Return the first time of the driver at which ours is not before `instant`."""
        now = instant + self.behind
        while self.time(now) < instant:  # rounded the wrong way
            now = nextafter(now, inf)
        return now

    def missed(self, due: float | None, now: float) -> float:
        """Return for how long we did not run until now, 0 if we did, and take it off our time.

        `due` is when the node, by its own time, wanted to be woken.
        """
        time, before = self.time(now), self._ran_at
        self._ran_at = time
        if due is None:
            return 0.0
        late = time - max(due, before)  # what was overdue when it was planned is not late
        if late <= self._patience:
            return 0.0
        self.behind += late
        self._ran_at = time - late
        return late
