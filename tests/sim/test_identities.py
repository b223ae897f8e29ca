"""Names under attack by somebody with the cluster key, and hosts that are reinstalled."""

from random import Random

import pytest

from tests.testbed.keys import key
from tests.testbed.sim.mesh_world import MeshWorld
from tests.testbed.sim.world import KEY
from wesher.base.addresses import Address
from wesher.base.frozen import replace
from wesher.gossip import Alive, Dead, Keyring, Message, Suspect, Wire, pack_ip
from wesher.gossip.codec import encode
from wesher.mesh.base.identity import Identity
from wesher.mesh.base.metadata import decode_metadata, encode_metadata
from wesher.mesh.base.signing import identity_of, sign_metadata

VERSIONS = bytes([1, 5, 2, 0, 0, 0])
THIEF = Identity(b"thief" + bytes(27))
ATTACKER = Address("192.168.99.9", 7946)
NAMES = [f"node{number}" for number in range(5)]


def formed(seed: int) -> MeshWorld:
    world = MeshWorld(seed, latency=(0.001, 0.05))
    world.start("node0")
    for name in NAMES[1:]:
        world.start(name, "node0")
    world.run_until(world.meshed, limit=60)
    world.run(world.now + 70)  # what was known of an earlier self is no trouble until then
    return world


def say(world: MeshWorld, *messages: Message) -> None:
    """Let the attacker say this to all."""
    rng = Random(world.now)
    wire = Wire(Keyring(KEY), lambda: rng.randbytes(12))
    for node in world.nodes.values():
        for message in messages if node.up else ():
            data = wire.seal_packet([encode(message)], checksum=False)
            node.take(node.engine.receive_packet, data, ATTACKER)


def forged(world: MeshWorld, name: str, ip: str, identity: Identity | None, ahead: int) -> Alive:
    """Return a claim of a member's name with a WireGuard key of the attacker's."""
    held = world.nodes[name].gossip.local
    assert held
    assert held.meta
    evil = replace(decode_metadata(held.meta), public_key=key(666), identity=None)
    if identity:
        evil = replace(evil, identity=identity.public_key)
    meta = encode_metadata(evil, "current")
    if identity:
        meta = sign_metadata(meta, identity, name, Address(ip, held.port))
    return Alive(held.incarnation + ahead, name, pack_ip(ip), held.port, meta, VERSIONS)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ahead", [1, 2**20])
@pytest.mark.parametrize("signs", [True, False])
@pytest.mark.parametrize("is_elsewhere", [True, False])
def test_a_live_members_name_is_not_to_be_had(
    seed: int, ahead: int, signs: bool, is_elsewhere: bool
) -> None:
    world = formed(seed)
    routes = {node.host: node.routes() for node in world.nodes.values()}
    ip = ATTACKER.ip if is_elsewhere else world.nodes["node2"].ip

    for _ in range(10):
        say(world, forged(world, "node2", ip, THIEF if signs else None, ahead))
        for _ in range(10):
            world.run(world.now + 0.1)
            assert {node.host: node.routes() for node in world.nodes.values()} == routes
    world.run(world.now + 60)

    assert world.meshed()
    for node in world.nodes.values():
        assert any(str(ATTACKER) in warning for warning in node.warnings()), node.host
        assert all(ATTACKER.ip != one.address.ip for one in node.saved.members)
        assert all(key(666).encode() not in (one.meta or b"") for one in node.saved.members)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["dead", "left", "suspect"])
def test_who_is_said_to_be_gone_and_is_not_keeps_its_name(seed: int, kind: str) -> None:
    world = formed(seed)
    held = world.nodes["node2"].gossip.local
    assert held
    said: dict[str, Message] = {
        "dead": Dead(held.incarnation, "node2", "node0"),
        "left": Dead(held.incarnation, "node2", "node2"),
        "suspect": Suspect(held.incarnation, "node2", "node0"),
    }

    say(world, said[kind], forged(world, "node2", ATTACKER.ip, THIEF, 1))
    for _ in range(50):
        world.run(world.now + 0.1)
        assert all(key(666) not in node.settled_plan.peers for node in world.nodes.values())
    world.run(world.now + 30)

    assert world.meshed()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("down", [1.0, 10.0, 120.0, 600.0])
@pytest.mark.parametrize("is_elsewhere", [True, False])
def test_a_reinstalled_host_is_let_in(seed: int, down: float, is_elsewhere: bool) -> None:
    world = formed(seed)
    world.crash("node2")
    world.run(world.now + down)
    others = [node for node in world.nodes.values() if node.host != "node2"]
    known = all("node2" not in node.live() for node in others)

    ip = "192.168.77.7" if is_elsewhere else world.nodes["node2"].ip
    world.nodes["node2"].forget()
    new = world.start("node2", "node0", ip=ip)
    assert new.settings.identity
    seconds = world.run_until(world.meshed, limit=120)

    if known or not is_elsewhere:
        assert seconds <= 2
    for node in others:
        member = node.gossip.members.get("node2")
        assert member
        assert identity_of(member) == new.settings.identity.public_key
        assert any("node2 is the identity" in warning for warning in node.warnings())


@pytest.mark.parametrize("seed", range(3))
def test_who_was_cut_off_while_another_took_its_name_has_it_back(seed: int) -> None:
    world = formed(seed)
    cut = world.nodes["node2"]
    rest = [name for name in NAMES if name != "node2"]
    world.cut(["node2"], rest)
    world.cut(rest, ["node2"])
    world.run(world.now + 120)
    other = world.start("other", "node0", name="node2", ip="192.168.77.7")
    world.cut(["node2"], ["other"])
    world.cut(["other"], ["node2"])
    world.run(world.now + 10)
    assert holders(world, rest) == {other.ip}

    world.heal()
    world.run(world.now + 200)

    assert holders(world, rest) == {cut.ip}


def holders(world: MeshWorld, hosts: list[str]) -> set[str]:
    """Return where these hold node2."""
    found = [world.nodes[host].gossip.members.get("node2") for host in hosts]
    return {member.address.ip for member in found if member}
