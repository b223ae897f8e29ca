"""Who has something and is there keeps it, whoever claims it later."""

from typing import Any

import pytest

from tests.testbed.keys import key
from tests.unit.mesh.node_harness import Harness, joined, metadata, remote
from wesher.gossip import Dead, Record
from wesher.mesh.base.metadata import MetadataFormat
from wesher.mesh.base.plan import Plan
from wesher.mesh.base.seniority import TOGETHER, Seniority

LATER = TOGETHER + 1
THING = "10.0.0.2"


def appeared(*moments: float) -> Seniority:
    """Return the seniority of members a, b, ... that claimed one thing at these moments."""
    seniority = Seniority()
    for now in sorted(set(moments)):
        claims = [(chr(97 + i), THING) for i, at in enumerate(moments) if at <= now]
        seniority.note(claims, now)
    return seniority


@pytest.mark.parametrize(
    ("moments", "order"),
    [
        ((0, 0), 0),
        ((0, TOGETHER), 0),
        ((0, LATER), -1),
        ((LATER, 0), 1),
        ((0, LATER, 0, 0), -1),
        # two clusters meet: the larger keeps what it has, equal ones go by rank
        ((0, LATER, LATER), 1),
        ((0, LATER, 0, LATER), 0),
        ((0, LATER, 0, 0, LATER), -1),
    ],
)
def test_who_of_two_has_a_thing(moments: tuple[float, ...], order: int) -> None:
    seniority = appeared(*moments)

    assert seniority.order("a", "b", THING) == order
    assert seniority.order("b", "a", THING) == -order


def test_who_claims_another_thing_begins_anew() -> None:
    seniority = Seniority()
    seniority.note([("a", "old"), ("b", THING), ("c", "x")], 0)
    seniority.note([("a", THING), ("b", THING), ("c", "x")], LATER)

    assert seniority.order("b", "a", THING) == -1


def test_who_is_forgotten_begins_anew() -> None:
    seniority = appeared(0, 0, 0)
    seniority.note([("b", THING), ("c", THING)], 1)
    seniority.note([("a", THING), ("b", THING), ("c", THING)], LATER)

    assert seniority.order("a", "b", THING) == 1


WEB, DB = remote("web", 2), remote("db", 3)
GREEDY: dict[str, Any] = {"immovable": True, "kept": True}


def settled(**settings: Any) -> Harness:
    """Return a node that has been in a mesh with two members for a while."""
    harness = joined(WEB, DB, **settings)
    harness.keep_alive(WEB, DB, until=harness.now + LATER)
    harness.events.clear()
    return harness


def after(harness: Harness, record: Record) -> Plan:
    """Let somebody appear; return the plan that follows."""
    harness.hear_alive(record)
    harness.keep_alive(WEB, DB, record, until=harness.now + 2)
    return harness.plan


@pytest.mark.parametrize("format", [None, "current", "v0.2"], ids=["ours", "current", "v0.2"])
@pytest.mark.parametrize("name", ["aaa", "zzz"])
def test_a_stolen_key_stays_with_its_owner_and_the_thief_is_named(
    name: str, format: MetadataFormat | None
) -> None:
    harness = settled()
    meta = None if format is None else metadata("10.9.9.9", 2, format)

    plan = after(harness, remote(name, 2, "10.9.9.9", ip="192.0.2.9", meta=meta, **GREEDY))

    assert plan.peers[key(2)].endpoint.ip == "192.0.2.2"
    assert {entry.name for entry in plan.hosts} == {"web", "db"}
    told = harness.warnings()
    assert any(
        f"member {name} is not a peer: it claims the WireGuard key of web" in one for one in told
    )
    assert not any(one.startswith("member web") for one in told)


@pytest.mark.parametrize("name", ["aaa", "zzz"])
def test_our_own_key_stays_ours(name: str) -> None:
    harness = settled()

    plan = after(harness, remote(name, 1, "10.9.9.9", ip="192.0.2.9", **GREEDY))

    assert plan.peers.keys() == {key(2), key(3)}
    assert any(f"member {name} is not a peer" in one for one in harness.warnings())


@pytest.mark.parametrize("name", ["aaa", "zzz"])
def test_a_members_address_is_not_taken_by_a_newcomer(name: str) -> None:
    harness = settled()

    plan = after(harness, remote(name, 9, "10.9.9.2", **GREEDY))

    assert [str(one) for one in plan.peers[key(2)].allowed_ips] == ["10.9.9.2/32"]
    assert plan.peers[key(9)].allowed_ips == ()


@pytest.mark.parametrize("name", ["aaa", "zzz"])
def test_our_own_address_is_not_left_to_a_newcomer(name: str) -> None:
    harness = settled()
    ours = harness.overlay_addr

    after(harness, remote(name, 9, ours, **GREEDY))

    assert harness.overlay_addr == ours


def test_room_is_made_for_a_member_of_the_original_which_cannot_move() -> None:
    harness = settled()
    ours = harness.overlay_addr

    after(harness, remote("zzz", 9, meta=metadata(ours, 9)))

    assert harness.overlay_addr != ours


@pytest.mark.parametrize("first", ["web", "WEB"])
def test_a_name_in_another_case_takes_no_hosts_entry(first: str) -> None:
    other = {"web": "WEB", "WEB": "web"}[first]
    there = remote(first, 2)
    harness = joined(there, DB)
    harness.keep_alive(there, DB, until=harness.now + LATER)

    plan = after(harness, remote(other, 9))

    assert {entry.name for entry in plan.hosts} == {first, "db"}


def test_who_has_failed_leaves_its_address_to_who_is_there() -> None:
    harness = settled()
    harness.hear(Dead(1, "web", "db"))
    harness.pass_time(LATER)

    plan = after(harness, remote("zzz", 9, "10.9.9.2", **GREEDY))

    assert [str(one) for one in plan.peers[key(9)].allowed_ips] == ["10.9.9.2/32"]
