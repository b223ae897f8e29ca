"""Two members hold one preshared key of their pair, but for the moment in which news travels."""

from collections.abc import Iterator
from itertools import combinations

import pytest

from tests.testbed.sim.mesh_world import MeshWorld
from tests.testbed.sim.rotation import NEW, OLD
from wesher.mesh.base.plan import NO_KEY
from wesher.mesh.base.settings import Adjustable
from wesher.mesh.planning.preshared_keys import derive

HOSTS = [f"host{number}" for number in range(5)]
GO = "go"
APART = 0.9
"""Seconds. WireGuard asks for another session a minute before it gives up the one it has, and tries
again every 5 s (paper, section 6.1)."""
STEP = 0.02  # seconds
LOSS = 0.2  # of all packets
Pair = tuple[str, str]


def pairs(world: MeshWorld) -> Iterator[tuple[Pair, str | None, str | None]]:
    """Yield of each two hosts that have each other as peers what both have set."""
    for one, other in combinations(world.nodes.values(), 2):
        peer = one.settled_plan.peers.get(other.settings.public_key)
        back = other.settled_plan.peers.get(one.settings.public_key)
        if peer and back:
            yield (one.host, other.host), peer.preshared_key, back.preshared_key


def apart(world: MeshWorld, seconds: float) -> dict[Pair, float]:
    """Let time pass; return for how long at a stretch pairs differed, if they did."""
    since: dict[Pair, float] = {}
    longest: dict[Pair, float] = {}
    until = world.now + seconds
    while world.now < until:
        world.run(world.now + STEP)
        differ = {pair for pair, one, other in pairs(world) if one != other}
        since = {pair: since.get(pair, world.now) for pair in differ}
        for pair, began in since.items():
            longest[pair] = max(longest.get(pair, 0), world.now - began + STEP)
    return longest


def formed(seed: int, go: str | None = None) -> MeshWorld:
    world = MeshWorld(seed, loss=LOSS)
    world.keys |= dict.fromkeys((*HOSTS, GO), (OLD,))
    for host in HOSTS:
        world.start(host, *HOSTS[:1] * (host != HOSTS[0]))
    if go:
        world.start(GO, *HOSTS[:2], go=go)
    world.run_until(lambda: world.meshed(*world.nodes), limit=120)
    return world


@pytest.mark.parametrize(("seed", "go"), [(0, None), (1, None), (2, "current"), (3, "v0.1.4")])
def test_a_change_of_the_cluster_key_sets_no_two_apart_for_long(seed: int, go: str | None) -> None:
    world = formed(seed, go)
    for ring in ((OLD, NEW), (NEW, OLD), (NEW,)):
        if go and ring == (NEW,):
            break  # the Go member would be locked out
        for host in HOSTS:
            world.configure_keys(host, *ring)
            longest = apart(world, 1)
            assert all(seconds < APART for seconds in longest.values()), longest

    public = {host: node.settings.public_key for host, node in world.nodes.items()}
    for (one, other), there, back in pairs(world):
        wanted = NO_KEY if GO in (one, other) else derive(NEW, public[one], public[other])
        assert there == back == wanted


@pytest.mark.parametrize("seed", range(2))
def test_switching_them_off_and_on_sets_no_two_apart_for_long(seed: int) -> None:
    world = formed(seed)
    off = HOSTS[: 1 + seed]
    for wanted in (False, True):
        for host in off:
            node = world.nodes[host]
            node.take(node.ours.reconfigure, Adjustable((), 86400.0, preshared_keys=wanted))
            longest = apart(world, 1)
            assert all(seconds < APART for seconds in longest.values()), longest
        for pair, there, back in pairs(world):
            without = not wanted and bool({*pair} & {*off})
            assert there == back
            assert (there == NO_KEY) is without


def test_no_first_handshake_lacks_it() -> None:
    world = formed(1)
    begun: set[Pair] = {pair for pair, *_ in pairs(world)}
    world.start("late", HOSTS[0])
    until = world.now + 10
    while world.now < until:
        world.run(world.now + 0.01)
        if world.nodes["late"].plan is None:
            continue
        new = {pair: (one, other) for pair, one, other in pairs(world) if pair not in begun}
        assert all(one == other for one, other in new.values())
    assert len(new) == len(HOSTS)
