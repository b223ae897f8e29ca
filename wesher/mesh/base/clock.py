"""A node's own time, which stands still while its process does not run.

A process can be stopped, and a virtual machine paused, while the clock of its driver runs on. What
others answered meanwhile waits unread, and who is late then is nobody but us. So that time is taken
off, once and here: no deadline moves, and no part has to know of it.
"""

from math import inf, nextafter


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
