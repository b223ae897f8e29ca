"""Whom to contact when: while we are alone, and while some are missing.

Alone, a member tries its seeds and those it knew, with jittered exponential back-off, until one of
them answers. In company, the missing are tried by all together, so that partitions heal: at a rate
that does not grow with the cluster, and faster for a moment when somebody is back.
"""

import random
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TypeVar

from wesher.gossip import Address
from wesher.mesh.base.seeds import Contact, Seed

T = TypeVar("T")

ROUND = 10  # contacts at a time
SEEDS = 7  # of them, when there is anybody else to contact
FIRST_WAIT = 1.0  # seconds; jitter takes off up to a half
LONGEST_WAIT = 2.0  # seconds


class JoinRetry:
    """Searches for other members with jittered exponential back-off, until one answers.

    Everybody gets a turn: seeds and remembered members are each taken round robin, the latter in
    random order, so that a cluster that restarts at once does not ask the same few.
    """

    def __init__(self, seeds: Sequence[Seed], saved: Iterable[Address], rng: random.Random) -> None:
        self._rng = rng
        self._seeds = deque(dict.fromkeys(seeds))
        self._others: deque[Address] = deque()
        self._wait = FIRST_WAIT
        self._next_at: float | None = None
        self.remember(saved)

    def replace_seeds(self, seeds: Iterable[Seed]) -> None:
        """Take turns among these seeds from now on."""
        self._seeds = deque(dict.fromkeys(seeds))

    @property
    def searching(self) -> bool:
        """Whether nobody has answered since we were last alone."""
        return self._next_at is not None

    @property
    def has_contacts(self) -> bool:
        """Whether there is anybody to contact."""
        return bool(self._seeds or self._others)

    def remember(self, addresses: Iterable[Address]) -> None:
        """Replace the remembered addresses (saved or failed members); old ones keep their turn."""
        wanted = set(addresses) - {seed.address for seed in self._seeds}
        kept = [address for address in self._others if address in wanted]
        new = sorted(wanted - set(kept))
        self._rng.shuffle(new)
        self._others = deque(kept + new)

    def alone(self, now: float) -> None:
        """Start to search at once, unless we already do."""
        if self._next_at is None:
            self._wait = FIRST_WAIT
            self._next_at = now

    def answered(self) -> None:
        """Stop: another live member answered."""
        self._next_at = None

    def next_timer(self) -> float | None:
        """Return when `contacts` has something to say, or None while nobody is searched for."""
        return self._next_at

    def contacts(self, now: float, *, every_seed: bool = False) -> list[Contact]:
        """Return whom to contact now, nobody before it is time, and put off the next round.

        One round holds a few contacts, unless it must not miss a seed.
        """
        if self._next_at is None or now < self._next_at:
            return []
        self._next_at = now + self._rng.uniform(self._wait / 2, self._wait)
        self._wait = min(2 * self._wait, LONGEST_WAIT)
        room = SEEDS if self._others else ROUND
        seeds = _take(self._seeds, len(self._seeds) if every_seed else room)
        return [*seeds, *_take(self._others, max(ROUND - len(seeds), ROUND - SEEDS))]


def _take(queue: deque[T], count: int) -> list[T]:
    """Return the first `count` of `queue` and move them to its end."""
    taken = list(queue)[:count]
    queue.rotate(-len(taken))
    return taken


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
        due: list[Contact] = [*self._repeated(now)]
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

    def _repeated(self, now: float) -> list[Address]:
        due = [address for address, times in self._repeats.items() if times[0] <= now]
        for address in due:
            self._repeats[address].pop(0)
            if not self._repeats[address]:
                del self._repeats[address]
        return due

    def _pause(self) -> float:
        return INTERVAL * self._rng.uniform(0.5, 1.5)
