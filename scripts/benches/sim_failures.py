"""How often healthy members are declared dead because others are overloaded."""

from collections.abc import Mapping
from dataclasses import dataclass

from scripts.benches.sim_overload import Overload, OverloadedWorld
from scripts.benches.sim_tables import Question, Table, verdict
from scripts.benches.sim_world import LATENCY
from wesher.base.frozen import replace
from wesher.gossip import PRESETS, MemberFailed, Timing

MECHANISMS = {
    "all on": {"health", "suspicion", "buddy"},
    "no local health": {"suspicion", "buddy"},
    "fixed suspicion timeout": {"health", "buddy"},
    "no buddy system": {"health", "suspicion"},
    "none: plain SWIM": set(),
}
"""Which of Lifeguard's mechanisms are on."""
_LACKING = {
    "no local health": "the overloaded do not distrust themselves",
    "fixed suspicion timeout": "who accuses gives up before it hears the answer",
    "no buddy system": "the accused learn of it late",
    "none: plain SWIM": "all three lack",
}
_PLAIN = "none: plain SWIM"
_PROMISED = 50
"""How many times fewer false failures Lifeguard promises."""
_FREE = (0.05, 4.0)
LAN_BLOCKS = (2.0, 32.0)
WAN_BLOCKS = (10.0, 160.0)
_SPARING = {"all on", "no local health", "no buddy system"}
"""What has few false failures, so that one has to look for long."""


@dataclass(frozen=True)
class FailureCase:
    """Members of which some are overloaded for some hours of virtual time."""

    preset: str
    members: int
    overload: Overload
    mechanisms: str
    hours: float


@dataclass(frozen=True)
class Failures:
    """How many an hour."""

    told: float
    """Members that were told that a healthy one is dead."""
    declared: float
    """Healthy ones that were declared dead, whoever was told; again after a refutation."""
    overloaded: float
    """Members that were told that an overloaded one is dead."""


def cases(quick: bool) -> list[FailureCase]:
    """Return what to measure."""
    if quick:
        overload = Overload(2, "packets", LAN_BLOCKS, _FREE)
        return [FailureCase("lan", 20, overload, name, 0.02) for name in ("all on", _PLAIN)]
    return [
        *(
            _case("lan", overloaded, "packets", name, long if name in _SPARING else short)
            for overloaded, long, short in ((1, 0.2, 0.1), (4, 0.1, 0.03), (16, 0.03, 0.01))
            for name in MECHANISMS
        ),
        *(
            _case("wan", 4, "packets", name, 0.5 if name in _SPARING else 0.15)
            for name in MECHANISMS
        ),
        *(_case("lan", 4, "process", name, 0.05) for name in ("all on", _PLAIN)),
    ]


def _case(preset: str, overloaded: int, way: str, mechanisms: str, hours: float) -> FailureCase:
    blocked = LAN_BLOCKS if preset == "lan" else WAN_BLOCKS
    overload = Overload(overloaded, way, blocked, _FREE)
    return FailureCase(preset, 100, overload, mechanisms, hours)


def measure(case: FailureCase) -> Failures:
    """Return the failures, false ones and those of the overloaded."""
    on = MECHANISMS[case.mechanisms]
    world = OverloadedWorld.converged(
        case.members,
        1,
        latency=(LATENCY, LATENCY),
        timing=_timing(PRESETS[case.preset], on),
        buddy="buddy" in on,
    )
    overloaded = world.overload(case.overload)
    world.run(case.hours * 3600)
    failed = [
        event.member
        for node in world.nodes.values()
        for _, event in node.events
        if isinstance(event, MemberFailed)
    ]
    false = [member for member in failed if member.name not in overloaded]
    declared = {(member.name, member.incarnation) for member in false}
    return Failures(
        len(false) / case.hours,
        len(declared) / case.hours,
        (len(failed) - len(false)) / case.hours,
    )


def _timing(preset: Timing, on: set[str]) -> Timing:
    """Return a preset without the mechanisms that are off."""
    return replace(
        preset,
        awareness_max=preset.awareness_max if "health" in on else 1,
        suspicion_max_timeout_mult=preset.suspicion_max_timeout_mult if "suspicion" in on else 1,
    )


def tables(measured: Mapping[FailureCase, Failures]) -> list[Table]:
    """Return the table, ordered by overload and mechanisms."""
    return [
        Table(
            "Failures an hour when some of 100 members are overloaded",
            [
                "preset",
                "overloaded",
                "waits",
                "seconds at a time",
                "mechanisms",
                "virtual hours",
                "healthy ones declared dead",
                "members told that a healthy one is dead",
                "members told that an overloaded one is dead",
                "compared",
                "verdict",
            ],
            [_row(case, failures, measured) for case, failures in measured.items()],
        )
    ]


def _row(
    case: FailureCase, failures: Failures, measured: Mapping[FailureCase, Failures]
) -> tuple[object, ...]:
    overload = case.overload
    return (
        case.preset,
        overload.members,
        overload.way,
        "{:g} to {:g}".format(*overload.blocked),
        case.mechanisms,
        case.hours,
        round(failures.declared),
        round(failures.told),
        round(failures.overloaded),
        *_compared(case, failures, _of(case, "all on", measured), _of(case, _PLAIN, measured)),
    )


_Seen = tuple[Failures, float]
"""What came of an overload, and of how many hours."""


def _of(case: FailureCase, mechanisms: str, measured: Mapping[FailureCase, Failures]) -> _Seen:
    """Return what came of the same overload with these mechanisms on."""
    return next(
        (failures, key.hours)
        for key, failures in measured.items()
        if (key.preset, key.overload, key.mechanisms) == (case.preset, case.overload, mechanisms)
    )


def _compared(case: FailureCase, failures: Failures, best: _Seen, plain: _Seen) -> tuple[str, str]:
    """Compare all on with Lifeguard's promise, and what lacks a mechanism with all on."""
    if case.mechanisms == "all on":
        if not plain[0].declared:
            return "nothing to prevent", verdict(failures.declared, 0)
        fewer = _times(plain[0], best)
        return f"{fewer} fewer than with none", verdict(
            failures.declared, plain[0].declared / _PROMISED
        )
    if not failures.declared:
        return "as many as with all on", verdict(0, best[0].declared)
    more = f"{_times(failures, best)} as many as with all on"
    return more, verdict(failures.declared, best[0].declared, _LACKING[case.mechanisms])


def _times(failures: Failures, best: _Seen) -> str:
    """Say how many times more were declared dead; over so many, if there were none before."""
    least, hours = best
    if least.declared:
        ratio = failures.declared / least.declared
        return f"{ratio:,.1f} times" if ratio < 10 else f"{ratio:,.0f} times"
    return f"over {failures.declared * hours:,.0f} times"


QUESTION = Question(cases, measure, tables)
