"""A participant that did not run for a while: what it puts off, forgets and keeps back."""

import pytest

from tests.unit.gossip.bench import (
    LOCAL,
    REMOTE,
    Bench,
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
HOUR = 3600.0


def asleep(bench, seconds=HOUR):
    """Let time pass without a timer, and say so."""
    bench.now += seconds
    bench.gossip.resume(seconds)


def suspected():
    """Return a bench whose only other member is suspected, and the time left to it."""
    bench = Bench(alive(), Suspect(1, REMOTE, "x"))
    return bench, 30.0


def test_nobody_is_declared_dead_for_what_was_slept_through():
    bench, left = suspected()
    asleep(bench)

    bench.run(until=HOUR + left - 1)
    before = bench.state()
    bench.run(until=HOUR + left + 1)

    assert before == "SUSPECT"
    assert bench.state() == "DEAD"


def test_a_suspicion_that_is_confirmed_after_a_sleep_ends_in_its_time():
    bench = Bench(*others(10), alive(), Suspect(1, REMOTE, "m0"))
    asleep(bench)

    for accuser in ("m1", "m2", "m3", "m4"):
        bench.hears(Suspect(1, REMOTE, accuser))
    bench.run(until=HOUR + 29)
    before = bench.state()
    bench.run(until=HOUR + 35)
    after = bench.state()
    bench.run(until=HOUR + 200)

    assert (before, after) == ("SUSPECT", "DEAD")


def test_a_suspicion_that_was_refuted_after_a_sleep_is_over():
    bench, left = suspected()
    asleep(bench)

    bench.hears(alive(incarnation=2))
    bench.run(until=HOUR + left + 2)

    assert not [event for event in bench.events() if isinstance(event, MemberFailed)]


def test_the_probe_that_was_running_waits_for_its_ack_as_long_as_ever():
    bench = Bench(alive())
    pings = []
    while not pings:
        bench.step()
        pings = [one for one in bench.said_to(address("10.0.0.2")) if isinstance(one, Ping)]
    (ping,) = pings
    asleep(bench)

    bench.gossip.handle_timer(bench.now)
    bench.hears(Ack(ping.sequence))
    bench.run(until=bench.now + 1)

    assert bench.state() == "ALIVE"
    assert bench.gossip.health == 0


def test_periodic_things_go_on_where_they_were():
    bench = Bench(alive())
    due = bench.gossip.next_timer()

    asleep(bench)

    assert bench.gossip.next_timer() == due + HOUR


def test_old_news_is_dropped_but_not_what_is_said_of_ourselves():
    bench = Bench(alive())
    bench.gossip.broadcast("subject", b"old", 0.0)

    asleep(bench)
    bench.run(until=bench.now + 0.05)

    assert bench.queued() == [local_alive()]


def test_old_news_gets_no_eager_round_any_more():
    bench = Bench(alive())
    bench.gossip.broadcast("one", b"told once", 1.0)
    bench.gossip.broadcast("two", b"told never", 1.0)
    bench.packets()

    asleep(bench)
    bench.run(until=HOUR + 0.05)

    told = [message for _, messages in bench.said() for message in messages]
    assert not [message for message in told if isinstance(message, UserMessage)]


def table(bench):
    """Return whom the table names, with its state."""
    reply = bench.exchanges()
    return {one.name: one.state for one in reply.records}


def test_whom_we_withhold_is_in_no_table_as_alive():
    bench = Bench(alive(), alive("other", ip="10.0.0.3"), alive("dead", ip="10.0.0.4"))
    bench.hears(Dead(1, "dead", "x"))

    bench.gossip.hide({REMOTE, "dead"})
    hidden = table(bench)
    bench.gossip.push_pull(SEED, bench.now, join=True)
    [(_, request)] = bench.requests()
    bench.gossip.hide(())

    assert hidden == {LOCAL: 0, "other": 0, "dead": 2}
    assert {one.name for one in request.records} == set(hidden)
    assert table(bench) == {LOCAL: 0, REMOTE: 0, "other": 0, "dead": 2}


def looked(bench, *records):
    """Return the end of a look that has found these records."""
    number = bench.gossip.push_pull(SEED, bench.now, join=False, look=True)
    [stream] = bench.streams()
    bench.answered(stream, PushPull(False, records, b"state"))
    return next(
        event
        for event in bench.events()
        if isinstance(event, ExchangeFinished) and event.exchange == number
    )


def test_what_a_look_has_brought_can_be_merged_later():
    bench = Bench(alive())
    found = looked(bench, record(incarnation=3), record("new", ip="10.0.0.7"))
    before = bench.state("new")

    merged = bench.gossip.merge(found, bench.now)

    assert before == "unknown"
    assert merged
    assert bench.state("new") == "ALIVE"
    assert bench.member().incarnation == 3
    assert [event.payload for event in bench.events() if hasattr(event, "payload")] == [b"state"]


def test_what_does_not_go_with_ours_is_not_merged():
    bench = Bench(alive())
    odd: Record = record("odd", ip="10.0.0.7", versions=bytes([1, 5, 2, 2, 5, 4]))

    assert not bench.gossip.merge(looked(bench, odd), bench.now)
    assert bench.state("odd") == "unknown"


def test_a_probe_that_was_running_tries_tcp_for_as_long_as_ever():
    bench = Bench(alive())
    while not [one for one in bench.said_to(address("10.0.0.2")) if isinstance(one, Ping)]:
        bench.step()
    bench.streams()
    asleep(bench)

    bench.run(until=bench.now + 3)

    [stream] = [one for one in bench.streams() if isinstance(bench.wire.open_frame(one.data), Ping)]
    assert stream.timeout == pytest.approx(2)


def test_who_was_suspected_again_before_a_sleep_has_the_whole_time_left():
    bench, left = suspected()
    bench.run(until=20)
    bench.hears(alive(incarnation=2), Suspect(2, REMOTE, "x"))
    asleep(bench)

    bench.run(until=HOUR + 20 + left - 1)
    before = bench.state()
    bench.run(until=HOUR + 20 + left + 1)

    assert before == "SUSPECT"
    assert bench.state() == "DEAD"
