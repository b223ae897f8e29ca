"""A participant that did not run for a while: what it puts off, forgets and keeps back."""

import pytest

from tests.unit.gossip.harness import (
    LOCAL,
    REMOTE,
    Harness,
    address,
    alive,
    local_alive,
    others,
    record,
)
from wesher.gossip import (
    Ack,
    Dead,
    ExchangeFinished,
    MemberFailed,
    Ping,
    PushPull,
    Record,
    Suspect,
    UserMessage,
)

SEED = address("10.0.0.9")


def asleep(harness: Harness) -> None:
    """Let it not run for a while, in which its clock stands still."""
    harness.gossip.resume()


def suspected() -> tuple[Harness, float]:
    """Return a bench whose only other member is suspected, and the time left to it."""
    harness = Harness(alive(), Suspect(1, REMOTE, "x"))
    return harness, 30.0


def test_nobody_is_declared_dead_for_what_was_slept_through() -> None:
    harness, left = suspected()
    asleep(harness)

    harness.run(until=left - 1)
    before = harness.state()
    harness.run(until=left + 1)

    assert before == "SUSPECT"
    assert harness.state() == "DEAD"


def test_a_suspicion_that_is_confirmed_after_a_sleep_ends_in_its_time() -> None:
    harness = Harness(*others(10), alive(), Suspect(1, REMOTE, "m0"))
    asleep(harness)

    for accuser in ("m1", "m2", "m3", "m4"):
        harness.hears(Suspect(1, REMOTE, accuser))
    harness.run(until=29)
    before = harness.state()
    harness.run(until=35)
    after = harness.state()
    harness.run(until=200)

    assert (before, after) == ("SUSPECT", "DEAD")


def test_a_suspicion_that_was_refuted_after_a_sleep_is_over() -> None:
    harness, left = suspected()
    asleep(harness)

    harness.hears(alive(incarnation=2))
    harness.run(until=left + 2)

    assert not [event for event in harness.events() if isinstance(event, MemberFailed)]


def test_the_probe_that_was_running_waits_for_its_ack_as_long_as_ever() -> None:
    harness = Harness(alive())
    pings: list[Ping] = []
    while not pings:
        harness.step()
        pings = [one for one in harness.said_to(address("10.0.0.2")) if isinstance(one, Ping)]
    (ping,) = pings
    asleep(harness)

    harness.gossip.handle_timer(harness.now)
    harness.hears(Ack(ping.sequence))
    harness.run(until=harness.now + 1)

    assert harness.state() == "ALIVE"
    assert harness.gossip.health == 0


def test_periodic_things_go_on_where_they_were() -> None:
    harness = Harness(alive())
    due = harness.next_timer()

    asleep(harness)

    assert harness.next_timer() == due


def test_old_news_is_dropped_but_not_what_is_said_of_ourselves() -> None:
    harness = Harness(alive())
    harness.gossip.broadcast("subject", b"old", 0.0)

    asleep(harness)
    harness.run(until=harness.now + 0.05)

    assert harness.queued() == [local_alive()]


def test_old_news_gets_no_eager_round_any_more() -> None:
    harness = Harness(alive())
    harness.gossip.broadcast("one", b"told once", 1.0)
    harness.gossip.broadcast("two", b"told never", 1.0)
    harness.packets()

    asleep(harness)
    harness.run(until=0.05)

    told = [message for _, messages in harness.said() for message in messages]
    assert not [message for message in told if isinstance(message, UserMessage)]


def table(harness: Harness) -> dict[str, int]:
    """Return whom the table names, with its state."""
    reply = harness.exchanges()
    return {one.name: one.state for one in reply.records}


def test_whom_we_withhold_is_in_no_table_as_alive() -> None:
    harness = Harness(alive(), alive("other", ip="10.0.0.3"), alive("dead", ip="10.0.0.4"))
    harness.hears(Dead(1, "dead", "x"))

    harness.gossip.hide({REMOTE, "dead"})
    hidden = table(harness)
    harness.gossip.push_pull(SEED, harness.now, join=True)
    [(_, request)] = harness.requests()
    harness.gossip.hide(())

    assert hidden == {LOCAL: 0, "other": 0, "dead": 2}
    assert isinstance(request, PushPull)
    assert {one.name for one in request.records} == set(hidden)
    assert table(harness) == {LOCAL: 0, REMOTE: 0, "other": 0, "dead": 2}


def looked(harness: Harness, *records: Record) -> ExchangeFinished:
    """Return the end of a look that has found these records."""
    number = harness.gossip.push_pull(SEED, harness.now, join=False, look=True)
    [stream] = harness.streams()
    harness.answered(stream, PushPull(False, records, b"state"))
    return next(
        event
        for event in harness.events()
        if isinstance(event, ExchangeFinished) and event.exchange == number
    )


def test_what_a_look_has_brought_can_be_merged_later() -> None:
    harness = Harness(alive())
    found = looked(harness, record(incarnation=3), record("new", ip="10.0.0.7"))
    before = harness.state("new")

    merged = harness.gossip.merge(found, harness.now)

    assert before == "unknown"
    assert merged
    assert harness.state("new") == "ALIVE"
    assert harness.member().incarnation == 3
    assert [event.payload for event in harness.events() if hasattr(event, "payload")] == [b"state"]


def test_what_does_not_go_with_ours_is_not_merged() -> None:
    harness = Harness(alive())
    odd: Record = record("odd", ip="10.0.0.7", versions=bytes([1, 5, 2, 2, 5, 4]))

    assert not harness.gossip.merge(looked(harness, odd), harness.now)
    assert harness.state("odd") == "unknown"


def test_a_probe_that_was_running_tries_tcp_for_as_long_as_ever() -> None:
    harness = Harness(alive())
    while not [one for one in harness.said_to(address("10.0.0.2")) if isinstance(one, Ping)]:
        harness.step()
    harness.streams()
    asleep(harness)

    harness.run(until=harness.now + 3)

    [stream] = [
        one for one in harness.streams() if isinstance(harness.wire.open_frame(one.data), Ping)
    ]
    assert stream.timeout == pytest.approx(2)


def test_who_was_suspected_again_before_a_sleep_has_the_whole_time_left() -> None:
    harness, left = suspected()
    harness.run(until=20)
    harness.hears(alive(incarnation=2), Suspect(2, REMOTE, "x"))
    asleep(harness)

    harness.run(until=20 + left - 1)
    before = harness.state()
    harness.run(until=20 + left + 1)

    assert before == "SUSPECT"
    assert harness.state() == "DEAD"
