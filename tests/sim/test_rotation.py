"""A cluster changes its key by three rollouts of the configuration, and nobody notices."""

import pytest

from tests.testbed.sim.rotation import GO, NEW, Rotation
from tests.testbed.sim.trace import Violation

SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("go", [None, "current", "v0.1.4"])
def test_nobody_is_lost_whatever_happens_meanwhile(seed: int, go: str | None) -> None:
    Rotation(seed, go=go).run()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("go", ["current", "v0.1.4"])
def test_a_member_with_the_old_key_alone_goes_on_hearing_us(seed: int, go: str) -> None:
    rotation = Rotation(seed, go=go, troubles=False)

    rotation.roll_out_around_go()

    assert rotation.world.nodes[GO].live() == {GO, *rotation.ours}


@pytest.mark.parametrize("seed", range(3))
def test_rollouts_left_out_are_seen_by_the_same_check(seed: int) -> None:
    with pytest.raises(Violation, match="for failed"):
        Rotation(seed, troubles=False, rollouts=((NEW,),)).run()


@pytest.mark.parametrize("seed", range(6))
def test_a_host_that_the_first_rollout_forgot_is_named_and_spoken_to_with_the_old_key(
    seed: int,
) -> None:
    rotation = Rotation(seed, troubles=False)
    forgotten = rotation.forget_one()
    world = rotation.world
    address = world.nodes[forgotten].ip

    world.run(world.now + 120)

    lacks = f"{address} cannot read us: it lacks our primary cluster key"
    assert [host for host, said in world.warned if lacks in said]
    assert world.meshed(*rotation.ours)
    assert not [said for _, said in world.warned if "another cluster key" in said]
