"""What a node tells of members as it happens, and the pings its owner asks for."""

from dataclasses import replace

import pytest

from tests.unit.mesh.node_bench import Bench, joined, metadata, remote, seed
from wesher.gossip import Ack, Address, Dead, Ping, Suspect, UserMessage
from wesher.mesh.base.events import MemberEvent, MemberEventKind, Pinged
from wesher.mesh.base.tombstones import Tombstone, encode_tombstones

WEB = remote("web", 2)
AT = Address("192.0.2.2", 7946)


def happened(bench):
    """Return what happened to whom since the last call."""
    return [(event.what, event.member) for event in bench.take(MemberEvent)]


def test_a_member_joins_fails_returns_and_leaves():
    bench = joined(WEB)
    bench.push(remote("db", 3))
    told = [happened(bench)]
    for incarnation, accuser in ((1, "web"), (2, "db")):
        bench.hear(Dead(incarnation, "db", accuser))
        told.append(happened(bench))
        bench.hear_alive(remote("db", 3), incarnation=2)
        told.append(happened(bench))

    assert told[:4] == [
        [(MemberEventKind.JOINED, "db")],
        [(MemberEventKind.FAILED, "db")],
        [(MemberEventKind.RETURNED, "db")],
        [(MemberEventKind.LEFT, "db")],
    ]


def test_a_suspicion_is_told_and_its_end():
    bench = joined(WEB)
    bench.push(remote("db", 3))
    happened(bench)

    bench.hear(Suspect(1, "db", "web"))
    bench.hear(Suspect(1, "db", "another"))
    suspected = bench.take(MemberEvent)
    bench.hear_alive(remote("db", 3), incarnation=2)

    assert [(one.what, one.member) for one in suspected] == [(MemberEventKind.SUSPECT, "db")]
    assert str(suspected[0].data["overlay_address"]) == "10.9.9.3"
    assert happened(bench) == [(MemberEventKind.CLEARED, "db")]


def forgotten_by_hand(bench):
    bench.node.forget("db", bench.now)
    bench._drain()


def forgotten_elsewhere(bench):
    told = encode_tombstones([Tombstone("db", 1, bench.now)], bench.now)
    bench.hear(UserMessage(told))


def forgotten_in_time(bench):
    bench.keep_alive(WEB, until=bench.now + 200)


@pytest.mark.parametrize(
    "forget", [forgotten_by_hand, forgotten_elsewhere, forgotten_in_time], ids=lambda f: f.__name__
)
def test_who_is_forgotten_is_told_with_addresses(forget):
    bench = joined(WEB, forget_after=100)
    bench.push(remote("db", 3))
    bench.hear(Dead(1, "db", "web"))
    bench.take(MemberEvent)

    forget(bench)

    [event] = [one for one in bench.take(MemberEvent) if one.what is MemberEventKind.FORGOTTEN]
    assert event.member == "db"
    assert {name: str(value) for name, value in event.data.items()} == {
        "address": "192.0.2.3:7946",
        "overlay_address": "10.9.9.3",
    }


def test_what_happened_comes_with_addresses():
    bench = joined(WEB)

    bench.push(remote("db", 3))

    [event] = bench.take(MemberEvent)
    assert {name: str(value) for name, value in event.data.items()} == {
        "address": "192.0.2.3:7946",
        "overlay_address": "10.9.9.3",
    }


@pytest.mark.parametrize(
    ("meta", "what", "old"),
    [
        (metadata("10.9.9.2", 7, version="1"), MemberEventKind.UPDATED, None),
        (metadata("10.7.7.7", 2, version="1"), MemberEventKind.MOVED, "10.9.9.2"),
        (b"damaged", MemberEventKind.MOVED, "10.9.9.2"),
    ],
    ids=["another key", "another address", "no address"],
)
def test_an_update_that_changes_the_address_is_a_move(meta, what, old):
    bench = joined(WEB)

    bench.hear_alive(replace(WEB, meta=meta), incarnation=2)

    [event] = bench.take(MemberEvent)
    assert (event.what, event.member) == (what, "web")
    assert str(event.data.get("old_overlay_address")) == str(old)


def test_a_ping_that_is_answered_is_told_with_its_seconds():
    bench = joined(WEB)
    bench.pings()

    number = bench.node.ping(AT, "web", bench.now)
    bench._drain()
    [(to, ping)] = bench.pings()
    bench.now += 0.5
    bench.hear(Ack(ping.sequence), ip=AT.ip)

    assert to == AT
    assert isinstance(ping, Ping)
    assert bench.take(Pinged) == [Pinged(number, pytest.approx(0.5))]


def test_a_ping_by_stream_that_nobody_answers_is_told():
    bench = joined(WEB)

    number = bench.node.ping(AT, "web", bench.now, stream=True)
    bench._drain()
    bench.fail(*bench.take_streams())

    assert bench.take(Pinged) == [Pinged(number, None, "refused")]


def test_other_seeds_are_contacted_from_now_on():
    bench = Bench(seeds=(seed("192.0.2.10"), seed("192.0.2.11"))).start()
    bench.fail(*bench.take_streams())

    bench.node.reconfigure((seed("192.0.2.11"), seed("192.0.2.12")), 3600, bench.now)
    bench.pass_time(5)

    asked = {request.to.ip for request in bench.take_streams()}
    assert asked == {"192.0.2.11", "192.0.2.12"}
    status = bench.node.status()
    assert [str(one.seed) for one in status.seeds] == ["192.0.2.11:7946", "192.0.2.12:7946"]
