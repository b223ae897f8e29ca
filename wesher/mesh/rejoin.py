"""Whom to contact next while we know of no other live member."""

import random
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from wesher.mesh.names import is_host_name

ROUND = 10  # contacts at a time
SEEDS = 7  # of them, when there is anybody else to contact
FIRST_WAIT = 1.0  # seconds; jitter takes off up to a half
LONGEST_WAIT = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Seed:
    """A host given by the operator: a name, looked up anew for every attempt, or an address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody to contact now; `seed` tells the operator's own from remembered members."""

    host: str
    port: int
    seed: bool


def parse_seed(text: str, default_port: int) -> Seed:
    """Read `HOST`, `HOST:PORT`, `[IPV6]`, `[IPV6]:PORT` or a bare IPv6 address.

    Raises ValueError with a text for the operator.
    """
    host, port = _split_port(text.strip())
    if not host:
        raise ValueError(f"{text!r} lacks a host")
    if not _is_address(host) and not is_host_name(host.removesuffix(".")):
        raise ValueError(f"{host!r} is neither an IP address nor a host name")
    return Seed(host, default_port if port is None else _parse_port(port, text))


class Rejoin:
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


def _split_port(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not [IPV6] or [IPV6]:PORT")
        if ":" not in host:
            raise ValueError(f"{text!r}: only IPv6 addresses go in brackets")
        return host, rest[1:] if rest else None
    if text.count(":") > 1:
        return text, None
    host, colon, port = text.partition(":")
    return host, port if colon else None


def _parse_port(port: str, text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ValueError(f"{text!r}: a port is a number from 1 to 65535")
    return int(port)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
