"""Whom to contact next while we know of no other live member."""

import random
from collections import deque
from collections.abc import Iterable, Sequence

from wesher.mesh.base.seeds import Contact, Seed

ROUND = 10  # contacts at a time
SEEDS = 7  # of them, when there is anybody else to contact
FIRST_WAIT = 1.0  # seconds; jitter takes off up to a half
LONGEST_WAIT = 2.0  # seconds


class JoinRetry:
    """Searches for other members with jittered exponential back-off, until one answers.

    Everybody gets a turn: seeds and remembered members are each taken round robin, the latter in
    random order, so that a cluster that restarts at once does not ask the same few.
    """

    def __init__(
        self, seeds: Sequence[Seed], saved: Iterable[tuple[str, int]], rng: random.Random
    ) -> None:
        self._rng = rng
        self._seeds = deque(Contact(seed.host, seed.port, True) for seed in dict.fromkeys(seeds))
        self._others: deque[Contact] = deque()
        self._wait = FIRST_WAIT
        self._next_at: float | None = None
        self.remember(saved)

    def replace_seeds(self, seeds: Iterable[Seed]) -> None:
        """Take turns among these seeds from now on."""
        self._seeds = deque(Contact(seed.host, seed.port, True) for seed in dict.fromkeys(seeds))

    @property
    def searching(self) -> bool:
        """Whether nobody has answered since we were last alone."""
        return self._next_at is not None

    @property
    def has_contacts(self) -> bool:
        """Whether there is anybody to contact."""
        return bool(self._seeds or self._others)

    def remember(self, addresses: Iterable[tuple[str, int]]) -> None:
        """Replace the remembered addresses (saved or failed members); old ones keep their turn."""
        wanted = dict.fromkeys(Contact(ip, port, False) for ip, port in addresses)
        for seed in self._seeds:
            wanted.pop(Contact(seed.host, seed.port, False), None)
        kept = [contact for contact in self._others if contact in wanted]
        new = list(wanted.keys() - set(kept))
        new.sort(key=lambda contact: (contact.host, contact.port))
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
        return seeds + _take(self._others, max(ROUND - len(seeds), ROUND - SEEDS))


def _take(queue: deque[Contact], count: int) -> list[Contact]:
    """Return the first `count` of `queue` and move them to its end."""
    taken = list(queue)[:count]
    queue.rotate(-len(taken))
    return taken
