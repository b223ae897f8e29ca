"""Whole meshes under a virtual clock: how they form, survive, and share their addresses."""

from typing import Unpack

import pytest

from tests.testbed.sim.mesh_world import MeshWorld
from tests.testbed.sim.world import Conditions
from wesher.mesh.base.address import overlay_address


def hosts(number: int) -> list[str]:
    return [f"node{index:02}" for index in range(number)]


def formed(number: int, seed: int = 1, **conditions: Unpack[Conditions]) -> MeshWorld:
    """Return a mesh whose members joined the first one after another."""
    world = MeshWorld(seed, **conditions)
    first, *others = hosts(number)
    world.start(first)
    for host in others:
        world.start(host, first)
        world.run(world.now + 0.5)
    world.run_until(world.meshed, limit=5)
    return world


def test_one_that_joins_a_settled_mesh_is_everybodys_peer_at_once() -> None:
    world = formed(9)
    world.run(world.now + 60)
    world.start("late", "node03")

    seconds = world.run_until(world.meshed, limit=10)

    assert seconds <= 0.6


@pytest.mark.parametrize("number", [2, 10, 30])
@pytest.mark.parametrize("everybody", [False, True], ids=["one seed", "all are seeds"])
def test_a_mesh_whose_nodes_start_at_once_forms_within_seconds(
    number: int, everybody: bool
) -> None:
    world = MeshWorld(seed=1)
    addresses = [f"192.168.0.{index + 2}" for index in range(number)]
    for host in hosts(number):
        world.start(host, *(addresses if everybody else addresses[:1]))

    seconds = world.run_until(world.meshed, limit=40)

    assert seconds <= 2


@pytest.mark.parametrize("seed", range(5))
def test_a_mesh_forms_despite_loss(seed: int) -> None:
    world = MeshWorld(seed, loss=0.2, twice=0.1, latency=(0.001, 0.2))
    world.start("node00")
    for host in hosts(10)[1:]:
        world.start(host, "node00")

    world.run_until(world.meshed, limit=15)


def test_a_mesh_whose_seed_comes_late_forms_when_it_comes() -> None:
    world = MeshWorld(seed=1)
    for host in hosts(5):
        world.start(host, "192.168.1.1")
    world.run(300)
    world.start("seed", ip="192.168.1.1")

    seconds = world.run_until(world.meshed, limit=35)

    assert seconds <= 35


def test_a_seed_whose_name_can_be_resolved_late_is_found() -> None:
    world = MeshWorld(seed=1)
    world.start("seed", ip="192.168.1.1")
    world.start("web", "seed.example")
    world.run(100)
    world.names["seed.example"] = ["192.168.1.1"]

    world.run_until(world.meshed, limit=35)


def test_a_seed_that_waits_for_its_joiner_is_complete_as_soon_as_it_is_found() -> None:
    world = MeshWorld(seed=1)
    world.start("one", "192.168.0.3")
    world.run(200)
    world.start("two", "one")

    assert world.run_until(world.meshed, limit=40) <= 1


def test_a_killed_node_is_back_with_its_address_within_five_seconds() -> None:
    world = formed(5)
    address = world.nodes["node03"].overlay_addr
    world.crash("node03")
    world.run(world.now + 1)
    world.start("node03")

    seconds = world.run_until(world.meshed, limit=10)

    assert seconds <= 5
    assert world.nodes["node03"].addresses == [address]
    assert world.nodes["node03"].saved.incarnation > 1


def test_a_killed_node_is_a_peer_all_the_time_it_is_away() -> None:
    world = formed(5)
    others = [host for host in hosts(5) if host != "node03"]
    routes = world.nodes["node00"].routes()
    world.crash("node03")

    for _ in range(100):
        world.run(world.now + 36)
        assert all(world.nodes[host].routes() == routes for host in others)


def test_a_failed_node_is_forgotten_when_its_time_is_up() -> None:
    world = MeshWorld(seed=1)
    world.start("one", forget_after=600)
    world.start("two", "one", forget_after=600)
    world.run_until(world.meshed, limit=5)
    world.crash("two")

    world.run(world.now + 590)
    before = world.nodes["one"].settled_plan.peers
    world.run(world.now + 110)

    assert before
    assert not world.nodes["one"].settled_plan.peers


def test_one_that_leaves_is_gone_everywhere_within_a_second() -> None:
    world = formed(10)
    world.stop("node04")
    others = [host for host in hosts(10) if host != "node04"]

    seconds = world.run_until(lambda: world.meshed(*others), limit=5)
    world.run(world.now + 1)

    assert seconds <= 1
    assert not world.nodes["node04"].up


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("pause", [0, 2])
def test_a_whole_mesh_stopped_in_the_same_second_forms_again_without_seeds(
    seed: int, pause: float
) -> None:
    world = formed(8, seed)
    addresses = {host: world.nodes[host].overlay_addr for host in hosts(8)}
    world.stop(*hosts(8))
    world.run(world.now + 30)
    order = hosts(8)
    world._rng.shuffle(order)
    for host in order:
        world.start(host)
        world.run(world.now + pause)

    world.run_until(world.meshed, limit=10)

    assert {host: world.nodes[host].overlay_addr for host in hosts(8)} == addresses


def test_a_pair_that_was_parted_for_an_hour_finds_together_again() -> None:
    world = MeshWorld(seed=1)
    world.start("one")
    world.start("two", "one")
    world.run_until(world.meshed, limit=5)
    world.part(["one"], ["two"])
    world.run(3600)
    routes = [node.routes() for node in world.nodes.values()]
    world.part()

    world.run_until(world.meshed, limit=35)
    world.run(world.now + 300)

    assert routes == [node.routes() for node in world.nodes.values()]
    assert world.meshed()


# Addresses


def moves(world: MeshWorld) -> dict[str, int]:
    return {host: len(node.addresses) - 1 for host, node in world.nodes.items()}


@pytest.mark.parametrize("seed", range(5))
def test_names_that_hash_to_one_address_get_two_and_one_of_them_moves(seed: int) -> None:
    network = "10.0.0.0/24"
    world = MeshWorld(seed, overlay_net=network)
    world.start("first")
    for host in ("node02", "host406"):
        world.start(host, "first")

    world.run_until(world.meshed, limit=10)

    assert moves(world)["node02"] <= 1
    assert moves(world)["host406"] == 0
    assert world.nodes["host406"].overlay_addr == "10.0.0.231"


def test_one_that_joins_later_does_not_claim_a_held_address_at_all() -> None:
    world = MeshWorld(seed=1, overlay_net="10.0.0.0/24")
    world.start("node02")
    world.run(5)
    world.start("host406", "node02")

    world.run_until(world.meshed, limit=5)

    assert world.nodes["node02"].overlay_addr == "10.0.0.231"
    assert moves(world) == {"node02": 0, "host406": 0}
    assert not world.nodes["host406"].warnings()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("network", ["10.0.0.0/24", "10.0.0.0/26"])
def test_fifty_that_start_at_once_in_a_small_network_end_with_fifty_addresses(
    seed: int, network: str
) -> None:
    world = MeshWorld(seed, overlay_net=network)
    names = ["host406", *hosts(49)]
    world.start("first")
    for name in names:
        world.start(name, "first")

    world.run_until(world.meshed, limit=20)
    settled = moves(world)
    world.run(world.now + 120)

    assert len(world.nodes) == 51
    assert moves(world) == settled
    assert max(settled.values()) <= 5


def test_a_network_that_is_full_refuses_the_next() -> None:
    world = MeshWorld(seed=1, overlay_net="10.0.0.0/29")
    for index, host in enumerate(hosts(7)):
        world.start(host, *hosts(index)[:1])
        world.run(world.now + 2)

    assert "10.0.0.0/29 is full" in str(world.nodes["node06"].refusal())
    assert world.meshed(*hosts(6))


def test_both_claims_kept_from_before_meet_and_the_smaller_name_stays() -> None:
    world = MeshWorld(seed=1, overlay_net="10.0.0.0/24")
    for host in ("node02", "host406"):
        world.start(host)
    world.run(10)
    for host in ("node02", "host406"):
        world.crash(host)
    world.start("host406")
    world.start("node02", "host406")

    world.run_until(world.meshed, limit=20)
    world.run(world.now + 60)

    assert world.nodes["host406"].addresses == ["10.0.0.231"]
    assert world.meshed()


def test_a_fixed_address_that_a_member_has_is_refused_and_the_member_keeps_it() -> None:
    world = MeshWorld(seed=1)
    web = world.start("web")
    world.run(5)
    had = overlay_address("web", world._overlay_net)

    boss = world.start("boss", "web", overlay_addr=had)
    world.run(20)

    assert "belongs to another live member, web" in str(boss.refusal())
    assert web.overlay_addr == str(had)
    assert len(web.addresses) == 1


# Names


def test_a_second_host_of_a_name_is_refused_naming_the_first() -> None:
    world = formed(3)
    world.start("copy", "node00", name="node01")

    world.run(world.now + 5)

    assert world.nodes["node01"].ip in str(world.nodes["copy"].refusal())
    assert world.meshed(*hosts(3))


def test_a_host_that_returns_elsewhere_is_not_taken_for_a_second_one() -> None:
    world = formed(3)
    world.crash("node01")
    world.start("node01", ip="192.168.9.9")

    world.run(world.now + 10)

    assert world.nodes["node01"].refusal() is None
    assert world.nodes["node01"].plan


@pytest.mark.parametrize(
    ("number", "seconds"),
    [(2, 60), (2, 240), (2, 3600), (6, 130), (6, 1800), (12, 60), (12, 240), (12, 900)],
)
def test_a_parted_mesh_reunites_by_itself(number: int, seconds: int) -> None:
    world = formed(number, seed=seconds)
    names = hosts(number)
    world.part(names[: number // 2], names[number // 2 :])
    world.run(world.now + seconds)
    routes = {name: world.nodes[name].routes() for name in names}
    world.part()

    took = world.run_until(lambda: world.agree_on(names), limit=60)

    assert took <= 30

    assert all(world.nodes[name].routes() == routes[name] for name in names), "a peer was removed"


def test_halves_that_never_met_unite_through_their_seeds() -> None:
    world = MeshWorld(seed=1)
    names = hosts(6)
    world.part(names[:3], names[3:])
    for name in names:
        world.start(name, "node00", "node03")
    world.run(600)
    world.part()

    world.run_until(world.meshed, limit=60)
