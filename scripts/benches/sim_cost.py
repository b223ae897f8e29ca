"""What a member costs its host: CPU of our own code, and memory for each member it knows."""

import gc
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random
from statistics import median
from time import process_time, process_time_ns
from typing import Any, cast

from scripts.benches.sim_tables import QUICK_SIZES, Question, Table, verdict
from scripts.benches.sim_world import (
    LATENCY,
    META,
    NEVER,
    QUIET,
    MeasuredWorld,
    push_pull_interval,
)
from tests.testbed.sim.cached_packets import CheckedWire
from tests.testbed.sim.converged import introduce, names_of, say_nothing
from tests.testbed.sim.hosts import PORT, Engine, Node
from wesher.base.frozen import replace
from wesher.gossip import WAN, Gossip, GossipSettings, Keyring, StreamRequest, pack_ip

_SIZES = (100, 1000, 10000)
_SECONDS = {100: 300.0, 1000: 60.0, 10000: 20.0}
_EXCHANGES = 5
_KEY = bytes(range(32))
_INPUTS = ("receive_packet", "receive_request", "receive_reply", "stream_failed", "handle_timer")
_OUTPUTS = ("packets_to_send", "streams_to_open", "events", "next_timer")


@dataclass(frozen=True)
class CostCase:
    """One size of cluster."""

    members: int
    seconds: float


@dataclass(frozen=True)
class Cost:
    """CPU seconds a second of one idle member, and of its push/pulls; bytes per known member."""

    gossip: float
    push_pull: float
    shared_bytes: float
    own_bytes: float


def cases(quick: bool) -> list[CostCase]:
    """Return what to measure."""
    if quick:
        return [CostCase(members, QUIET) for members in QUICK_SIZES]
    return [CostCase(members, _SECONDS[members]) for members in _SIZES]


def measure(case: CostCase) -> Cost:
    """Return what one member costs its host."""
    return Cost(
        _gossip_seconds(case) / case.members / case.seconds,
        _exchange_seconds(case.members) / push_pull_interval(case.members),
        _shared_bytes(case.members),
        _own_bytes(case.members),
    )


class _Stopwatch:
    """A Gossip whose methods are timed; the cost of looking at the clock is taken off."""

    spent = 0
    """CPU nanoseconds of all of them."""
    looks = 0

    def __init__(self, gossip: Gossip) -> None:
        for name in _INPUTS:
            setattr(self, name, self._timed(getattr(gossip, name)))
        for name in _OUTPUTS:
            setattr(self, name, self._timed(_collected(getattr(gossip, name))))

    @staticmethod
    def _timed(method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: object) -> Any:
            start = process_time_ns()
            result = method(*args)
            _Stopwatch.spent += process_time_ns() - start
            _Stopwatch.looks += 1
            return result

        return timed

    @classmethod
    def start(cls) -> None:
        """Forget what was spent so far."""
        cls.spent = cls.looks = 0

    @classmethod
    def seconds(cls) -> float:
        """Return what was spent since the start."""
        spent, looks = cls.spent, cls.looks
        nothing = cls._timed(lambda: None)
        cls.start()
        for _ in range(10000):
            nothing()
        return (spent - looks * cls.spent / cls.looks) / 1e9


def _collected(method: Callable[[], Any]) -> Callable[[], Any]:
    """Let an output be made when it is asked for, not later."""

    def collected() -> Any:
        result = method()
        return list(result) if hasattr(result, "__next__") else result

    return collected


class _TimedWorld(MeasuredWorld):
    """A world of members that do all their work themselves, each under a stopwatch."""

    def add(
        self, name: str, *, ip: str | None = None, meta: bytes = META, **settings: object
    ) -> Node:
        node = super().add(name, ip=ip, meta=meta, **settings)
        node.engine = cast(Engine, _Stopwatch(node.gossip))
        return node

    def _wire(self, number: int, keys: Sequence[bytes] = (_KEY,)) -> CheckedWire:
        return _wire(number)


def _wire(number: int) -> CheckedWire:
    """Return a Wire whose packets nobody looks into but their receivers."""
    nonces = count(number << 64)
    return CheckedWire(
        Keyring(_KEY),
        lambda: next(nonces).to_bytes(12, "big"),
    )


def _gossip_seconds(case: CostCase) -> float:
    timing = replace(WAN, push_pull_interval=NEVER)
    world = _TimedWorld.converged(case.members, 1, latency=(LATENCY, LATENCY), timing=timing)
    world.run(QUIET)
    _Stopwatch.start()
    world.run(world.now + case.seconds)
    return _Stopwatch.seconds()


def _gossips(members: int) -> list[Gossip]:
    """Return members that have announced themselves, and know nobody."""
    gossips = [_gossip(name, number) for number, name in enumerate(names_of(members))]
    for gossip in gossips:
        gossip.announce(META, 0)
    return gossips


def _gossip(name: str, number: int) -> Gossip:
    addr = pack_ip(f"10.0.{number // 250}.{number % 250 + 1}")
    return Gossip(GossipSettings(name, addr, PORT), _wire(number), Random(number))


def _exchange_seconds(members: int) -> float:
    """Return the CPU seconds that both sides of a push/pull without any news need."""
    gossips = _gossips(members)
    introduce(gossips, Random(1))
    first, second = gossips[:2]
    seconds = []
    for now in range(_EXCHANGES):
        start = process_time()
        request, reply = _asked(first, second, now, join=False)
        first.receive_reply(request.id, reply, now)
        seconds.append(process_time() - start)
    return median(seconds)


def _asked(asker: Gossip, other: Gossip, now: float, *, join: bool) -> tuple[StreamRequest, bytes]:
    """Return a request for the other's table, and the reply."""
    assert asker.local
    assert other.local
    asker.push_pull(other.local.address, now, join=join)
    (request,) = asker.streams_to_open()
    reply = other.receive_request(request.data, asker.local.address, now)
    assert reply
    return request, reply


def _shared_bytes(members: int) -> float:
    """Return what it takes to know one member if all share their records, as simulated ones do."""
    gossips = _gossips(members)
    return _bytes_taken(lambda: introduce(gossips, Random(1))) / members**2


def _own_bytes(members: int) -> float:
    """Return what it takes to know one member, as a real one does that was told by others."""
    gossips = _gossips(members)
    introduce(gossips, Random(1))
    host, newcomer = gossips[0], _gossip("newcomer", members)
    newcomer.announce(META, 0)
    request, reply = _asked(newcomer, host, 0, join=True)

    def learn() -> None:
        newcomer.receive_reply(request.id, reply, 0)
        say_nothing(newcomer)
        for drain in (newcomer.packets_to_send, newcomer.streams_to_open, newcomer.events):
            list(drain())

    return _bytes_taken(learn) / members


def _bytes_taken(action: Callable[[], None]) -> int:
    """Return how many bytes more are in use after `action`."""
    gc.collect()
    tracemalloc.start()
    action()
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return taken


def tables(measured: Mapping[CostCase, Cost]) -> list[Table]:
    """Return the table, ordered by members."""
    return [
        Table(
            "What an idle member costs its host",
            [
                "members",
                "CPU, probes and gossip",
                "CPU, push/pulls",
                "bytes a known member, simulated",
                "bytes a known member, real",
                "load",
            ],
            [_row(case, cost, measured) for case, cost in measured.items()],
        )
    ]


def _row(case: CostCase, cost: Cost, measured: Mapping[CostCase, Cost]) -> tuple[object, ...]:
    smallest = next(iter(measured.values()))
    share = f"{cost.gossip * 100:.4f} %", f"{cost.push_pull * 100:.4f} %"
    worth = verdict(cost.gossip + cost.push_pull, smallest.gossip + smallest.push_pull, _TABLES)
    return (case.members, *share, round(cost.shared_bytes), round(cost.own_bytes), worth)


_TABLES = "a push/pull carries the whole table, and all these members share the caches of one core"

QUESTION = Question(cases, measure, tables)
