"""Partitions heal by themselves, take no packet away, and bring nobody back who has left."""

from statistics import median

import pytest

from tests.testbed.sim.reunions import Partition, Reconnect, partitions

SEEDS = range(200, 300)  # of the thousand that `scripts/soak partitions --seeds 1000` plays
AT_ONCE = 10


@pytest.mark.parametrize("first", SEEDS[::AT_ONCE])
def test_meshes_reunite_whatever_happens_to_them(first: int) -> None:
    took = [Reconnect(partitions(seed)).run() for seed in range(first, first + AT_ONCE)]

    assert median(took) <= 10


@pytest.mark.parametrize("go", [False, True])
@pytest.mark.parametrize("one_way", [False, True])
def test_a_larger_mesh_reunites(go: bool, one_way: bool) -> None:
    Reconnect(Partition(1, 20, 130.0, sides=3, one_way=one_way, go=go)).run()


@pytest.mark.parametrize("seconds", [20, 75, 130, 240, 3600, 82800])
def test_a_mesh_reunites_after_any_time(seconds: float) -> None:
    Reconnect(Partition(2, 6, float(seconds))).run()
