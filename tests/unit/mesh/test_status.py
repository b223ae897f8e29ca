"""What a node tells of itself and of everybody else when it is asked."""

import pytest

from tests.unit.mesh.node_harness import HERE, Harness, joined, metadata, remote, seed
from wesher.gossip import Ack, Address, Dead, Record, Suspect
from wesher.mesh.base.events import Resolve
from wesher.mesh.base.seeds import Seed
from wesher.mesh.reporting.status import MemberStatus, Standing

WEB = remote("web", 2)


def status_of(harness: Harness, name: str) -> MemberStatus:
    return next(one for one in harness.node.status().members if one.name == name)


def test_a_node_that_looks_has_no_address_and_is_not_complete() -> None:
    harness = Harness(seeds=(seed("192.0.2.10"),)).start()

    status = harness.node.status()

    assert (status.name, status.address) == ("local", Address(HERE, 7946))
    assert (status.overlay_addr, status.incarnation) == (None, None)
    assert not status.complete
    assert status.members == ()


def test_a_node_that_has_joined_tells_of_itself() -> None:
    harness = joined(WEB)

    status = harness.node.status()

    assert status.complete
    assert str(status.overlay_addr) == harness.overlay_addr
    assert (status.incarnation, status.health) == (1, 0)


def test_a_peer_is_told_with_its_endpoint_and_without_a_reason() -> None:
    harness = joined(WEB)

    web = status_of(harness, "web")

    assert web.standing is Standing.ALIVE
    assert web.since is not None
    assert web.since <= harness.now
    assert web.address == Address("192.0.2.2", 7946)
    assert str(web.endpoint) == "192.0.2.2:51820"
    assert web.metadata
    assert web.metadata.version == "1"
    assert web.reason is None


def test_members_come_in_the_order_of_their_names() -> None:
    harness = joined(WEB, remote("db", 3), remote("alpha", 4))

    assert [one.name for one in harness.node.status().members] == ["alpha", "db", "web"]


@pytest.mark.parametrize(
    ("claims", "standing"),
    [
        ([Suspect(1, "web", "db")], Standing.SUSPECT),
        ([Dead(1, "web", "db")], Standing.FAILED),
        ([Dead(1, "web", "web")], Standing.LEFT),
    ],
    ids=lambda value: str(value)[:20],
)
def test_the_standing_is_what_the_mesh_holds_a_member_for(
    claims: list[Dead | Suspect], standing: Standing
) -> None:
    harness = joined(WEB, remote("db", 3))
    harness.now += 7
    for claim in claims:
        harness.hear(claim)

    web = status_of(harness, "web")

    assert web.standing is standing
    assert web.since == harness.now
    assert web.reason == ("has left" if standing is Standing.LEFT else None)


def test_who_left_and_failed_is_told_of_when_gossip_has_forgotten_it() -> None:
    harness = joined(WEB, remote("db", 3), remote("mail", 4))
    harness.hear(Dead(1, "db", "db"))
    harness.hear(Dead(1, "mail", "web"))
    at = harness.now

    harness.keep_alive(WEB, until=at + 200)

    db, mail = status_of(harness, "db"), status_of(harness, "mail")
    assert harness.node.members.get("db") is None
    assert (db.standing, db.since, db.reason) == (Standing.LEFT, at, "has left")
    assert (mail.standing, mail.since) == (Standing.FAILED, at)
    assert mail.endpoint is not None


@pytest.mark.parametrize(
    ("record", "peer", "reason"),
    [
        (remote("db", 3, meta=b"damaged"), False, "has unreadable metadata"),
        (remote("db", 3, overlay="172.16.0.1"), False, "outside our overlay network"),
        (remote("localhost", 3), False, "has an unusable name"),
        (remote("zebra", 3, overlay="10.9.9.2"), True, "10.9.9.2, which goes to web"),
    ],
)
def test_why_a_member_gets_no_packets_is_told(record: Record, peer: bool, reason: str) -> None:
    harness = joined(WEB, record)

    member = status_of(harness, record.name)

    assert (member.endpoint is not None) is peer
    assert reason in str(member.reason)


def test_a_member_that_came_this_moment_is_not_considered_yet() -> None:
    harness = joined(WEB)
    harness.push(remote("db", 3))

    harness.push(remote("mail", 4))

    assert status_of(harness, "db").reason is None
    assert "in a moment" in str(status_of(harness, "mail").reason)


def test_before_we_have_an_address_nobody_is_considered() -> None:
    harness = Harness(seeds=(seed("192.0.2.10"),)).start()

    harness.push(remote("db", 3))

    assert "before we have an overlay address" in str(status_of(harness, "db").reason)


def test_the_round_trip_of_a_probe_is_told() -> None:
    harness = joined(WEB)
    before = status_of(harness, "web").round_trip
    while not (pings := [ping for to, ping in harness.pings() if to.ip == "192.0.2.2"]):
        harness.pass_time(0.25)
    harness.now += 0.125

    harness.hear(Ack(pings[0].sequence), ip="192.0.2.2")

    assert before is None
    seconds = status_of(harness, "web").round_trip
    assert seconds
    assert 0.125 <= seconds < 0.5


# Seeds


def test_how_seeds_fare_is_told() -> None:
    hosts = ("192.0.2.10", "192.0.2.11", "unknown", "192.0.2.12")
    harness = Harness(seeds=tuple(map(seed, hosts))).start()
    ten, eleven, twelve = harness.take_streams()
    harness.now += 1
    harness.answer(ten, WEB)
    harness.fail(eleven)
    harness.resolve(Resolve(Seed("unknown", 7946)))
    own = harness.loop_back(twelve)

    seeds = harness.node.status().seeds

    assert [(one.answered_at, one.problem) for one in seeds[:3]] == [
        (harness.now, None),
        (None, "refused"),
        (None, "its name has no address"),
    ]
    assert own is None
    assert seeds[3].problem == "is this host"


def test_what_trying_a_seed_came_to_is_over_once_a_member_is_there() -> None:
    harness = Harness(seeds=(seed("192.0.2.10"), seed("192.0.2.11"), seed("192.0.2.12"))).start()
    ten, *others = harness.take_streams()
    harness.answer(ten, WEB)
    harness.fail(*others)

    harness.push(remote("late", 4, ip="192.0.2.11"))

    assert [one.problem for one in harness.node.status().seeds] == [None, None, "refused"]


def test_a_seed_that_answered_once_and_fails_later_keeps_when_it_answered() -> None:
    harness = Harness(seeds=(seed("192.0.2.10"),)).start()
    [look] = harness.take_streams()
    harness.answer(look)
    answered_at = harness.now
    harness.pass_time(1)

    harness.fail(*harness.take_streams())

    [one] = harness.node.status().seeds
    assert one.answered_at is not None
    assert one.answered_at >= answered_at


def test_the_metadata_of_a_go_peer_is_told_too() -> None:
    harness = joined(remote("go", 3, meta=metadata("10.9.9.3", 3)))

    go = status_of(harness, "go")

    assert go.endpoint is not None
    assert go.metadata
    assert not go.metadata.has_ext
