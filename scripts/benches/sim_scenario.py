"""How long it takes to simulate a large cluster in which members come and go."""

from collections.abc import Mapping
from dataclasses import dataclass
from time import process_time

from scripts.benches.sim_tables import QUICK_SIZES, Question, Table, verdict
from scripts.benches.sim_world import QUIET, converged

PROMISED = 180.0  # CPU seconds for 1,000 members and ten minutes
_EVENTS = 30  # a third of them joins, leaves and crashes each


@dataclass(frozen=True)
class ScenarioCase:
    """A cluster that has known itself for long, and for how long it is simulated."""

    members: int
    seconds: float


@dataclass(frozen=True)
class Scenario:
    """CPU seconds of one core, all of the simulator's included, and the packets sent meanwhile."""

    cpu: float
    packets: int


def cases(quick: bool) -> list[ScenarioCase]:
    """Return what to simulate."""
    return [ScenarioCase(QUICK_SIZES[-1], 60.0)] if quick else [ScenarioCase(1000, 600.0)]


def measure(case: ScenarioCase) -> Scenario:
    """Simulate: every so often somebody joins, leaves or crashes; in the end all must agree."""
    start = process_time()
    world = converged(case.members, 1)
    hosts = sorted(world.nodes)
    for event in range(_EVENTS):
        world.run(world.now + (case.seconds - QUIET) / _EVENTS)
        match event % 3:
            case 0:
                world.add(f"newcomer{event}")
                world.join(f"newcomer{event}", hosts[0])
            case 1:
                world.leave(hosts.pop())
            case _:
                world.crash(hosts.pop())
    world.run(case.seconds)
    return Scenario(process_time() - start, world.stats["packets"])


def tables(measured: Mapping[ScenarioCase, Scenario]) -> list[Table]:
    """Return one table."""
    return [
        Table(
            "What simulating takes",
            ["members", "virtual minutes", "CPU seconds", "packets", "against three minutes"],
            [_row(case, found) for case, found in measured.items()],
        )
    ]


def _row(case: ScenarioCase, found: Scenario) -> tuple[object, ...]:
    worth = verdict(found.cpu, PROMISED, "this machine is slow")
    return (case.members, case.seconds / 60, found.cpu, found.packets, worth)


QUESTION = Question(cases, measure, tables)
