"""What the owner of a Gossip tells it: its own news, claims it vouches for, records to go first."""

import pytest

from tests.unit.gossip.harness import (
    LOCAL,
    PORT,
    REMOTE,
    Harness,
    address,
    alive,
    local_alive,
    record,
)
from wesher.gossip import (
    AddressConflict,
    Dead,
    ExchangeFinished,
    MemberLeft,
    MemberUpdated,
    PushPull,
    RecordState,
    UserMessage,
    pack_ip,
)

SEED = address("10.0.0.9")


def test_bytes_of_the_owner_are_gossiped_at_once_and_replace_what_waits() -> None:
    harness = Harness(alive())

    harness.gossip.broadcast("subject", b"older", 1.0)
    at_once = harness.said_to(address("10.0.0.2"))
    harness.gossip.broadcast("subject", b"newer", 1.0)

    assert UserMessage(b"older") in at_once
    told = [message for message in harness.queued() if isinstance(message, UserMessage)]
    assert told == [UserMessage(b"newer")]


def test_a_claim_that_was_held_back_counts_once_the_owner_lets_it() -> None:
    harness = Harness()
    harness.gossip.hold_back({REMOTE: 9})
    harness.hears(alive())
    before = harness.state()

    harness.gossip.apply_alive(alive(), 0.0)

    assert before == "unknown"
    assert harness.state() == "ALIVE"
    assert harness.news() == [alive()]


@pytest.mark.parametrize("death", [None, Dead(1, REMOTE, "x"), Dead(1, REMOTE, REMOTE)])
def test_a_member_that_is_known_to_have_moved_may_be_elsewhere(death: Dead | None) -> None:
    harness = Harness(alive(), *filter(None, [death]))
    elsewhere = alive(incarnation=2, ip="10.0.0.77")

    harness.gossip.apply_alive(elsewhere, 0.0, moved=True)

    assert harness.member().address == address("10.0.0.77")
    assert harness.state() == "ALIVE"
    assert harness.news() == [elsewhere]


def test_a_live_member_that_moves_is_told_as_an_update() -> None:
    harness = Harness(alive())

    harness.gossip.apply_alive(alive(incarnation=2, ip="10.0.0.77"), 0.0, moved=True)

    assert harness.events() == [MemberUpdated(harness.member())]


def test_without_that_it_is_a_conflict() -> None:
    harness = Harness(alive())
    elsewhere = alive(incarnation=2, ip="10.0.0.77")

    harness.gossip.apply_alive(elsewhere, 0.0)

    assert harness.events() == [AddressConflict(harness.member(), elsewhere)]


def test_a_member_that_the_owner_buries_has_left() -> None:
    harness = Harness(alive(incarnation=3))

    harness.gossip.apply_left(REMOTE, 3, 0.0)

    assert harness.events() == [MemberLeft(harness.member())]
    assert harness.news() == [Dead(3, REMOTE, REMOTE)]


def test_being_buried_ourselves_is_refuted() -> None:
    harness = Harness(alive())

    harness.gossip.apply_left(LOCAL, 7, 0.0)

    assert harness.news(LOCAL) == [local_alive(8)]


def test_records_of_the_owner_go_before_our_table() -> None:
    harness = Harness(alive())
    first = record(LOCAL, 5, RecordState.LEFT, ip="10.0.0.77")

    harness.gossip.push_pull(SEED, 0.0, join=True, first=(first,))

    [(_, request)] = harness.requests()
    assert isinstance(request, PushPull)
    assert request.records[0] == first
    assert [told.name for told in request.records[1:]] == [LOCAL, REMOTE]


def test_three_records_take_a_member_to_its_new_address() -> None:
    harness = Harness(alive(incarnation=4))
    moved = [
        record(incarnation=5),
        record(incarnation=5, state=RecordState.LEFT),
        record(incarnation=6, ip="10.0.0.77"),
    ]

    harness.exchanges(*moved)

    assert harness.member().address == address("10.0.0.77")
    assert harness.state() == "ALIVE"


def test_what_else_came_with_a_look_is_handed_over() -> None:
    harness = Harness()
    number = harness.gossip.push_pull(SEED, 0.0, join=False, look=True)
    [stream] = harness.streams()

    harness.answered(stream, PushPull(False, (), b"theirs"))

    assert stream.to.port == PORT
    assert harness.events() == [ExchangeFinished(number, SEED, user_state=b"theirs")]


def test_at_another_address_our_incarnation_rises_by_two() -> None:
    harness = Harness()
    before = harness.local.incarnation

    harness.gossip.move_to(pack_ip("10.0.0.99"), 0.0)

    assert harness.local.address == address("10.0.0.99")
    assert harness.local.incarnation == before + 2


def test_an_exchange_that_is_over_leaves_no_timer_behind() -> None:
    harness = Harness()
    timers = harness.gossip._context.timers
    before = timers.pending()
    harness.gossip.push_pull(SEED, 0.0, join=True)
    (request,) = harness.gossip.streams_to_open()

    harness.gossip.stream_failed(request.id, "refused", 0.0)

    assert timers.pending() == before
