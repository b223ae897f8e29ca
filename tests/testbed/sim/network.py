"""The network between hosts: how long packets and streams take, and what goes wrong on the way."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random

from wesher.base.frozen import replace

Latency = tuple[float, float] | Callable[[Random], float]
"""Seconds one way: evenly distributed between two bounds, or drawn by a function."""

HELD_BACK = 5.0  # times the usual latency, what one more packet overtakes may take at most
CONNECT_RETRY = 1.0  # seconds until a lost SYN is repeated (RFC 6298)
DATA_RETRY = 0.2  # seconds until lost data is repeated, as Linux does at the earliest
MAX_RETRIES = 6  # each after twice the time of the one before


@dataclass(frozen=True, slots=True)
class Link:
    """What the way between two hosts is like, in either direction."""

    latency: Latency
    loss: float = 0.0
    twice: float = 0.0
    reorder: float = 0.0
    max_packet: int | None = None
    """Bytes; larger packets vanish."""

    def delay(self, rng: Random) -> float:
        """Draw how long one packet takes."""
        if callable(self.latency):
            return self.latency(rng)
        low, high = self.latency
        return low + (high - low) * rng.random()


class Network:
    """All links, by the hosts at their ends, and which of them are cut."""

    def __init__(self, rng: Random, usual: Link) -> None:
        self._rng = rng
        self.usual = usual
        self._links: dict[frozenset[str], Link] = {}
        self._groups: dict[str, int] = {}
        self._cuts: list[tuple[frozenset[str], frozenset[str]]] = []
        self._stream_faults: dict[frozenset[str], str] = {}

    # What happens to it

    def set_link(self, a: str, b: str, **changes: object) -> None:
        """Change the link between `a` and `b`; what is not named stays as it is."""
        pair = frozenset((a, b))
        self._links[pair] = replace(self._links.get(pair, self.usual), **changes)

    def set_streams(self, a: str, b: str, fault: str | None) -> None:
        """Let streams between `a` and `b` "stall", "break" or be "refuse"d; None repairs them."""
        assert fault in ("stall", "break", "refuse", None), fault
        pair = frozenset((a, b))
        if fault is None:
            self._stream_faults.pop(pair, None)
        else:
            self._stream_faults[pair] = fault

    def part(self, groups: Iterable[Iterable[str]]) -> None:
        """Let nothing pass between groups; hosts that are in none of them are one more."""
        self._groups = {host: index for index, group in enumerate(groups) for host in group}

    def cut(self, sources: Iterable[str], targets: Iterable[str]) -> None:
        """Let nothing pass from `sources` to `targets`, whatever passes the other way."""
        self._cuts.append((frozenset(sources), frozenset(targets)))

    def heal(self) -> None:
        """End all partitions and cuts; links and streams stay what they are."""
        self._groups = {}
        self._cuts = []

    def calm(self) -> None:
        """End all that is wrong with it; only the usual latency stays."""
        self.heal()
        self.usual = Link(self.usual.latency)
        self._links = {}
        self._stream_faults = {}

    # What it does

    def passes(self, source: str, target: str) -> bool:
        """Tell whether anything gets from `source` to `target` at all."""
        if self._groups and self._groups.get(source, -1) != self._groups.get(target, -1):
            return False
        return not any(source in sources and target in to for sources, to in self._cuts)

    def link(self, a: str, b: str) -> Link:
        """Return the link between `a` and `b`."""
        if not self._links:
            return self.usual
        return self._links.get(frozenset((a, b)), self.usual)

    def stream_fault(self, a: str, b: str) -> str | None:
        """Return what is wrong with streams between `a` and `b`."""
        return self._stream_faults.get(frozenset((a, b)))

    def packet(self, source: str, target: str, size: int) -> list[float]:
        """Return after how many seconds a packet arrives: never, once or twice."""
        if not self.passes(source, target):
            return []
        link, rng = self.link(source, target), self._rng
        if link.max_packet is not None and size > link.max_packet:
            return []
        copies = 2 if link.twice and rng.random() < link.twice else 1
        return [
            self._delay(link) for _ in range(copies) if not link.loss or rng.random() >= link.loss
        ]

    def _delay(self, link: Link) -> float:
        delay = link.delay(self._rng)
        if link.reorder and self._rng.random() < link.reorder:
            delay *= 1 + self._rng.random() * (HELD_BACK - 1)
        return delay

    def connect(self, a: str, b: str) -> float | None:
        """Return how long it takes `a` to open a stream to `b`, None for ever."""
        if not self.passes(a, b) or not self.passes(b, a):
            return None
        there = self._repeated(a, b, CONNECT_RETRY)
        back = self._repeated(b, a, CONNECT_RETRY)
        return None if there is None or back is None else there + back

    def carry(self, a: str, b: str) -> float | None:
        """Return how long what `a` writes into a stream to `b` takes, None for ever."""
        if not self.passes(a, b) or not self.passes(b, a):
            return None
        return self._repeated(a, b, DATA_RETRY)

    def _repeated(self, source: str, target: str, retry: float) -> float | None:
        """Return how long something takes that is sent again until it arrives."""
        link, waited = self.link(source, target), 0.0
        for attempt in range(MAX_RETRIES + 1):
            if not link.loss or self._rng.random() >= link.loss:
                return waited + link.delay(self._rng)
            waited += retry * 2**attempt
        return None
