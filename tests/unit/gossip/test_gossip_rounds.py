"""Gossip each interval, and at once (spec/memberlist.md, 4.13; decision 10)."""

from dataclasses import replace

import pytest

from tests.unit.gossip.bench import (
    LOCAL,
    REMOTE,
    STRANGER,
    Bench,
    address,
    alive,
    others,
    record,
    sealing,
)
from wesher.gossip import WAN, Ack, Alive, Dead, ExchangeFinished, Ping, PushPull, Suspect
from wesher.gossip.codec import encode
from wesher.gossip.timers import Timers

# Without probes and exchanges, which would take news along.
QUIET = replace(WAN, probe_interval=1000, push_pull_interval=1000)


def gossiped(bench):
    """Return (time, address) of every packet that bears news of `remote`."""
    told = []
    while bench.now < 10:
        told += [
            (bench.now, to)
            for to, messages in bench.said()
            for message in messages
            if not isinstance(messages[0], Ping)
            and isinstance(message, Alive)
            and message.node == REMOTE
        ]
        bench.step()
    return told


def test_news_goes_to_four_members_at_once_and_again_after_20_ms_then_at_the_interval():
    bench = Bench(*others(20), timing=QUIET)
    bench.no_longer_queues()
    bench.run(1.3)
    bench.packets()

    bench.hears(alive())

    told = gossiped(bench)
    times = sorted({round(when, 6) for when, _ in told})
    assert times[:2] == [1.3, 1.32]
    assert [len([1 for when, _ in told if round(when, 6) == at]) for at in times[:2]] == [4, 4]
    assert times[3] - times[2] == pytest.approx(0.5)
    assert len(told) == 4 + 4 + 8


def test_an_announcement_goes_to_four_members_at_once():
    bench = Bench(*others(20), timing=QUIET, announced=False)

    bench.gossip.announce(b"own", bench.now)

    assert len([to for to, messages in bench.said() if messages[0].node == LOCAL]) == 4


@pytest.mark.parametrize(("cluster", "in_a_round", "in_both"), [(8, 4, 8), (6, 4, 6), (3, 3, 3)])
def test_the_second_round_at_once_tells_others_first(cluster, in_a_round, in_both):
    bench = Bench(*others(cluster - 1), timing=QUIET)
    bench.no_longer_queues()
    bench.run(1.3)
    bench.packets()

    bench.hears(alive())
    first = [to for to, _ in bench.said()]
    bench.run(1.321)
    second = [to for to, _ in bench.said()]

    assert len(first) == len(second) == in_a_round
    assert len({*first, *second}) == in_both


def test_without_eager_rounds_news_waits_for_the_interval():
    bench = Bench(*others(20), eager=False, timing=QUIET)
    bench.no_longer_queues()

    bench.hears(alive())

    assert len(gossiped(bench)) == 8


def test_news_within_20_ms_shares_the_next_eager_round():
    bench = Bench(*others(3))
    bench.no_longer_queues()
    bench.run(1)
    bench.packets()

    bench.hears(alive("first", ip="10.0.2.1"))
    first = bench.said()
    bench.now += 0.005
    bench.hears(alive("second", ip="10.0.2.2"))
    between = bench.said()
    bench.step()

    assert [message.node for message in first[0][1]] == ["first"]
    assert between == []
    assert [message.node for message in bench.said()[0][1]] == ["first", "second"]


def test_news_of_one_packet_shares_the_eager_round():
    bench = Bench(*others(3))
    bench.no_longer_queues()
    bench.run(1)
    bench.packets()

    bench.hears(*[alive(f"new{index}", ip=f"10.0.2.{index + 1}") for index in range(3)])

    assert [len(messages) for _, messages in bench.said()] == [3, 3, 3, 3]


def test_news_before_there_is_anybody_to_tell_waits_for_the_first():
    bench = Bench()
    bench.run(3)

    bench.hears(alive())

    assert {message.node for message in bench.said_to(address("10.0.0.2"))} == {LOCAL, REMOTE}


def test_the_clock_may_start_below_zero():
    bench = Bench(announced=False)
    bench.now = -1000
    bench.gossip.announce(b"own", bench.now)

    bench.now += 1
    bench.hears(alive())
    told = bench.said_to(address("10.0.0.2"))
    bench.hears(Ping(1, LOCAL))

    assert {message.node for message in told} == {REMOTE, LOCAL}
    assert bench.said_to(STRANGER)[0] == Ack(1)


@pytest.mark.parametrize(
    ("news", "told"),
    [
        pytest.param(alive("new", ip="10.0.2.1"), True, id="a member joins"),
        pytest.param(alive(incarnation=2, meta=b"other"), True, id="it publishes other metadata"),
        pytest.param(Dead(1, REMOTE, REMOTE), True, id="it leaves"),
        pytest.param(Dead(1, REMOTE, "m0"), True, id="it is given up"),
        pytest.param(Suspect(1, REMOTE, "m0"), False, id="it is suspected"),
        pytest.param(alive(incarnation=2), False, id="it refutes that"),
        pytest.param(Suspect(1, LOCAL, "unknown"), False, id="we refute it"),
    ],
)
def test_only_what_changes_who_is_there_or_what_they_publish_is_told_at_once(news, told):
    bench = Bench(*others(20), alive())
    bench.no_longer_queues()
    bench.run(1)
    bench.packets()

    bench.hears(news)

    assert bool(bench.said()) is told


def answer(bench, *, look):
    bench.gossip.push_pull(STRANGER, bench.now, join=False, look=look)
    [stream] = bench.streams()
    bench.answered(stream, PushPull(False, (record(),)))


def look_and_merge(bench):
    answer(bench, look=True)
    [found] = [event for event in bench.events() if isinstance(event, ExchangeFinished)]
    bench.gossip.merge(found, bench.now)


@pytest.mark.parametrize(
    "brings_news",
    [
        pytest.param(lambda bench: bench.exchanges(record()), id="a table pushed to us"),
        pytest.param(lambda bench: answer(bench, look=False), id="a table that we are answered"),
        pytest.param(look_and_merge, id="a table that our owner has us merge"),
        pytest.param(
            lambda bench: bench.gossip.apply_alive(alive(), bench.now), id="a claim admitted"
        ),
        pytest.param(
            lambda bench: bench.gossip.apply_left("m0", 1, bench.now), id="a member buried"
        ),
    ],
)
def test_news_is_told_at_once_wherever_it_comes_from(brings_news):
    bench = Bench(*others(3))
    bench.no_longer_queues()
    bench.run(1)
    bench.packets()

    brings_news(bench)

    assert bench.said()


def test_our_announcement_is_told_at_once_to_those_we_know_already():
    bench = Bench(*others(3), announced=False)

    bench.gossip.announce(b"own", bench.now)

    assert [message.node for _, messages in bench.said() for message in messages] == [LOCAL] * 3


def test_a_confirmation_is_not_told_at_once():
    bench = Bench(*others(20), alive(), Suspect(1, REMOTE, "m0"))
    bench.no_longer_queues()
    bench.run(1)
    bench.packets()

    bench.hears(Suspect(1, REMOTE, "m1"))

    assert bench.said() == []
    assert Suspect(1, REMOTE, "m1") in bench.news()


def test_a_storm_of_news_has_fifty_eager_rounds_and_then_five_in_a_second():
    bench = Bench(*others(20), timing=replace(QUIET, gossip_interval=1000))
    bench.no_longer_queues()
    bench.run(20)
    bench.packets()

    rounds = []
    for number in range(1000):
        bench.run(20 + number / 100)
        bench.hears(alive("restless", number, ip="10.0.2.1", meta=b"%d" % number))
        rounds += [bench.now] if bench.packets() else []

    assert sum(at < 21 for at in rounds) == 50
    assert sum(at < 25 for at in rounds) == pytest.approx(50 + 5 * 5, abs=2)
    assert sum(at >= 25 for at in rounds) == 25


def test_with_nobody_to_tell_we_look_for_somebody_once_in_20_ms_however_much_arrives():
    bench = Bench()
    bench.run(3)
    bench.hears(Ack(1))

    bench.now = 3.005
    bench.hears(alive())
    at_once = bench.said()
    bench.run(3.02)

    assert at_once == []
    assert {message.node for message in bench.said_to(address("10.0.0.2"))} == {LOCAL, REMOTE}


def test_eager_rounds_that_wait_do_not_keep_the_clock_busy():
    bench = Bench()

    steps = 0
    while bench.now < 2:
        bench.step()
        steps += 1

    assert steps < 10


@pytest.mark.case(39)
@pytest.mark.parametrize(
    ("change", "age", "told"),
    [
        (None, 1, True),
        (Suspect(1, REMOTE, "accuser"), 1, True),
        (Dead(1, REMOTE, "accuser"), 60, True),
        (Dead(1, REMOTE, "accuser"), 61, False),
        (Dead(1, REMOTE, REMOTE), 1, False),
    ],
    ids=["alive", "suspect", "dead for a while", "dead for long", "left"],
)
def test_who_is_told(change, age, told):
    bench = Bench(alive(), timing=QUIET)
    if change:
        bench.hears(change)
    bench.no_longer_queues()
    bench.run(age)
    bench.packets()

    bench.hears(alive("news", ip="10.0.2.1"))

    assert bool(bench.said_to(address("10.0.0.2"))) is told


@pytest.mark.case(13)
@pytest.mark.parametrize(("newest", "first_byte"), [(5, 12), (4, 4)])
def test_gossip_has_a_checksum_if_the_member_knows_them(newest, first_byte):
    plain = sealing(key=None, compress_packets=False)
    member = alive(versions=bytes([1, newest, 2, 0, 0, 0]))
    bench = Bench(member, wire=plain)
    bench.no_longer_queues()
    bench.run(1)
    bench.packets()

    bench.gossip.update_meta(b"new", bench.now)

    [packet] = bench.packets()
    assert packet.data[0] == first_byte


@pytest.mark.case(13)
@pytest.mark.parametrize(
    ("name", "newest", "first_byte"), [("10.0.0.2", 5, 12), ("10.0.0.2", 4, 2), (REMOTE, 5, 2)]
)
def test_an_ack_has_a_checksum_if_a_member_is_named_like_the_address(name, newest, first_byte):
    plain = sealing(key=None, compress_packets=False)
    bench = Bench(alive(name, versions=bytes([1, newest, 2, 0, 0, 0])), wire=plain)
    bench.no_longer_queues()

    bench.hears(Ping(1, LOCAL), source=address("10.0.0.2"))

    [packet] = bench.packets()
    assert packet.data[0] == first_byte


@pytest.mark.case(13)
def test_a_packet_with_a_wrong_checksum_is_dropped():
    plain = sealing(key=None, compress_packets=False)
    bench = Bench(wire=plain)
    good = plain.seal_packet([encode(alive())], checksum=True)

    bench.receives(good[:-1] + bytes([good[-1] ^ 1]))
    assert bench.state() == "unknown"
    bench.receives(good)
    assert bench.state() == "ALIVE"


def test_deadlines_are_kept_in_order_and_done_once():
    timers = Timers()
    done = []
    for when in (3.0, 1.0, 2.0, 1.0):
        timers.at(when, done.append)

    timers.run(2.5)

    assert done == [2.5, 2.5, 2.5]
    assert timers.next() == 3.0


def test_nothing_wakes_a_member_that_has_nothing_to_tell():
    bench = Bench(*others(20), timing=QUIET)
    bench.no_longer_queues()

    bench.run(30)

    assert bench.gossip.next_timer() > 100


def test_news_after_a_silence_keeps_to_the_interval():
    bench = Bench(*others(20), eager=False, timing=QUIET)
    bench.no_longer_queues()
    bench.hears(alive(incarnation=2))
    first = {when for when, _ in gossiped(bench)}
    bench.run(100.3)
    bench.hears(alive(incarnation=3))

    again = bench.gossip.next_timer()

    assert 100.3 < again <= 100.8
    assert round((again - max(first)) / 0.5, 6).is_integer()


def test_after_a_late_round_the_next_one_is_a_whole_interval_later():
    bench = Bench(*others(20), eager=False, timing=QUIET)
    bench.no_longer_queues()
    bench.hears(alive(incarnation=2))
    late = bench.gossip.next_timer() + 0.3

    bench.now = late
    bench.gossip.handle_timer(late)

    assert bench.gossip.next_timer() == pytest.approx(late + 0.5)
