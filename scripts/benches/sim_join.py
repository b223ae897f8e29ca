"""How long it takes until a join is known to 50, 99 and 100 % of the members."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from scripts.benches.sim_tables import LOSSES, QUICK_SIZES, SIZES, Question, Table, percent, verdict
from scripts.benches.sim_world import converged
from wesher.gossip import MemberJoined

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
class Dissemination:
    """Seconds from the first member's acceptance until so many know."""

    half: float
    most: float
    """99 %."""
    all: float


def serf_99(members: int) -> float:
    """Return when 99 % know, in seconds, by Serf's convergence simulator (WAN), without loss."""
    return 1.5 + 0.5 * math.log10(members)


def serf_all_despite_loss(members: int) -> float:
    """Return when 99.99 % know, by the same, with 25 % loss (10,000: 5.5 to 6.5)."""
    return 3.5 + 0.5 * math.log10(members)


def cases(quick: bool) -> list[JoinCase]:
    """Return what to measure."""
    sizes = QUICK_SIZES if quick else SIZES
    return [
        JoinCase(members, loss, eager, 1 if quick else _RUNS[members])
        for members in sizes
        for loss in LOSSES
        for eager in (True, False)
    ]


def measure(case: JoinCase) -> Dissemination:
    """Return the medians of some runs."""
    spreads = [_dissemination(case, seed) for seed in range(1, case.runs + 1)]
    return Dissemination(
        median(spread.half for spread in spreads),
        median(spread.most for spread in spreads),
        median(spread.all for spread in spreads),
    )


def _dissemination(case: JoinCase, seed: int) -> Dissemination:
    world = converged(case.members, seed, eager=case.eager, loss=case.loss)
    world.run(1)
    host = sorted(world.nodes)[case.members // 2]
    world.add(_NEWCOMER)
    world.join(_NEWCOMER, host)
    times = world.times(MemberJoined, _NEWCOMER)
    world.run_until(lambda: len(times) == case.members, limit=_PATIENCE)
    return Dissemination(*(_after(times, share) for share in (0.5, 0.99, 1)))


def _after(times: list[float], share: float) -> float:
    return times[math.ceil(len(times) * share) - 1] - times[0]


def tables(measured: Mapping[JoinCase, Dissemination]) -> list[Table]:
    """Return the table, ordered by members and loss."""
    return [
        Table(
            "Seconds from the first member's acceptance of a join until so many know (medians)",
            ["members", "loss", "gossip at once", "50 %", "99 %", "100 %", "Serf", "verdict"],
            [_row(case, spread) for case, spread in measured.items()],
        )
    ]


def _row(case: JoinCase, spread: Dissemination) -> tuple[object, ...]:
    on = "on" if case.eager else "off"
    times = (spread.half, spread.most, spread.all)
    return (case.members, percent(case.loss), on, *times, *_compared(case, spread))


def _compared(case: JoinCase, spread: Dissemination) -> tuple[str, str]:
    """Compare with Serf; at 10 % loss, of which it says nothing, with what it does without."""
    if case.loss == 0.25:
        serf = serf_all_despite_loss(case.members)
        return f"99.99 %: {serf:.1f}", verdict(spread.all, serf, _SLOW)
    serf = serf_99(case.members)
    lossless = ", no loss" if case.loss else ""
    return f"99 %: {serf:.1f}{lossless}", verdict(spread.most, serf, _SLOW)


_SLOW = "its rounds alone take that long on links of 50 ms"

QUESTION = Question(cases, measure, tables)
