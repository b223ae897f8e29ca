"""What a node tells of itself and of everybody else when it is asked."""

import pytest

from tests.unit.mesh.node_bench import HERE, Bench, joined, metadata, remote, seed
from wesher.gossip import Ack, Address, Dead, Suspect
from wesher.mesh.base.events import Resolve
from wesher.mesh.reporting.status import Standing

WEB = remote("web", 2)


def status_of(bench, name):
    return next(one for one in bench.node.status().members if one.name == name)


def test_a_node_that_looks_has_no_address_and_is_not_complete():
    bench = Bench(seeds=(seed("192.0.2.10"),)).start()

    status = bench.node.status()

    assert (status.name, status.address) == ("local", Address(HERE, 7946))
    assert (status.overlay_addr, status.incarnation) == (None, None)
    assert not status.complete
    assert status.members == ()


def test_a_node_that_has_joined_tells_of_itself():
    bench = joined(WEB)

    status = bench.node.status()

    assert status.complete
    assert str(status.overlay_addr) == bench.overlay_addr
    assert (status.incarnation, status.health) == (1, 0)


def test_a_peer_is_told_with_its_endpoint_and_without_a_reason():
    bench = joined(WEB)

    web = status_of(bench, "web")

    assert web.standing is Standing.ALIVE
    assert web.since <= bench.now
    assert web.address == Address("192.0.2.2", 7946)
    assert str(web.endpoint) == "192.0.2.2:51820"
    assert web.metadata.version == "1"
    assert web.reason is None


def test_members_come_in_the_order_of_their_names():
    bench = joined(WEB, remote("db", 3), remote("alpha", 4))

    assert [one.name for one in bench.node.status().members] == ["alpha", "db", "web"]


@pytest.mark.parametrize(
    ("claims", "standing"),
    [
        ([Suspect(1, "web", "db")], Standing.SUSPECT),
        ([Dead(1, "web", "db")], Standing.FAILED),
        ([Dead(1, "web", "web")], Standing.LEFT),
    ],
    ids=lambda value: str(value)[:20],
)
def test_the_standing_is_what_the_mesh_holds_a_member_for(claims, standing):
    bench = joined(WEB, remote("db", 3))
    bench.now += 7
    for claim in claims:
        bench.hear(claim)

    web = status_of(bench, "web")

    assert web.standing is standing
    assert web.since == bench.now
    assert web.reason == ("has left" if standing is Standing.LEFT else None)


def test_who_left_and_failed_is_told_of_when_gossip_has_forgotten_it():
    bench = joined(WEB, remote("db", 3), remote("mail", 4))
    bench.hear(Dead(1, "db", "db"))
    bench.hear(Dead(1, "mail", "web"))
    at = bench.now

    bench.keep_alive(WEB, until=at + 200)

    db, mail = status_of(bench, "db"), status_of(bench, "mail")
    assert bench.node.members.get("db") is None
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
def test_why_a_member_gets_no_packets_is_told(record, peer, reason):
    bench = joined(WEB, record)

    member = status_of(bench, record.name)

    assert (member.endpoint is not None) is peer
    assert reason in member.reason


def test_a_member_that_came_this_moment_is_not_considered_yet():
    bench = joined(WEB)
    bench.push(remote("db", 3))

    bench.push(remote("mail", 4))

    assert status_of(bench, "db").reason is None
    assert "in a moment" in status_of(bench, "mail").reason


def test_before_we_have_an_address_nobody_is_considered():
    bench = Bench(seeds=(seed("192.0.2.10"),)).start()

    bench.push(remote("db", 3))

    assert "before we have an overlay address" in status_of(bench, "db").reason


def test_the_round_trip_of_a_probe_is_told():
    bench = joined(WEB)
    before = status_of(bench, "web").round_trip
    while not (pings := [ping for to, ping in bench.pings() if to.ip == "192.0.2.2"]):
        bench.pass_time(0.25)
    bench.now += 0.125

    bench.hear(Ack(pings[0].sequence), ip="192.0.2.2")

    assert before is None
    assert 0.125 <= status_of(bench, "web").round_trip < 0.5


# Seeds


def test_how_seeds_fare_is_told():
    hosts = ("192.0.2.10", "192.0.2.11", "unknown", "192.0.2.12")
    bench = Bench(seeds=tuple(map(seed, hosts))).start()
    ten, eleven, twelve = bench.take_streams()
    bench.now += 1
    bench.answer(ten, WEB)
    bench.fail(eleven)
    bench.resolve(Resolve("unknown", 7946))
    own = bench.loop_back(twelve)

    seeds = bench.node.status().seeds

    assert [(one.answered_at, one.trouble) for one in seeds[:3]] == [
        (bench.now, None),
        (None, "refused"),
        (None, "its name has no address"),
    ]
    assert own is None
    assert seeds[3].trouble == "is this host"


def test_what_trying_a_seed_came_to_is_over_once_a_member_is_there():
    bench = Bench(seeds=(seed("192.0.2.10"), seed("192.0.2.11"), seed("192.0.2.12"))).start()
    ten, *others = bench.take_streams()
    bench.answer(ten, WEB)
    bench.fail(*others)

    bench.push(remote("late", 4, ip="192.0.2.11"))

    assert [one.trouble for one in bench.node.status().seeds] == [None, None, "refused"]


def test_a_seed_that_answered_once_and_fails_later_keeps_when_it_answered():
    bench = Bench(seeds=(seed("192.0.2.10"),)).start()
    [look] = bench.take_streams()
    bench.answer(look)
    answered_at = bench.now
    bench.pass_time(1)

    bench.fail(*bench.take_streams())

    [one] = bench.node.status().seeds
    assert one.answered_at is not None
    assert one.answered_at >= answered_at


def test_the_metadata_of_a_go_peer_is_told_too():
    bench = joined(remote("go", 3, meta=metadata("10.9.9.3", 3)))

    go = status_of(bench, "go")

    assert go.endpoint is not None
    assert not go.metadata.has_ext
