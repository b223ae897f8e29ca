"""How long it takes until a crash is noticed by the first member, and known to the last."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from scripts.benches.sim_tables import LOSSES, QUICK_SIZES, SIZES, Question, Table, percent, verdict
from scripts.benches.sim_world import QUIET, MeasuredWorld, Traffic, converged
from wesher.gossip import MemberFailed, MemberState

_NOTICED = {10: (60, 1), 100: (15, 5), 1000: (3, 25), 10000: (1, 75)}
"""Runs and crashes a run, to learn when the first member notices."""
_TOLD = {10: 9, 100: 5, 1000: 1, 10000: 1}
"""Runs with one crash each, to learn when everybody knows."""
_LOOK_EVERY = 0.1  # seconds
_PATIENCE = 900.0  # seconds, for the last of the members
_MANY = 10000
"""With so many members, what a simulation takes long for is left out: see `_LONG` and `_crash`."""


@dataclass(frozen=True)
class CrashCase:
    """Settled clusters of which some members crash at the same moment.

    `told` is to wait until all others have declared them dead; else only the first suspicion is
    waited for, for which nobody needs to gossip.
    """

    members: int
    loss: float
    told: bool
    runs: int
    crashes: int


_LONG = CrashCase(_MANY, 0.25, told=True, runs=1, crashes=1)
"""So many members suspect each other so often where a quarter of the packets gets lost that
simulating the two minutes until they declare anybody dead takes over an hour."""


@dataclass(frozen=True)
class CrashTimes:
    """Medians, in seconds from the crash."""

    suspected: float
    declared_first: float | None = None
    declared_last: float | None = None
    cost: Traffic | None = None
    """What each member sent because of it."""


def cases(quick: bool) -> list[CrashCase]:
    """Return what to measure, but for `_LONG`."""
    if quick:
        return [
            CrashCase(members, 0.0, told, 1, 1) for members in QUICK_SIZES for told in (False, True)
        ]
    noticed = [
        CrashCase(members, loss, False, *_NOTICED[members]) for members in SIZES for loss in LOSSES
    ]
    told = [
        CrashCase(members, loss, True, _TOLD[members], 1) for members in SIZES for loss in LOSSES
    ]
    return noticed + [case for case in told if case != _LONG]


def measure(case: CrashCase) -> CrashTimes:
    """Return the medians of all crashes of some runs."""
    times = [crash for seed in range(1, case.runs + 1) for crash in _crash(case, seed)]
    suspected = median(crash.suspected for crash in times)
    if not case.told:
        return CrashTimes(suspected)
    return CrashTimes(
        suspected,
        median(crash.declared_first for crash in times if crash.declared_first is not None),
        median(crash.declared_last for crash in times if crash.declared_last is not None),
        times[0].cost,
    )


def _crash(case: CrashCase, seed: int) -> list[CrashTimes]:
    # A push/pull could only tell of a death sooner, and costs most of the time at this size.
    push_pull = case.told and case.members < _MANY
    world = converged(case.members, seed, loss=case.loss, push_pull=push_pull, gossip=case.told)
    idle = world.traffic_of(QUIET)
    crashed_at, before = world.now, world.traffic()
    victims = sorted(world.nodes)[:: case.members // case.crashes][: case.crashes]
    world.crash(*victims)
    suspected = {name: at - crashed_at for name, at in _suspicions(world, victims)}
    if not case.told:
        return [CrashTimes(suspected[name]) for name in victims]
    deaths = {name: world.times(MemberFailed, name) for name in victims}
    witnesses = case.members - case.crashes
    world.run_until(
        lambda: all(len(times) == witnesses for times in deaths.values()), limit=_PATIENCE
    )
    world.run(world.now + QUIET)
    cost = world.traffic() - before - idle * ((world.now - crashed_at) / QUIET)
    cost *= 1 / case.crashes / witnesses
    return [
        CrashTimes(suspected[name], times[0] - crashed_at, times[-1] - crashed_at, cost)
        for name, times in deaths.items()
    ]


def _suspicions(world: MeasuredWorld, victims: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Let time pass until all victims are suspected; yield when each was."""
    trusted = set(victims)
    tables = [node.gossip.members for node in world.nodes.values() if node.up]
    while trusted:
        world.run(world.now + _LOOK_EVERY)
        for name in sorted(trusted):
            held = [member for table in tables if (member := table.get(name))]
            if any(member.state is not MemberState.ALIVE for member in held):
                trusted.remove(name)
                yield name, world.now


def tables(measured: Mapping[CrashCase, CrashTimes]) -> list[Table]:
    """Return the table, ordered by members and loss."""
    told = {(case.members, case.loss): times for case, times in measured.items() if case.told}
    rows = [
        _row(case, times, told.get((case.members, case.loss)), _smallest(case, measured))
        for case, times in measured.items()
        if not case.told
    ]
    return [
        Table(
            "Seconds from a crash until it is known (medians)",
            [
                "members",
                "loss",
                "first suspects it",
                "first declares it dead",
                "last declares it dead",
                "packets a member",
                "bytes",
                "first suspicion, against the smallest cluster",
            ],
            rows,
        )
    ]


def _smallest(case: CrashCase, measured: Mapping[CrashCase, CrashTimes]) -> CrashTimes:
    return next(times for key, times in measured.items() if key.loss == case.loss and not key.told)


def _row(
    case: CrashCase, noticed: CrashTimes, told: CrashTimes | None, smallest: CrashTimes
) -> tuple[object, ...]:
    declared: tuple[object, ...] = ("",) * 4
    if told and told.cost:
        cost = (told.cost.packets, told.cost.bytes) if case.loss == 0 else ("", "")
        declared = (told.declared_first, told.declared_last, *cost)
    worth = verdict(noticed.suspected, smallest.suspected, "few crashes were looked at")
    return (case.members, percent(case.loss), noticed.suspected, *declared, worth)


QUESTION = Question(cases, measure, tables, [_LONG])
