"""Reaching out for members that are missing while others are alive: so partitions heal."""

import random
from collections.abc import Iterable

from wesher.gossip import Address
from wesher.mesh.base.seeds import Contact

EXPEDITED = 1.0  # seconds, at most, until the next try once it looks as if the network were back
EXPEDITED_TRIES = 3.0  # seconds between two such tries
INTERVAL = 10.0  # seconds between two tries, jittered by half of it
LEAST = 5  # tries of the whole cluster in each interval, as long as anybody is missing
MOST = 4  # tries of one member
REPEATS = (1.0, 3.0, 8.0)  # seconds after a first answer
MAX_REPEATS = 32  # members at a time
PINGS = (2.0, 6.0)  # seconds after somebody's return; later returns put them off
MAX_PINGS = 4  # members at a time


class Reconnect:
    """Says whom of the missing to contact now.

    A whole cluster makes about as many tries in each interval as members are missing, however large
    it is; who is `missing` is only looked at when it is time. Somebody who has answered is asked
    again a few times: where both sides hold each other dead at equal incarnations, the first
    exchange only makes both refute themselves (spec/memberlist.md, 4.11).

    Where many return at once, the news of one of them may pass a member by. It alone holds that one
    for missing then, and would try seldom: so after returns each pings a few of those it misses.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._next_at: float | None = None
        self._hurried_at = float("-inf")
        self._repeats: dict[Address, list[float]] = {}
        self._pings_at: tuple[float, ...] = ()

    def start(self, now: float) -> None:
        """Begin; nobody is contacted before."""
        self._next_at = now + self._pause()

    def next_timer(self) -> float | None:
        """Return when `contacts` may have something to say, or None before `start`."""
        if self._next_at is None:
            return None
        repeats = (times[0] for times in self._repeats.values())
        return min([self._next_at, *repeats, *self._pings_at])

    def expedite(self, now: float) -> None:
        """Try soon: somebody who was missing is back, so that others may be, too."""
        self._pings_at = tuple(now + delay for delay in PINGS)
        if self._next_at is not None and now >= self._hurried_at + EXPEDITED_TRIES:
            self._hurried_at = now
            self._next_at = min(self._next_at, now + EXPEDITED * self._rng.random())

    def contacts(self, missing: Iterable[Contact], alive: int, now: float) -> list[Contact]:
        """Return whom to contact now, with `alive` members in the cluster, ourselves included."""
        if self._next_at is None:
            return []
        due = self._repeated(now)
        if now >= self._next_at:
            self._next_at = now + self._pause()
            due += self._some(list(missing), alive)
        return due

    def to_ping(self, missing: Iterable[Contact], now: float) -> list[Contact]:
        """Return who is to be pinged now, and contacted in case of an answer."""
        due = [at for at in self._pings_at if at <= now]
        if not due:
            return []
        self._pings_at = self._pings_at[len(due) :]
        all_missing = list(missing)
        return self._rng.sample(all_missing, min(MAX_PINGS, len(all_missing)))

    def _some(self, missing: list[Contact], alive: int) -> list[Contact]:
        """Draw whom to contact, so that all of us together contact about as many as are missing."""
        if not missing:
            return []
        share = min(MOST, max(len(missing), LEAST) / max(1, alive))
        count = int(share) + (self._rng.random() < share % 1)
        return self._rng.sample(missing, min(count, len(missing)))

    def answered(self, address: Address, now: float, *, reunited: bool) -> None:
        """Take note that `address` told us all it knows; `reunited`: and nobody is missing."""
        if reunited:
            self._repeats.pop(address, None)
        elif address not in self._repeats and len(self._repeats) < MAX_REPEATS:
            self._repeats[address] = [now + delay for delay in REPEATS]

    def _repeated(self, now: float) -> list[Contact]:
        due = [address for address, times in self._repeats.items() if times[0] <= now]
        for address in due:
            self._repeats[address].pop(0)
            if not self._repeats[address]:
                del self._repeats[address]
        return [Contact(ip, port, seed=False) for ip, port in due]

    def _pause(self) -> float:
        return INTERVAL * self._rng.uniform(0.5, 1.5)
