"""What a member has, no newcomer takes from it, whatever it says of itself (`--trust live`)."""

from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest

from tests.testbed.keys import key
from tests.unit.mesh.node_harness import Harness, joined, metadata, remote
from tests.unit.mesh.test_identity_contests import DB, OURS, TRUE, signed
from wesher.base.frozen import replace
from wesher.gossip import Record, pack_ip
from wesher.mesh.base.identity import Identity
from wesher.mesh.base.trust import Trust

EVIL = Identity(b"evil" + bytes(28))
FLAGS: list[dict[str, Any]] = [
    {},
    {"immovable": True},
    {"kept": True},
    {"immovable": True, "kept": True},
    {"late": True},
]
ROUTE = (ip_network("10.9.9.2"),)


def settled(trust: Trust = "live", *members: Record, **settings: Any) -> Harness:
    """Return a node that has been up with these members for a while."""
    known = (TRUE, DB, *members)
    harness = joined(*known, identity=OURS, trust=trust, **settings)
    harness.keep_alive(*known, until=harness.now + 70)
    harness.events.clear()
    return harness


def claimed(*records: Record, by: Harness) -> None:
    """Let newcomers be heard of, and the node look at them."""
    for record in records:
        by.hear_alive(record)
    by.pass_time(0.5)


def keeps_all(harness: Harness) -> bool:
    """Tell whether web has all that it had."""
    plan = harness.plan
    named = {entry.name: str(entry.ip) for entry in plan.hosts}
    return (
        plan.peers[key(2)].allowed_ips == ROUTE
        and plan.peers[key(2)].endpoint.ip == "192.0.2.2"
        and named["web"] == "10.9.9.2"
    )


def inventions(number: int) -> list[Record]:
    return [remote(f"m{one}", 100 + one, ip=f"192.0.2.{100 + one}") for one in range(number)]


@pytest.mark.parametrize("flags", FLAGS)
def test_its_overlay_address(flags: dict[str, Any]) -> None:
    harness = settled()

    claimed(
        signed(EVIL, "aaa", ip="192.0.2.66", number=66, overlay="10.9.9.2", **flags), by=harness
    )

    assert keeps_all(harness)
    assert harness.plan.peers[key(66)].allowed_ips == ()


@pytest.mark.parametrize("flags", FLAGS)
def test_its_wireguard_key(flags: dict[str, Any]) -> None:
    harness = settled()

    claimed(
        signed(EVIL, "aaa", ip="192.0.2.66", number=2, overlay="10.9.9.66", **flags), by=harness
    )

    assert keeps_all(harness)


@pytest.mark.parametrize("name", ["WEB", "Web"])
@pytest.mark.parametrize("flags", FLAGS)
def test_its_name_in_other_letters(name: str, flags: dict[str, Any]) -> None:
    harness = settled()

    claimed(signed(EVIL, name, ip="192.0.2.66", number=66, **flags), by=harness)

    assert keeps_all(harness)


@pytest.mark.parametrize("extra", [{"endpoint": "192.0.2.2"}, {}])
def test_its_endpoint_and_gossip_address(extra: dict[str, Any]) -> None:
    harness = settled()

    claimed(signed(EVIL, "aaa", ip="192.0.2.2", number=66, **extra), by=harness)

    assert keeps_all(harness)


@pytest.mark.parametrize("is_named", [True, False])
def test_the_address_it_has_in_the_overlay_as_that_of_a_newcomers_host(is_named: bool) -> None:
    harness = settled()

    ip: dict[str, Any] = {"endpoint": "10.9.9.2"} if is_named else {"ip": "10.9.9.2"}
    claimed(signed(EVIL, "aaa", number=66, **{"ip": "192.0.2.66"} | ip), by=harness)

    assert keeps_all(harness)
    assert key(66) not in harness.plan.peers


def test_who_was_reached_there_before_keeps_it_too() -> None:
    inside = signed(EVIL, "old", ip="10.8.8.8", number=8)
    harness = settled("live", inside)

    claimed(signed(EVIL, "aaa", ip="192.0.2.66", number=66, overlay="10.8.8.8"), by=harness)

    assert harness.plan.peers[key(8)].endpoint.ip == "10.8.8.8"
    assert key(66) not in harness.plan.peers


@pytest.mark.parametrize("format", ["current", "v0.2"])
def test_its_overlay_address_by_passing_for_a_member_of_the_original(format: Any) -> None:
    harness = settled()

    go = Record(
        "aaa", pack_ip("192.0.2.66"), 7946, metadata("10.9.9.2", 66, format), 1, 0, TRUE.versions
    )
    claimed(go, by=harness)

    assert keeps_all(harness)


def test_open_makes_room_for_the_original_as_ever() -> None:
    harness = settled("open")

    claimed(remote("aaa", 66, meta=metadata("10.9.9.2", 66), ip="192.0.2.66"), by=harness)

    assert harness.plan.peers[key(2)].allowed_ips == ()


def test_members_without_identity_make_room_for_the_original_as_ever() -> None:
    web = remote("web", 2)
    harness = joined(web, DB)
    harness.keep_alive(web, DB, until=harness.now + 70)

    claimed(remote("aaa", 66, meta=metadata("10.9.9.2", 66), ip="192.0.2.66"), by=harness)

    assert harness.plan.peers[key(2)].allowed_ips == ()


THEFTS: list[Callable[[], Record]] = [
    lambda: signed(EVIL, "aaa", ip="192.0.2.66", number=66, overlay="10.9.9.2", immovable=True),
    lambda: signed(EVIL, "aaa", ip="192.0.2.66", number=2, overlay="10.9.9.66", immovable=True),
    lambda: signed(EVIL, "WEB", ip="192.0.2.66", number=66),
]


@pytest.mark.parametrize("theft", THEFTS, ids=["address", "key", "name"])
def test_a_cluster_that_was_invented_takes_nothing(theft: Callable[[], Record]) -> None:
    harness = settled()

    claimed(*inventions(30), theft(), by=harness)
    harness.pass_time(20)

    assert keeps_all(harness)


@pytest.mark.parametrize("theft", THEFTS, ids=["address", "key", "name"])
def test_nor_does_one_that_answers_at_a_single_address(theft: Callable[[], Record]) -> None:
    harness = settled()
    crowd = [replace(one, addr=pack_ip("192.0.2.66")) for one in inventions(12)]

    claimed(*crowd, theft(), by=harness)
    harness.keep_alive(TRUE, DB, *crowd, theft(), until=harness.now + 90)

    assert keeps_all(harness)


def test_a_cluster_whose_members_answer_is_larger_and_keeps_what_it_has() -> None:
    harness = settled()
    rival = signed(EVIL, "aaa", ip="192.0.2.66", number=66, overlay="10.9.9.2", immovable=True)
    crowd = inventions(12)

    claimed(*crowd, rival, by=harness)
    harness.keep_alive(TRUE, DB, *crowd, rival, until=harness.now + 90)

    assert harness.plan.peers[key(66)].allowed_ips == ROUTE
    assert "web" not in {one.name for one in harness.plan.hosts}
