"""Scenarios as pure data: who takes part and what happens to whom when; a seed decides it all."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.testbed.sim import faults
from tests.testbed.sim.faults import Script, Step

SETTLED = 15.0  # seconds after which a cast knows each other
QUIET_START = 30.0  # seconds that a cast has before anything happens to it
SEEDLESS = 0.25  # share of scenarios in which hosts have only their state files to find others
ROOM = 1000.0  # seconds of all hosts together that one episode may take
LARGE = 100  # one of so many scenarios is large

Episode = Callable[[Script, float], float]

KINDS: dict[str, Episode] = {
    "churn": faults.churn,
    "rolling restart": faults.rolling_restart,
    "mass crash": faults.mass_crash,
    "flapping link": faults.flapping_link,
    "partition": faults.partition,
    "long partition": faults.long_partition,
    "restart at once": faults.restart_at_once,
    "join storm": faults.join_storm,
    "asymmetric cut": faults.asymmetric_cut,
    "pauses": faults.pauses,
    "sleeps": faults.sleeps,
    "slow members": faults.slow_members,
    "drift": faults.drift,
    "broken streams": faults.broken_streams,
    "bad links": faults.bad_links,
    "departures": faults.departures,
    "moves": faults.moves,
}
_WEIGHTS = {"churn": 4, "partition": 4, "departures": 3, "mass crash": 2}


@dataclass(frozen=True, slots=True)
class Scenario:
    """What one seed makes happen; every fault ends at `seconds`."""

    seed: int
    title: str
    network: tuple[tuple[str, Any], ...]
    """Options of the world."""
    steps: tuple[Step, ...]
    founders: tuple[str, ...]
    """Hosts that are seeds, so that those who start again find somebody: they run in the end."""
    seconds: float

    def lines(self) -> Iterator[str]:
        """Tell the scenario, a step a line."""
        options = ", ".join(f"{name}={value}" for name, value in self.network)
        yield f"seed {self.seed}: {self.title} ({options or 'a perfect network'})"
        yield from map(str, self.steps)
        yield f"{self.seconds:8.2f}  all faults end; {', '.join(self.founders)} run"


def scenario(seed: int, *, members: int | None = None, kinds: tuple[str, ...] = ()) -> Scenario:
    """Return the scenario of `seed`: one to three of `kinds`, any by default, partly at once."""
    rng = Random(f"scenario {seed}")
    large = seed % LARGE == LARGE - 1
    script = Script(rng, members or _size(rng, large=large), 4 * ROOM if large else ROOM)
    _enter(script, _timings(rng), _go_share(rng))
    if rng.random() < SEEDLESS:
        _restart_without_seeds(script)
    chosen = kinds or _some_kinds(rng)
    start = end = QUIET_START
    for kind in chosen:
        end = max(end, KINDS[kind](script, start))
        start = rng.uniform(start, end)
    steps = script.in_order()
    title = f"{len(script.hosts)} hosts, {', '.join(chosen)}"
    end = max(end, steps[-1].at)
    return Scenario(seed, title, _network(rng), steps, script.founders, end + 1)


def thundering_join(seed: int, members: int) -> Scenario:
    """Return a scenario in which all but the first start within a second."""
    script = Script(Random(f"thundering {seed}"), 1, ROOM)
    script.do(0, "start", "h000", timing="wan")
    end = faults.join_storm(script, 5.0, newcomers=members - 1)
    title = f"thundering join of {members}"
    return Scenario(seed, title, (), script.in_order(), script.founders, end)


def _size(rng: Random, *, large: bool) -> int:
    """Return how many to begin with: few, mostly, as most rules can be broken by few."""
    if large:
        return rng.randint(15, 40)
    return rng.choice((2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 7, 8, 10, 12))


def _some_kinds(rng: Random) -> tuple[str, ...]:
    weights = [_WEIGHTS.get(kind, 1) for kind in KINDS]
    return tuple(dict.fromkeys(rng.choices(tuple(KINDS), weights, k=rng.choice((1, 1, 2, 2, 3)))))


def _network(rng: Random) -> tuple[tuple[str, Any], ...]:
    """Return what the network is like all the time, until the faults end."""
    latency = rng.choice(((0.0005, 0.005), (0.001, 0.02), (0.01, 0.05), (0.02, 0.2), (0.05, 0.4)))
    options: list[tuple[str, object]] = [("latency", latency)]
    for name, values in (
        ("loss", (0.0, 0.0, 0.01, 0.05, 0.1, 0.25)),
        ("twice", (0.0, 0.0, 0.05, 0.2)),
        ("reorder", (0.0, 0.0, 0.05, 0.2)),
    ):
        if value := rng.choice(values):
            options.append((name, value))
    return tuple(options)


def _timings(rng: Random) -> tuple[str, ...]:
    """Return the presets that the cast uses: one, but in some scenarios a mixture."""
    return rng.choice((*3 * (("wan",),), ("lan",), ("local",), ("lan", "local"), ("wan", "lan")))


def _go_share(rng: Random) -> float:
    return rng.choice((0, 0, 0, 0.2, 0.5))


def _enter(script: Script, timings: tuple[str, ...], go_share: float) -> None:
    """Let the cast start, one after another or all at once; the first is one of ours."""
    rng = script.rng
    gap = rng.choice((0, 0.1, 1.0))
    script.timings = timings
    for index, host in enumerate(script.hosts):
        options: dict[str, object] = {"timing": rng.choice(timings)}
        if index and rng.random() < go_share:
            options["go"] = rng.choice(("v0.1.4", "current"))
        script.do(index * gap, "start", host, *script.seeds(host), **options)


def _restart_without_seeds(script: Script) -> None:
    """Let everybody who is there from the beginning go on without being told whom to join."""
    script.state_lasts = True
    for index, host in enumerate(script.hosts):
        script.do(SETTLED + index * 0.1, "forget_seeds", host)
