"""A host that was renamed is one member, with the address it had."""

import pytest

from tests.sim.test_returns import formed, together
from tests.testbed.sim.mesh_world import MeshWorld


def names_held(world: MeshWorld) -> set[str]:
    """Return every name that some running node holds for a live or failed member, or a peer."""
    held = set()
    for node in world.nodes.values():
        if node.up and not node.go:
            held |= {one.name for one in node.ours.status().members if one.standing.value != "left"}
            held |= {entry.name for entry in node.plan.hosts} if node.plan else set()
        elif node.up:
            held |= node.live()
    return held


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("go", [0, 2])
@pytest.mark.parametrize("down", [0.5, 120.0])
@pytest.mark.parametrize("name", ["renamed", "NODE2"])
def test_a_renamed_host_keeps_its_address_and_leaves_no_ghost(
    seed: int, go: int, down: float, name: str
) -> None:
    world = formed(4, seed, go)
    before = world.nodes["node2"]
    world.crash("node2")
    world.run(world.now + down)

    world.start("node2", "node0", name=name, public_key=before.settings.public_key)
    seconds = world.run_until(lambda: together(world, *world.nodes), limit=30)
    world.run(world.now + 120)

    assert seconds <= 10
    assert world.nodes["node2"].overlay_addr == before.overlay_addr
    assert "node2" not in names_held(world)
    assert together(world, *world.nodes)


@pytest.mark.parametrize("seed", range(3))
def test_after_a_reboot_with_another_key_it_is_known_by_its_underlay_address(seed: int) -> None:
    world = formed(4, seed)
    before = world.nodes["node2"]
    world.crash("node2")
    world.run(world.now + 100)

    world.start("node2", "node0", name="renamed")
    world.run(world.now + 60)

    assert world.nodes["node2"].overlay_addr == before.overlay_addr
    assert "node2" not in names_held(world)


@pytest.mark.parametrize("seed", range(3))
def test_a_name_that_is_taken_is_refused_and_nothing_is_retired(seed: int) -> None:
    world = formed(4, seed)
    key = world.nodes["node2"].settings.public_key
    world.crash("node2")
    world.run(world.now + 1)

    refused = world.start("node2", "node0", name="node3", public_key=key)
    world.run(world.now + 30)

    assert refused.refusal() is not None
    assert "node2" in names_held(world)


@pytest.mark.parametrize("seed", range(3))
def test_a_copy_of_a_host_under_another_name_retires_nobody(seed: int) -> None:
    """Its state file came with the image; key and underlay address are others."""
    world = formed(4, seed)
    original = world.nodes["node2"]
    copy = world.start("copy", "node0")
    world.crash("copy")
    copy._saved = original.saved

    clone = world.start("copy", "node0", name="clone")
    world.run(world.now + 60)

    assert clone.saved.this_host
    assert clone.saved.this_host.name == "clone"
    assert "node2" in names_held(world)
    assert together(world, "node0", "node1", "node2", "node3")
    assert clone.overlay_addr != original.overlay_addr


@pytest.mark.parametrize("seed", range(3))
def test_a_host_that_has_taken_the_old_name_meanwhile_keeps_it(seed: int) -> None:
    world = formed(4, seed)
    key = world.nodes["node2"].settings.public_key
    world.crash("node2")
    world.run(world.now + 100)
    world.start("other", "node0", name="node2")
    world.run(world.now + 20)
    world.start("node2", "node0", name="renamed", public_key=key)

    world.run(world.now + 60)

    assert "node2" in world.nodes["node0"].live()
    assert "renamed" in world.nodes["node0"].live()


@pytest.mark.parametrize("seed", range(3))
def test_renamed_back_it_is_the_old_one_again(seed: int) -> None:
    world = formed(4, seed)
    before = world.nodes["node2"]
    for name in ("renamed", "node2"):
        key = world.nodes["node2"].settings.public_key
        world.crash("node2")
        world.run(world.now + 1)
        world.start("node2", "node0", name=name, public_key=key)
        world.run(world.now + 30)

    assert world.nodes["node2"].overlay_addr == before.overlay_addr
    assert names_held(world) == {"node0", "node1", "node2", "node3"}
    assert together(world, *world.nodes)
