"""One seed decides everything: the same seed, the same run, byte for byte, in any process."""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from tests.testbed.sim.mesh_world import MeshWorld
from tests.testbed.sim.world import World

ROOT = Path(__file__).parents[2]
DIGEST = "from tests.sim.test_replay import eventful; print(eventful(7).digest())"


def eventful(seed: int, *, trace: bool = False) -> MeshWorld:
    """Return a world to which everything has happened that can happen."""
    world = MeshWorld(seed, loss=0.05, twice=0.05, reorder=0.1, latency=(0.001, 0.1), trace=trace)
    world.names["seed.example"] = ["192.168.0.2"]
    world.start("a")
    for host, go in zip("bcdefg", [None, None, "v0.1.4", None, "current", None], strict=True):
        world.start(host, "a", "seed.example", go=go)
    world.run(10)
    world.crash("b", "d")
    world.pause("c")
    world.slow("e", 0.1)
    world.drift("g", 1.1)
    world.run(40)
    world.restart("b")
    world.resume("c")
    world.part("abc", "defg")
    world.run(100)
    world.heal()
    world.cut("a", "g")
    world.streams("a", "c", "break")
    world.link("a", "f", loss=0.5, max_packet=500)
    world.stop("e")
    world.suspend("c")
    world.run(130)
    world.wake("c")
    world.heal()
    world.run(160)
    return world


def test_the_same_seed_gives_the_same_trace() -> None:
    first, second = eventful(3, trace=True), eventful(3, trace=True)

    assert first.history(10_000) == second.history(10_000)
    assert first.digest() == second.digest()


def test_another_seed_gives_another_trace() -> None:
    assert eventful(3).digest() != eventful(4).digest()


def test_the_same_seed_gives_the_same_trace_in_processes_that_hash_differently() -> None:
    digests = {_digest_with(hash_seed) for hash_seed in ("1", "2")}

    assert digests == {eventful(7).digest()}


def _digest_with(hash_seed: str) -> str:
    process = subprocess.run(
        [sys.executable, "-c", DIGEST],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return process.stdout.strip()


def test_packets_are_in_the_history_of_a_trace_that_is_asked_for() -> None:
    short, full = (World.converged(2, seed=1, trace=trace) for trace in (False, True))
    for world in (short, full):
        world.run(6)
        world.crash("node00001")

    assert short.history()[-1] == f"{6:12.4f}  crashes: node00001"
    assert not any(" > " in line for line in short.history())
    assert any(" > " in line for line in full.history())
    assert short.digest() == full.digest()


def test_history_is_as_short_as_wanted() -> None:
    world = World.converged(30, seed=1)

    assert len(world.history()) == 40
    assert world.history(2) == world.history()[-2:]


def test_to_know_a_member_costs_a_hundred_bytes_at_most() -> None:
    tracemalloc.start()

    world = World.converged(500, seed=1)

    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used / len(world.nodes) ** 2 < 100


@pytest.mark.parametrize("kind", [World, MeshWorld])
def test_members_that_are_introduced_agree_and_have_said_nothing(
    kind: type[MeshWorld | World],
) -> None:
    world = kind.converged(50, seed=1)

    world.check_settled()
    world.run(2)
    world.check_settled()

    assert world.stats["bytes"] <= 100 * 50 * 2  # nothing but some pings
    assert world.stats["leaves"] == world.stats["lost"] == 0
