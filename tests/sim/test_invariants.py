"""Every rule that simulated runs are held to can be broken, and then the run ends there."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from tests.testbed.sim.cached_packets import LARGEST
from tests.testbed.sim.invariants import check_plan
from tests.testbed.sim.mesh_world import MeshParticipant, MeshWorld
from tests.testbed.sim.trace import Violation
from tests.testbed.sim.world import World
from wesher.base.addresses import Address
from wesher.base.frozen import replace
from wesher.gossip import Keyring, Member, MemberJoined, MemberState, Wire
from wesher.gossip.codec import encode
from wesher.gossip.messages import Nack
from wesher.mesh.base.actions import ChangePlan
from wesher.mesh.base.events import PlanChanged
from wesher.mesh.base.plan import HostsEntry, InterfaceSettings, Peer, Plan

ONE, TWO = "node00000", "node00001"


@pytest.fixture
def world() -> World:
    return World.converged(2, seed=1)


def held(world: World, **changes: Any) -> Member:
    """Return the record that one holds of two, changed."""
    return replace(world.nodes[ONE].member(TWO), **changes)


def put(world: World, **changes: Any) -> None:
    """Let one hold a changed record of two, as its rules would."""
    world.nodes[ONE].gossip.members.put(held(world, **changes))


def test_nobody_may_raise_the_incarnation_of_another(world: World) -> None:
    with pytest.raises(Violation, match="node00000 raised the incarnation of node00001 alive 2"):
        put(world, incarnation=2)


def test_everybody_may_raise_its_own_and_others_may_believe_it(world: World) -> None:
    local = world.nodes[TWO].member(TWO)
    world.nodes[TWO].gossip.members.put(replace(local, incarnation=2))

    put(world, incarnation=2)

    assert held(world).incarnation == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"incarnation": 2}, {"incarnation": 1}),
        ({"state": MemberState.SUSPECT}, {"state": MemberState.ALIVE}),
        ({"state": MemberState.DEAD}, {"state": MemberState.ALIVE}),
        ({"state": MemberState.DEAD}, {"state": MemberState.LEFT}),
        ({"state": MemberState.LEFT}, {"state": MemberState.ALIVE}),
        ({}, {"meta": b"other"}),
        ({"incarnation": 2}, {"incarnation": 1, "addr": bytes(4)}),
    ],
)
def test_no_record_goes_back(world: World, before: dict[str, Any], after: dict[str, Any]) -> None:
    local = world.nodes[TWO].member(TWO)
    world.nodes[TWO].gossip.members.put(replace(local, incarnation=2))
    if before:
        put(world, **before)

    with pytest.raises(Violation, match="node00000 went back from node00001"):
        put(world, **after)


def test_a_left_record_may_go_back_when_its_member_is_elsewhere_now(world: World) -> None:
    put(world, state=MemberState.LEFT)

    put(world, state=MemberState.ALIVE, addr=bytes(4))

    assert held(world).addr == bytes(4)


def test_no_event_without_a_change(world: World) -> None:
    node = world.nodes[ONE]
    node.gossip._context.outbox.emit(MemberJoined(held(world)))

    with pytest.raises(Violation, match="without a change"):
        world._follow_up(node)


def test_no_change_without_an_event(world: World) -> None:
    node = world.nodes[ONE]
    put(world, state=MemberState.DEAD)
    world._follow_up(node)

    with pytest.raises(Violation, match="does not tell of MemberFailed"):
        world._follow_up(node)


@pytest.mark.parametrize(
    ("packet", "problem"),
    [(b"junk", "not a sealed text"), (bytes(LARGEST + 1), f"{LARGEST + 1} bytes")],
)
def test_what_is_sent_can_be_read_and_is_not_too_large(
    world: World, packet: bytes, problem: str
) -> None:
    node = world.nodes[ONE]

    with pytest.raises(Violation, match=problem):
        world._send(node, packet, world.nodes[TWO].address)


def test_what_is_sent_is_sealed_with_a_key_of_the_ring(world: World) -> None:
    node = world.nodes[ONE]
    other = Wire(Keyring(bytes(32)), lambda: bytes(12))
    packet = other.seal_packet([encode(Nack(1))], checksum=False)

    with pytest.raises(Violation, match="another key"):
        world._send(node, packet, world.nodes[TWO].address)


def peer(*ips: str) -> Peer:
    endpoint = Address("192.0.2.1", 51820)
    return Peer(endpoint, tuple(map(ip_network, ips)))


OURS = InterfaceSettings(ip_address("10.0.0.1"), 51820)
ENTRY = HostsEntry(ip_address("10.0.0.2"), "two")


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        (Plan(OURS, {"a": peer("10.0.0.2"), "b": peer()}, (ENTRY,)), None),
        (Plan(OURS, {"a": peer("10.0.0.2"), "b": peer("10.0.0.2")}), "one address, two peers"),
        (Plan(OURS, {"a": peer("10.0.0.1")}), "our own address is a peer's"),
        (Plan(OURS, {"a": peer("10.0.0.3")}, (ENTRY,)), "a hosts entry without a route"),
        (Plan(OURS, {"ours": peer("10.0.0.2")}), "we are our own peer"),
    ],
)
def test_a_plan_is_valid(plan: Plan, problem: str | None) -> None:
    assert check_plan(plan, "ours") == problem


def test_an_invalid_plan_ends_the_run() -> None:
    world = MeshWorld(seed=1)
    world.start("one")
    world.run(5)
    node = world.nodes["one"]
    node.ours._overlay.plan = Plan(OURS, {"a": peer("10.0.0.1")})
    node.ours._act([ChangePlan()], world.now)

    told = (
        r"(?s)our own address is a peer's\n\(seed 1, after 5.*one waits for: review the plan at 5"
    )
    with pytest.raises(Violation, match=told):
        world._on_event(node, _plan_changed(node))


def _plan_changed(node: MeshParticipant) -> PlanChanged:
    return next(event for _, event in node.events if isinstance(event, PlanChanged))
