"""Hosts that come back: elsewhere, after a sleep, all at once, or under a name that is taken."""

import pytest

from tests.testbed.sim.mesh_world import MeshWorld
from wesher.gossip import MemberFailed


def formed(number: int, seed: int, go: int = 0) -> MeshWorld:
    """Return a mesh of `number` nodes of ours, and some that behave like the original."""
    world = MeshWorld(seed, latency=(0.001, 0.05))
    names = [f"node{index}" for index in range(number)]
    world.start("node0")
    for name in names[1:]:
        world.start(name, "node0")
    for index in range(go):
        world.start(f"go{index}", "node0", go="current")
    world.run_until(lambda: together(world, *world.nodes), limit=90)
    world.run(world.now + 30)
    return world


def ours(world: MeshWorld, *without: str) -> list[str]:
    """Return the hosts that run a node of ours, but for some."""
    return [host for host, node in world.nodes.items() if not node.go and host not in without]


def together(world: MeshWorld, *hosts: str) -> bool:
    """Tell whether these have each other for live, and as peers if they are ours."""
    nodes = [world.nodes[host] for host in hosts]
    wanted = {node.name for node in nodes}
    return all(wanted <= node.live() for node in nodes)


def addresses_of(world: MeshWorld, name: str) -> set[str]:
    """Return where the running nodes have this member."""
    members = [node.gossip.members.get(name) for node in world.nodes.values() if node.up]
    return {member.address.ip for member in members if member}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("down", [1.0, 45.0, 300.0])
@pytest.mark.parametrize("go", [0, 2])
def test_a_host_that_returns_at_another_address_takes_its_name_along(
    seed: int, down: float, go: int
) -> None:
    world = formed(4, seed, go)
    address = world.nodes["node2"].overlay_addr
    world.crash("node2")
    world.run(world.now + down)

    world.start(
        "node2", "node0", ip="192.168.77.7", public_key=world.nodes["node2"].settings.public_key
    )
    seconds = world.run_until(
        lambda: together(world, *world.nodes) and addresses_of(world, "node2") == {"192.168.77.7"},
        limit=15,
    )
    world.run(world.now + 120)

    assert seconds <= 10
    assert world.nodes["node2"].overlay_addr == address
    assert addresses_of(world, "node2") == {"192.168.77.7"}
    assert together(world, *world.nodes)


@pytest.mark.parametrize("seed", range(6))
def test_of_two_that_start_with_one_name_at_one_moment_the_smaller_stays(seed: int) -> None:
    world = formed(4, seed)
    smaller = world.start("one", "node0", ip="192.168.50.1", name="twin")
    greater = world.start("two", "node1", ip="192.168.50.2", name="twin")

    world.run(world.now + 60)

    assert "192.168.50.1" in str(greater.refusal())
    assert smaller.refusal() is None
    assert addresses_of(world, "twin") == {"192.168.50.1"}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("seconds", [15.0, 180.0, 3600.0])
def test_a_node_that_was_stopped_fails_nobody_and_brings_nobody_back(
    seed: int, seconds: float
) -> None:
    world = formed(6, seed)
    sleeper = world.nodes["node1"]
    world.pause("node1")
    world.run(world.now + min(20, seconds / 2))
    world.stop("node2")
    world.run(world.now + seconds)
    rest = ours(world, "node2")

    world.resume("node1")
    took = world.run_until(lambda: world.meshed(*rest), limit=30)
    world.run(world.now + 200)

    assert took <= 10
    assert world.meshed(*rest)
    assert sleeper.heard(MemberFailed) == []
    assert all("node2" not in world.nodes[name].live() for name in rest)


@pytest.mark.parametrize("number", [10, 40])
def test_all_that_crash_and_start_together_are_a_mesh_again_within_seconds(number: int) -> None:
    world = formed(number, seed=1)
    names = ours(world)
    addresses = {name: world.nodes[name].overlay_addr for name in names}
    world.crash(*names)
    world.run(world.now + 20)

    for name in names:
        world.restart(name)
    seconds = world.run_until(world.meshed, limit=30)

    assert seconds <= 10
    assert {name: world.nodes[name].overlay_addr for name in names} == addresses


def test_peers_of_those_who_are_missing_outlive_a_restart() -> None:
    world = formed(5, seed=1)
    routes = world.nodes["node0"].routes()
    world.crash("node3")
    world.run(world.now + 100)

    world.restart("node0")
    world.run(world.now + 5)

    assert world.nodes["node0"].settled_plan.complete
    assert world.nodes["node0"].routes() == routes


def test_a_member_that_is_forgotten_on_one_node_is_gone_on_all_and_may_return() -> None:
    world = formed(6, seed=1)
    world.crash("node3")
    world.run(world.now + 120)
    rest = ours(world, "node3")
    forgetful = world.nodes["node1"]

    forgetful.take(lambda now: forgetful.ours.forget("node3", now))
    seconds = world.run_until(lambda: world.meshed(*rest), limit=10)
    world.restart("node3")
    world.run_until(world.meshed, limit=15)

    assert seconds <= 2
