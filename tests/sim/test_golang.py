"""Nodes that behave like the original, alone and among ours."""

from functools import partial
from typing import Unpack

import pytest

from tests.testbed.sim.mesh_world import MeshWorld
from tests.testbed.sim.world import Conditions
from wesher.gossip import MemberState
from wesher.mesh.base.metadata import decode_metadata

VERSIONS = ["v0.1.4", "current"]


def started(*kinds: str | None, seed: int = 1, **conditions: Unpack[Conditions]) -> MeshWorld:
    """Return a world of hosts a, b, c … of these kinds, that have all met."""
    world = MeshWorld(seed, **conditions)
    hosts = "abcdefgh"[: len(kinds)]
    for host, go in zip(hosts, kinds, strict=True):
        world.start(host, *hosts[0] * (host != "a"), go=go)
    world.run_until(lambda: world.agree_on(hosts), limit=30)
    world.run(world.now + 20)
    return world


def state(world: MeshWorld, observer: str, subject: str) -> MemberState:
    return world.nodes[observer].member(subject).state


@pytest.mark.parametrize(("version", "format"), [("v0.1.4", "v0.2"), ("current", "current")])
def test_it_says_of_itself_what_the_original_says(version: str, format: str) -> None:
    world = started(None, version)

    member = world.nodes["a"].member("b")

    assert member.meta
    metadata = decode_metadata(member.meta)
    assert (metadata.format, metadata.has_ext) == (format, False)
    assert member.incarnation == 2  # it has announced itself without metadata first
    assert metadata.public_key == world.nodes["b"].settings.public_key


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_a_peer_of_ours_and_ours_are_its_peers_if_it_can_read_them(version: str) -> None:
    world = started(None, version)

    ours, go = world.nodes["a"], world.nodes["b"]

    assert ours.routes()[f"{go.overlay_addr}/32"] == go.settings.public_key
    assert go.routes()[f"{ours.overlay_addr}/32"] == ours.settings.public_key


@pytest.mark.parametrize(
    ("leaver", "observer", "known"),
    [
        ("v0.1.4", None, MemberState.LEFT),
        ("v0.1.4", "current", MemberState.DEAD),
        ("v0.1.4", "v0.1.4", MemberState.DEAD),
        ("current", None, MemberState.LEFT),
        ("current", "current", MemberState.LEFT),
        ("current", "v0.1.4", MemberState.DEAD),
        (None, "v0.1.4", MemberState.DEAD),
    ],
)
def test_a_departure_of_v014_names_nobody_and_it_takes_none_for_one(
    leaver: str | None, observer: str | None, known: MemberState
) -> None:
    world = started(observer, leaver, observer)
    world.stop("b")

    world.run(world.now + 12)

    assert state(world, "a", "b") is state(world, "c", "b") is known
    assert not world.nodes["b"].up


def test_v014_learns_of_no_departure_from_a_table() -> None:
    world = started(None, "v0.1.4", None)
    world.link("b", "a", loss=1.0)  # streams pass: they are repeated, in the end by chance
    world.link("b", "c", loss=1.0)
    world.stop("c")
    world.run(world.now + 2)
    world.link("b", "a", loss=0.0)

    world.nodes["a"].take(
        lambda now: world.nodes["a"].gossip.push_pull(world.nodes["b"].address, now, join=False)
    )
    world.run(world.now + 0.3)

    assert state(world, "a", "c") is MemberState.LEFT
    assert state(world, "b", "c").value < MemberState.DEAD.value


def is_met(world: MeshWorld, name: str) -> bool:
    return name in world.nodes["c"].live()


def test_it_gossips_at_the_interval_only() -> None:
    seconds = {}
    for kind in (None, "current"):
        world = started(kind, kind, kind)
        world.start("late", "b", go=kind)
        seconds[kind] = world.run_until(partial(is_met, world, "late"), limit=5)

    assert seconds[None] <= 0.2 < seconds["current"]


@pytest.mark.parametrize("version", VERSIONS)
def test_two_of_them_never_find_together_again(version: str) -> None:
    world = started(version, version)
    world.part("a", "b")
    world.run(world.now + 400)
    world.heal()

    world.run(world.now + 400)

    assert world.nodes["a"].live() == {"a"}


@pytest.mark.parametrize("version", VERSIONS)
def test_one_of_ours_brings_it_back(version: str) -> None:
    world = started(None, version, None)
    world.part("ac", "b")
    world.run(world.now + 400)
    world.heal()

    world.run_until(lambda: world.agree_on("abc"), limit=90)


def test_it_joins_when_its_seed_comes_but_not_after_a_quarter_of_an_hour() -> None:
    world = MeshWorld(seed=1)
    world.start("early", "192.168.9.1", go="current")
    world.start("patient", "192.168.9.2", go="current")
    world.run(300)
    world.start("seed", ip="192.168.9.1")
    world.run_until(lambda: world.agree_on(["early", "seed"]), limit=100)
    world.run(1100)
    world.start("too late", ip="192.168.9.2", name="too-late")

    world.run(2000)

    assert world.nodes["patient"].live() == {"patient"}


def test_it_starts_again_from_the_members_it_has_seen() -> None:
    world = started(None, "current")
    world.nodes["b"].seeds = ()
    world.crash("b")
    world.run(world.now + 5)

    world.restart("b")
    world.run_until(lambda: world.agree_on("ab"), limit=30)


@pytest.mark.parametrize("seed", range(4))
def test_ours_agree_whatever_happens_to_it(seed: int) -> None:
    world = started(None, "current", None, "v0.1.4", None, seed=seed, loss=0.05)
    world.part("ab", "cde")
    world.run(world.now + 200)
    world.heal()
    world.stop("d")
    world.crash("b")

    world.run_until(world.settled, limit=400)

    assert not {"b", "d"} & world.nodes["e"].live()
    assert world.settled("a", "c", "e")


@pytest.mark.parametrize("by", ["a", "b"])
@pytest.mark.parametrize("version", VERSIONS)
def test_ours_renews_its_sessions_soon_after_each_of_them_has_heard_of_a_change(
    version: str, by: str
) -> None:
    world = started(None, version, None, version)
    goes = [world.nodes["b"], world.nodes["d"]]
    world.start("late", by)
    renewed: list[float] = []
    heard: dict[str, float] = {}
    last = world.nodes["a"].settled_plan.renewal
    for _ in range(120):
        world.run(world.now + 0.05)
        for go in goes:
            if "late" in go.live():
                heard.setdefault(go.name, world.now)
        if (renewal := world.nodes["a"].settled_plan.renewal) > last:
            renewed, last = [*renewed, world.now], renewal

    assert heard.keys() == {"b", "d"}
    for at in heard.values():
        assert min(after - at for after in renewed if after >= at) <= 1.5
    assert world.nodes["a"].settled_plan.forgetful == {go.settings.public_key for go in goes}


def test_nothing_is_renewed_where_all_are_ours() -> None:
    world = started(None, None, None)
    world.start("late", "a")

    world.run(world.now + 10)

    assert [world.nodes[name].settled_plan.renewal for name in "abc"] == [0, 0, 0]
