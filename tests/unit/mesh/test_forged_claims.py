"""Claims that their member cannot have made: forged by somebody who has the cluster key."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.testbed.keys import key
from tests.unit.mesh.node_harness import VERSIONS, Harness, joined, metadata, remote, saved, seed
from wesher.gossip import Ack, Address, Alive, Dead, Message, Record, Suspect, UserMessage, pack_ip
from wesher.gossip.codec import encode
from wesher.gossip.messages import MAX_FIRST, MAX_LEAP, SATURATED
from wesher.mesh.base.saved import Tombstone
from wesher.mesh.base.tombstones import encode_tombstones

WEB, DB = remote("web", 2, incarnation=3), remote("db", 3)
HIGHEST = 2**32 - 2
FAR = [3 + MAX_LEAP + 1, 2**31, HIGHEST]
EVIL = metadata("10.9.9.2", 66, version="1")
FORMATS = [EVIL, metadata("10.9.9.2", 66), metadata("10.9.9.2", 66, "v0.2")]


def settled(*records: Record, **settings: Any) -> Harness:
    """Return a node that has been up with these members for a while."""
    harness = joined(*(records or (WEB, DB)), **settings)
    harness.keep_alive(*(records or (WEB, DB)), until=harness.now + 70)
    harness.events.clear()
    return harness


def tombstone(name: str, incarnation: int, harness: Harness) -> UserMessage:
    return UserMessage(encode_tombstones([Tombstone(name, incarnation, harness.now)], harness.now))


def standing(harness: Harness) -> dict[str, tuple[int, int]]:
    """Return what others are told of each member, by name."""
    return {one.name: (one.state, one.incarnation) for one in harness.push()}


@pytest.mark.parametrize("incarnation", FAR)
@pytest.mark.parametrize("meta", FORMATS, ids=["ours", "go", "v0.2"])
@pytest.mark.parametrize("by_table", [False, True])
def test_a_leap_takes_no_members_key(incarnation: int, meta: bytes, by_table: bool) -> None:
    harness = settled()

    forged = remote("web", 2, incarnation=incarnation, meta=meta)
    if by_table:
        harness.push(forged)
    else:
        harness.hear_alive(forged)
    harness.pass_time(0.5)

    assert harness.plan.peers.keys() == {key(2), key(3)}
    assert standing(harness)["web"] == (0, 3)
    assert harness.warnings() == [
        f"192.0.2.99:{40000 if by_table else 7946} passes on that web is at incarnation "
        f"{incarnation}, which it cannot be: it is not believed; somebody with the cluster key "
        "made it up: see who runs there"
    ]


@pytest.mark.parametrize("incarnation", FAR)
@pytest.mark.parametrize(
    "claim",
    [
        lambda incarnation, _: Suspect(incarnation, "web", "db"),
        lambda incarnation, _: Dead(incarnation, "web", "db"),
        lambda incarnation, _: Dead(incarnation, "web", "web"),
        lambda incarnation, harness: tombstone("web", incarnation, harness),
    ],
    ids=["suspect", "dead", "left", "tombstone"],
)
def test_no_other_claim_leaps_either(
    incarnation: int, claim: Callable[[int, Harness], Message]
) -> None:
    harness = settled()

    harness.hear(claim(incarnation, harness))
    harness.pass_time(0.5)

    assert standing(harness)["web"] == (0, 3)
    assert any("web is at incarnation" in warning for warning in harness.warnings())


@pytest.mark.parametrize("leap", [1, MAX_LEAP])
def test_what_a_member_can_have_counted_is_believed(leap: int) -> None:
    harness = settled()

    harness.hear_alive(WEB, incarnation=3 + leap)

    assert standing(harness)["web"] == (0, 3 + leap)
    assert harness.warnings() == []


@pytest.mark.parametrize(("incarnation", "known"), [(MAX_FIRST, True), (MAX_FIRST + 1, False)])
def test_nobody_is_met_with_a_number_that_leaves_nothing_to_refute_with(
    incarnation: int, known: bool
) -> None:
    harness = settled()

    harness.hear_alive(remote("new", 4, incarnation=incarnation))

    assert ("new" in standing(harness)) is known
    assert bool(harness.warnings()) is not known


@pytest.mark.parametrize(
    "claim",
    [
        lambda _: Alive(HIGHEST, "local", pack_ip("192.0.2.1"), 7946, EVIL, VERSIONS),
        lambda _: Suspect(HIGHEST, "local", "db"),
        lambda _: Dead(HIGHEST, "local", "local"),
        lambda harness: tombstone("local", HIGHEST, harness),
    ],
    ids=["alive", "suspect", "left", "tombstone"],
)
def test_our_own_counter_is_not_driven_up(claim: Callable[[Harness], Message]) -> None:
    harness = settled()
    before = harness.record.incarnation

    harness.hear(claim(harness))
    harness.pass_time(0.5)

    assert harness.record.incarnation == before
    assert harness.saved.incarnation == before
    assert any("local is at incarnation" in warning for warning in harness.warnings())


@pytest.mark.parametrize("saved_by_us", [SATURATED, HIGHEST])
def test_a_spent_counter_of_an_earlier_release_is_neither_used_nor_saved_again(
    saved_by_us: int,
) -> None:
    harness = joined(WEB, earlier=saved(incarnation=saved_by_us), seeds=(seed("192.0.2.10"),))

    assert harness.record.incarnation == 1
    assert harness.saved.incarnation == 1


def test_a_key_that_changes_under_a_live_member_is_an_error() -> None:
    harness = settled()

    harness.hear_alive(WEB, incarnation=4, meta=EVIL)

    (error,) = harness.errors()
    assert error.startswith(f"member web changed its WireGuard key from {key(2)} to {key(66)}")


@pytest.mark.parametrize(
    "gap", [Dead(3, "web", "web"), Dead(3, "web", "db"), Suspect(3, "web", "db")]
)
def test_a_member_that_was_away_may_come_with_another_key(gap: Dead | Suspect) -> None:
    harness = settled()

    harness.hear(gap)
    harness.hear_alive(WEB, incarnation=4, meta=EVIL)
    harness.pass_time(0.5)

    assert harness.errors() == []


def test_other_metadata_with_the_same_key_is_no_error() -> None:
    harness = settled()

    harness.hear_alive(WEB, incarnation=4, meta=metadata("10.9.9.77", 2, version="2"))

    assert harness.errors() == []


@pytest.mark.parametrize(("after", "told"), [(0, False), (70, True)])
def test_who_announces_us_with_another_key_is_told_of_once_we_are_known(
    after: float, told: bool
) -> None:
    harness = joined(WEB, DB)
    harness.keep_alive(WEB, DB, until=harness.now + after)
    harness.events.clear()

    local = harness.record
    harness.hear_alive(local, incarnation=local.incarnation + 1, meta=EVIL)

    assert harness.record.incarnation == local.incarnation + 2
    assert harness.metadata.public_key == key(1)
    errors = harness.errors()
    assert bool(errors) is told
    assert all(error.startswith("somebody announces this host, local, with") for error in errors)


@pytest.mark.parametrize("answers", [True, False])
def test_a_recording_does_not_bring_back_whom_we_have_forgotten(answers: bool) -> None:
    harness = joined(WEB, DB, forget_after=60)
    harness.hear(Dead(3, "web", "db"))
    harness.keep_alive(DB, until=harness.now + 200)
    assert "web" not in standing(harness)
    harness.pings()

    harness.hear_alive(WEB)
    at_once = {entry.name for entry in harness.plan.hosts}
    for to, ping in harness.pings():
        if answers and to.ip == "192.0.2.2":
            harness.hear(Ack(ping.sequence), ip=to.ip)
    harness.pass_time(0.5)

    assert at_once == {"db"}
    assert ({entry.name for entry in harness.plan.hosts} == {"web", "db"}) is answers


def test_a_forgotten_member_of_the_operators_needs_to_answer_also_after_its_tombstone() -> None:
    harness = joined(WEB, DB, forget_after=60)
    harness.hear(Dead(3, "web", "db"))
    harness.node.forget("web", harness.now)
    harness.keep_alive(DB, until=harness.now + 200)

    harness.hear_alive(WEB, incarnation=9)
    harness.pass_time(0.5)

    assert {entry.name for entry in harness.plan.hosts} == {"db"}


def test_pings_are_numbered_from_where_the_start_said() -> None:
    harness = joined(WEB, first_sequence=123_456)

    harness.node.ping(WEB_ADDRESS, "web", harness.now)
    harness._drain()

    (ping,) = [ping for to, ping in harness.pings() if ping.node == "web"][-1:]
    assert 0 <= ping.sequence - 123_456 < 100
    assert encode(ping)


WEB_ADDRESS = Address("192.0.2.2", 7946)
