"""Whole clusters under a virtual clock and network."""

from typing import Any

import pytest

from tests.testbed.sim.world import World
from wesher.gossip import MemberFailed, MemberJoined, MemberLeft, MemberState


def names(number: int) -> list[str]:
    return [f"node{index}" for index in range(number)]


def formed(number: int, seed: int = 1, **network: Any) -> World:
    world = World(names(number), seed, **network)
    for name in names(number)[1:]:
        world.join(name, "node0")
    world.run_until(lambda: world.agree_on(names(number)), limit=30)
    return world


@pytest.mark.parametrize("number", [2, 5, 50])
def test_everyone_meets_within_two_seconds(number: int) -> None:
    world = World(names(number), seed=1)
    for name in names(number)[1:]:
        world.join(name, "node0")

    seconds = world.run_until(lambda: world.agree_on(names(number)), limit=30)

    assert seconds < 2


def test_a_newcomer_is_known_to_all_at_once() -> None:
    world = formed(50)
    world.run(world.now + 30)
    world.add("late")
    world.join("late", "node7")

    seconds = world.run_until(lambda: world.agree_on([*names(50), "late"]), limit=30)

    assert seconds < 0.5


@pytest.mark.parametrize("seed", range(5))
def test_everyone_meets_despite_loss(seed: int) -> None:
    world = World(names(10), seed, loss=0.3, twice=0.2, latency=(0.001, 0.3))
    for name in names(10)[1:]:
        world.join(name, "node0")

    world.run_until(lambda: world.agree_on(names(10)), limit=15)
    world.run(world.now + 120)

    assert world.agree_on(names(10))


def test_a_quiet_cluster_reports_nothing() -> None:
    world = formed(5)
    world.run(10)
    reported = {name: len(node.events) for name, node in world.nodes.items()}

    world.run(600)

    assert not [
        event
        for name, node in world.nodes.items()
        for _, event in node.events[reported[name] :]
        if isinstance(event, MemberJoined | MemberLeft | MemberFailed)
    ]


def test_a_crashed_member_is_declared_dead_by_all_and_later_forgotten() -> None:
    world = formed(5)
    others = names(5)[:-1]
    world.crash("node4")

    world.run_until(lambda: world.agree_on(others), limit=120)
    states = {world.nodes[name].member("node4").state for name in others}
    world.run(world.now + 120)

    assert states == {MemberState.DEAD}
    assert all(world.nodes[name].heard(MemberFailed) == ["node4"] for name in others)
    assert all("node4" not in world.nodes[name].gossip.members for name in others)


def test_one_that_leaves_is_gone_everywhere_within_a_second() -> None:
    world = formed(20)
    others = names(20)[:-1]
    world.leave("node19")

    seconds = world.run_until(lambda: world.agree_on(others), limit=5)

    assert seconds < 1
    assert all(world.nodes[name].heard(MemberLeft) == ["node19"] for name in others)


@pytest.mark.parametrize("after", [0.05, 0.25, 0.35, 0.45])
def test_one_that_leaves_during_its_join_is_nobodys_ghost(after: float) -> None:
    """Its table takes three journeys of 0.1 s to be merged, the answer a fourth to be heard."""
    world = formed(5, latency=(0.1, 0.1))
    others = names(5)
    world.add("hasty")
    world.join("hasty", "node0")
    world.run(world.now + after)

    world.leave("hasty")
    world.run(world.now + 5)

    assert world.agree_on(others)
    assert all(world.nodes[name].heard(MemberFailed) == [] for name in others)


def test_both_sides_of_a_short_partition_meet_again_without_help() -> None:
    world = formed(10)
    world.part(names(10)[:5], names(10)[5:])
    world.run(world.now + 20)
    world.part()

    world.run_until(lambda: world.agree_on(names(10)), limit=120)
    world.run(world.now + 300)

    assert world.agree_on(names(10))


def test_both_sides_of_a_long_partition_meet_again_by_two_exchanges() -> None:
    world = formed(10)
    left, right = names(10)[:5], names(10)[5:]
    world.part(left, right)
    world.run_until(lambda: world.agree_on(left) and world.agree_on(right), limit=300)
    world.part()

    for _ in range(2):
        world.join("node0", "node5")
        world.run(world.now + 1)

    world.run_until(lambda: world.agree_on(names(10)), limit=300)


def test_new_metadata_is_everywhere_within_half_a_second() -> None:
    world = formed(50)
    world.run(world.now + 30)
    world.update("node3", b"new")

    def all_know() -> bool:
        return all(n.member("node3").meta == b"new" for n in world.nodes.values())

    assert world.run_until(all_know, limit=10) < 0.5


def test_a_restarted_member_refutes_what_it_was_before() -> None:
    world = formed(5)
    world.run(20)
    restarted = world.add("node4", ip=world.nodes["node4"].ip, meta=b"of the restarted")
    world.join("node4", "node0")

    world.run(world.now + 1)

    held = [node.member("node4") for node in world.nodes.values()]
    assert {member.meta for member in held} == {b"of the restarted"}
    assert restarted.member("node4").incarnation == 2


def test_the_same_seed_gives_the_same_run() -> None:
    first, second = (formed(5, seed=9, loss=0.2) for _ in range(2))

    for world in (first, second):
        world.run(60)

    assert first.digest() == second.digest()
