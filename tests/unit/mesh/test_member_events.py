"""What a node tells of members as it happens, and the pings its owner asks for."""

from collections.abc import Callable

import pytest

from tests.unit.mesh.node_harness import Harness, joined, metadata, remote, seed
from wesher.base.frozen import replace
from wesher.gossip import Ack, Address, Dead, Ping, Suspect, UserMessage
from wesher.mesh.base.events import MemberEvent, MemberEventKind, Pinged
from wesher.mesh.base.saved import Tombstone
from wesher.mesh.base.settings import Adjustable
from wesher.mesh.base.tombstones import encode_tombstones

WEB = remote("web", 2)
AT = Address("192.0.2.2", 7946)


def happened(harness: Harness) -> list[tuple[MemberEventKind, str]]:
    """Return what happened to whom since the last call."""
    return [(event.what, event.member) for event in harness.take(MemberEvent)]


def test_a_member_joins_fails_returns_and_leaves() -> None:
    harness = joined(WEB)
    harness.push(remote("db", 3))
    told = [happened(harness)]
    for incarnation, accuser in ((1, "web"), (2, "db")):
        harness.hear(Dead(incarnation, "db", accuser))
        told.append(happened(harness))
        harness.hear_alive(remote("db", 3), incarnation=2)
        told.append(happened(harness))

    assert told[:4] == [
        [(MemberEventKind.JOINED, "db")],
        [(MemberEventKind.FAILED, "db")],
        [(MemberEventKind.RETURNED, "db")],
        [(MemberEventKind.LEFT, "db")],
    ]


def test_a_suspicion_is_told_and_its_end() -> None:
    harness = joined(WEB)
    harness.push(remote("db", 3))
    happened(harness)

    harness.hear(Suspect(1, "db", "web"))
    harness.hear(Suspect(1, "db", "another"))
    suspected = harness.take(MemberEvent)
    harness.hear_alive(remote("db", 3), incarnation=2)

    assert [(one.what, one.member) for one in suspected] == [(MemberEventKind.SUSPECT, "db")]
    assert str(suspected[0].data["overlay_address"]) == "10.9.9.3"
    assert happened(harness) == [(MemberEventKind.CLEARED, "db")]


def forgotten_by_hand(harness: Harness) -> None:
    harness.node.forget("db", harness.now)
    harness._drain()


def forgotten_elsewhere(harness: Harness) -> None:
    told = encode_tombstones([Tombstone("db", 1, harness.now)], harness.now)
    harness.hear(UserMessage(told))


def forgotten_in_time(harness: Harness) -> None:
    harness.keep_alive(WEB, until=harness.now + 200)


@pytest.mark.parametrize(
    "forget", [forgotten_by_hand, forgotten_elsewhere, forgotten_in_time], ids=lambda f: f.__name__
)
def test_who_is_forgotten_is_told_with_addresses(forget: Callable[[Harness], None]) -> None:
    harness = joined(WEB, forget_after=100)
    harness.push(remote("db", 3))
    harness.hear(Dead(1, "db", "web"))
    harness.take(MemberEvent)

    forget(harness)

    [event] = [one for one in harness.take(MemberEvent) if one.what is MemberEventKind.FORGOTTEN]
    assert event.member == "db"
    assert {name: str(value) for name, value in event.data.items()} == {
        "address": "192.0.2.3:7946",
        "overlay_address": "10.9.9.3",
    }


def test_what_happened_comes_with_addresses() -> None:
    harness = joined(WEB)

    harness.push(remote("db", 3))

    [event] = harness.take(MemberEvent)
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
def test_an_update_that_changes_the_address_is_a_move(
    meta: bytes, what: MemberEventKind, old: str | None
) -> None:
    harness = joined(WEB)

    harness.hear_alive(replace(WEB, meta=meta), incarnation=2)

    [event] = harness.take(MemberEvent)
    assert (event.what, event.member) == (what, "web")
    assert str(event.data.get("old_overlay_address")) == str(old)


def test_a_ping_that_is_answered_is_told_with_its_seconds() -> None:
    harness = joined(WEB)
    harness.pings()

    number = harness.node.ping(AT, "web", harness.now)
    harness._drain()
    [(to, ping)] = harness.pings()
    harness.now += 0.5
    harness.hear(Ack(ping.sequence), ip=AT.ip)

    assert to == AT
    assert isinstance(ping, Ping)
    (pinged,) = harness.take(Pinged)
    assert pinged.ping == number
    assert pinged.seconds == pytest.approx(0.5)


def test_a_ping_by_stream_that_nobody_answers_is_told() -> None:
    harness = joined(WEB)

    number = harness.node.ping(AT, "web", harness.now, stream=True)
    harness._drain()
    harness.fail(*harness.take_streams())

    assert harness.take(Pinged) == [Pinged(number, None, "refused")]


def test_other_seeds_are_contacted_from_now_on() -> None:
    harness = Harness(seeds=(seed("192.0.2.10"), seed("192.0.2.11"))).start()
    harness.fail(*harness.take_streams())

    seeds = seed("192.0.2.11"), seed("192.0.2.12")
    harness.node.reconfigure(Adjustable(seeds, 3600), harness.now)
    harness.pass_time(5)

    asked = {request.to.ip for request in harness.take_streams()}
    assert asked == {"192.0.2.11", "192.0.2.12"}
    status = harness.node.status()
    assert [str(one.seed) for one in status.seeds] == ["192.0.2.11:7946", "192.0.2.12:7946"]
