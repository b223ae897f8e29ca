"""How long it takes until a join is known to 50, 99 and 100 % of the members."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from scripts.benches.sim_tables import LOSSES, QUICK_SIZES, SIZES, Question, Table, percent, verdict
from scripts.benches.sim_world import converged
from wesher.gossip import MemberJoined

SERF_99 = {10: 2.0, 100: 2.5, 1000: 3.0, 10000: 3.5}
"""Seconds until 99 % know, by Serf's convergence simulator (WAN), without loss."""
SERF_ALL_DESPITE_LOSS = {10: 4.0, 100: 4.5, 1000: 5.0, 10000: 5.5}
"""Seconds until 99.99 % know, by the same, with 25 % loss; the last is given as 5.5 to 6.5."""
_RUNS = {10: 25, 100: 11, 1000: 5, 10000: 1}
_NEWCOMER = "newcomer"
_PATIENCE = 900.0  # seconds, for the last of the members


@dataclass(frozen=True)
class JoinCase:
    """Newcomers of settled clusters, one a run, with gossip at once (`eager`) or without."""

    members: int
    loss: float
    eager: bool
    runs: int


@dataclass(frozen=True)
class Spread:
    """Seconds from the first member's acceptance until so many know."""

    half: float
    most: float
    """99 %."""
    all: float


def cases(quick: bool) -> list[JoinCase]:
    """Return what to measure."""
    sizes = QUICK_SIZES if quick else SIZES
    return [
        JoinCase(members, loss, eager, 1 if quick else _RUNS[members])
        for members in sizes
        for loss in LOSSES
        for eager in (True, False)
    ]


def measure(case: JoinCase) -> Spread:
    """Return the medians of some runs."""
    spreads = [_spread(case, seed) for seed in range(1, case.runs + 1)]
    return Spread(
        median(spread.half for spread in spreads),
        median(spread.most for spread in spreads),
        median(spread.all for spread in spreads),
    )


def _spread(case: JoinCase, seed: int) -> Spread:
    world = converged(case.members, seed, eager=case.eager, loss=case.loss)
    world.run(1)
    host = sorted(world.nodes)[case.members // 2]
    world.add(_NEWCOMER)
    world.join(_NEWCOMER, host)
    times = world.times(MemberJoined, _NEWCOMER)
    world.run_until(lambda: len(times) == case.members, limit=_PATIENCE)
    return Spread(*(_after(times, share) for share in (0.5, 0.99, 1)))


def _after(times: list[float], share: float) -> float:
    return times[math.ceil(len(times) * share) - 1] - times[0]


def tables(measured: Mapping[JoinCase, Spread]) -> list[Table]:
    """Return the table, ordered by members and loss."""
    return [
        Table(
            "Seconds from the first member's acceptance of a join until so many know (medians)",
            ["members", "loss", "gossip at once", "50 %", "99 %", "100 %", "Serf", "verdict"],
            [_row(case, spread, measured) for case, spread in measured.items()],
        )
    ]


def _row(case: JoinCase, spread: Spread, measured: Mapping[JoinCase, Spread]) -> tuple[object, ...]:
    serf, worth = _compared(case, spread, measured)
    on = "on" if case.eager else "off"
    return (case.members, percent(case.loss), on, spread.half, spread.most, spread.all, serf, worth)


def _compared(
    case: JoinCase, spread: Spread, measured: Mapping[JoinCase, Spread]
) -> tuple[str, str]:
    if case.loss == 0 and case.members in SERF_99:
        serf = SERF_99[case.members]
        return f"99 %: {serf}", verdict(spread.most, serf, _SLOW)
    if case.loss == 0.25 and case.members in SERF_ALL_DESPITE_LOSS:
        serf = SERF_ALL_DESPITE_LOSS[case.members]
        return f"99.99 %: {serf}", verdict(spread.all, serf, _SLOW)
    if not case.eager:
        return "", ""
    plain = next(
        other
        for key, other in measured.items()
        if (key.members, key.loss, key.eager) == (case.members, case.loss, False)
    )
    return "", f"{verdict(spread.most, plain.most, _SLOW)} than off"


_SLOW = "its periodic rounds alone take that long at 50 ms a hop"

QUESTION = Question(cases, measure, tables)
