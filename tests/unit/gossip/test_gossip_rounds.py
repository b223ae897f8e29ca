"""Gossip each interval, and at once (spec/memberlist.md, 4.13; decision 10)."""

from collections.abc import Callable
from zlib import crc32

import pytest

from tests.unit.gossip.harness import (
    LOCAL,
    REMOTE,
    STRANGER,
    Harness,
    address,
    alive,
    others,
    record,
    sealed,
    subjects,
    unsealed,
)
from wesher.base.frozen import replace
from wesher.gossip import WAN, Ack, Address, Alive, Dead, ExchangeFinished, Ping, PushPull, Suspect
from wesher.gossip.codec import encode

# Without probes and exchanges, which would take news along.
QUIET = replace(WAN, probe_interval=1000, push_pull_interval=1000)


def gossiped(harness: Harness) -> list[tuple[float, Address]]:
    """Return (time, address) of every packet that bears news of `remote`."""
    told = []
    while harness.now < 10:
        told += [
            (harness.now, to)
            for to, messages in harness.said()
            for message in messages
            if not isinstance(messages[0], Ping)
            and isinstance(message, Alive)
            and message.node == REMOTE
        ]
        harness.step()
    return told


def test_news_goes_to_four_members_at_once_and_again_after_20_ms_then_at_the_interval() -> None:
    harness = Harness(*others(20), timing=QUIET)
    harness.no_longer_queues()
    harness.run(1.3)
    harness.packets()

    harness.hears(alive())

    told = gossiped(harness)
    times = sorted({round(when, 6) for when, _ in told})
    assert times[:2] == [1.3, 1.32]
    assert [len([1 for when, _ in told if round(when, 6) == at]) for at in times[:2]] == [4, 4]
    assert times[3] - times[2] == pytest.approx(0.5)
    assert len(told) == 4 + 4 + 8


def test_an_announcement_goes_to_four_members_at_once() -> None:
    harness = Harness(*others(20), timing=QUIET, announced=False)

    harness.gossip.announce(b"own", harness.now)

    assert len([to for to, messages in harness.said() if LOCAL in subjects(messages[:1])]) == 4


@pytest.mark.parametrize(("cluster", "in_a_round", "in_both"), [(8, 4, 8), (6, 4, 6), (3, 3, 3)])
def test_the_second_round_at_once_tells_others_first(
    cluster: int, in_a_round: int, in_both: int
) -> None:
    harness = Harness(*others(cluster - 1), timing=QUIET)
    harness.no_longer_queues()
    harness.run(1.3)
    harness.packets()

    harness.hears(alive())
    first = [to for to, _ in harness.said()]
    harness.run(1.321)
    second = [to for to, _ in harness.said()]

    assert len(first) == len(second) == in_a_round
    assert len({*first, *second}) == in_both


def test_without_eager_rounds_news_waits_for_the_interval() -> None:
    harness = Harness(*others(20), eager=False, timing=QUIET)
    harness.no_longer_queues()

    harness.hears(alive())

    assert len(gossiped(harness)) == 8


def test_news_within_20_ms_shares_the_next_eager_round() -> None:
    harness = Harness(*others(3))
    harness.no_longer_queues()
    harness.run(1)
    harness.packets()

    harness.hears(alive("first", ip="10.0.2.1"))
    first = harness.said()
    harness.now += 0.005
    harness.hears(alive("second", ip="10.0.2.2"))
    between = harness.said()
    harness.step()

    assert subjects(first[0][1]) == ["first"]
    assert between == []
    assert subjects(harness.said()[0][1]) == ["first", "second"]


def test_news_of_one_packet_shares_the_eager_round() -> None:
    harness = Harness(*others(3))
    harness.no_longer_queues()
    harness.run(1)
    harness.packets()

    harness.hears(*[alive(f"new{index}", ip=f"10.0.2.{index + 1}") for index in range(3)])

    assert [len(messages) for _, messages in harness.said()] == [3, 3, 3, 3]


def test_news_before_there_is_anybody_to_tell_waits_for_the_first() -> None:
    harness = Harness()
    harness.run(3)

    harness.hears(alive())

    assert set(subjects(harness.said_to(address("10.0.0.2")))) == {LOCAL, REMOTE}


def test_the_clock_may_start_below_zero() -> None:
    harness = Harness(announced=False)
    harness.now = -1000
    harness.gossip.announce(b"own", harness.now)

    harness.now += 1
    harness.hears(alive())
    told = harness.said_to(address("10.0.0.2"))
    harness.hears(Ping(1, LOCAL))

    assert set(subjects(told)) == {REMOTE, LOCAL}
    assert harness.said_to(STRANGER)[0] == Ack(1)


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
def test_only_what_changes_who_is_there_or_what_they_publish_is_told_at_once(
    news: Alive | Dead | Suspect, told: bool
) -> None:
    harness = Harness(*others(20), alive())
    harness.no_longer_queues()
    harness.run(1)
    harness.packets()

    harness.hears(news)

    assert bool(harness.said()) is told


def answer(harness: Harness, *, look: bool) -> None:
    harness.gossip.push_pull(STRANGER, harness.now, join=False, look=look)
    [stream] = harness.streams()
    harness.answered(stream, PushPull(False, (record(),)))


def look_and_merge(harness: Harness) -> None:
    answer(harness, look=True)
    [found] = [event for event in harness.events() if isinstance(event, ExchangeFinished)]
    harness.gossip.merge(found, harness.now)


@pytest.mark.parametrize(
    "brings_news",
    [
        pytest.param(lambda harness: harness.exchanges(record()), id="a table pushed to us"),
        pytest.param(
            lambda harness: answer(harness, look=False), id="a table that we are answered"
        ),
        pytest.param(look_and_merge, id="a table that our owner has us merge"),
        pytest.param(
            lambda harness: harness.gossip.apply_alive(alive(), harness.now), id="a claim admitted"
        ),
        pytest.param(
            lambda harness: harness.gossip.apply_left("m0", 1, harness.now), id="a member buried"
        ),
    ],
)
def test_news_is_told_at_once_wherever_it_comes_from(
    brings_news: Callable[[Harness], object],
) -> None:
    harness = Harness(*others(3))
    harness.no_longer_queues()
    harness.run(1)
    harness.packets()

    brings_news(harness)

    assert harness.said()


def test_our_announcement_is_told_at_once_to_those_we_know_already() -> None:
    harness = Harness(*others(3), announced=False)

    harness.gossip.announce(b"own", harness.now)

    assert [name for _, messages in harness.said() for name in subjects(messages)] == [LOCAL] * 3


def test_a_confirmation_is_not_told_at_once() -> None:
    harness = Harness(*others(20), alive(), Suspect(1, REMOTE, "m0"))
    harness.no_longer_queues()
    harness.run(1)
    harness.packets()

    harness.hears(Suspect(1, REMOTE, "m1"))

    assert harness.said() == []
    assert Suspect(1, REMOTE, "m1") in harness.news()


def test_a_storm_of_news_has_fifty_eager_rounds_and_then_five_in_a_second() -> None:
    harness = Harness(*others(20), timing=replace(QUIET, gossip_interval=1000))
    harness.no_longer_queues()
    harness.run(20)
    harness.packets()

    rounds = []
    for number in range(1000):
        harness.run(20 + number / 100)
        harness.hears(alive("restless", number, ip="10.0.2.1", meta=b"%d" % number))
        rounds += [harness.now] if harness.packets() else []

    assert sum(at < 21 for at in rounds) == 50
    assert sum(at < 25 for at in rounds) == pytest.approx(50 + 5 * 5, abs=2)
    assert sum(at >= 25 for at in rounds) == 25


def test_with_nobody_to_tell_we_look_for_somebody_once_in_20_ms_however_much_arrives() -> None:
    harness = Harness()
    harness.run(3)
    harness.hears(Ack(1))

    harness.now = 3.005
    harness.hears(alive())
    at_once = harness.said()
    harness.run(3.02)

    assert at_once == []
    assert set(subjects(harness.said_to(address("10.0.0.2")))) == {LOCAL, REMOTE}


def test_eager_rounds_that_wait_do_not_keep_the_clock_busy() -> None:
    harness = Harness()

    steps = 0
    while harness.now < 2:
        harness.step()
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
def test_who_is_told(change: Dead | Suspect | None, age: float, told: bool) -> None:
    harness = Harness(alive(), timing=QUIET)
    if change:
        harness.hears(change)
    harness.no_longer_queues()
    harness.run(age)
    harness.packets()

    harness.hears(alive("news", ip="10.0.2.1"))

    assert bool(harness.said_to(address("10.0.0.2"))) is told


@pytest.mark.case(13)
@pytest.mark.parametrize(("newest", "first_byte"), [(5, 12), (4, 4)])
def test_gossip_has_a_checksum_if_the_member_knows_them(newest: int, first_byte: int) -> None:
    member = alive(versions=bytes([1, newest, 2, 0, 0, 0]))
    harness = Harness(member)
    harness.no_longer_queues()
    harness.run(1)
    harness.packets()

    harness.gossip.update_meta(b"new", harness.now)

    [packet] = harness.packets()
    assert unsealed(packet.data)[0] == first_byte


@pytest.mark.case(13)
@pytest.mark.parametrize(
    ("name", "newest", "first_byte"), [("10.0.0.2", 5, 12), ("10.0.0.2", 4, 2), (REMOTE, 5, 2)]
)
def test_an_ack_has_a_checksum_if_a_member_is_named_like_the_address(
    name: str, newest: int, first_byte: int
) -> None:
    harness = Harness(alive(name, versions=bytes([1, newest, 2, 0, 0, 0])))
    harness.no_longer_queues()

    harness.hears(Ping(1, LOCAL), source=address("10.0.0.2"))

    [packet] = harness.packets()
    assert unsealed(packet.data)[0] == first_byte


@pytest.mark.case(13)
def test_a_packet_with_a_wrong_checksum_is_dropped() -> None:
    harness = Harness()
    good = b"\x0c" + crc32(encode(alive())).to_bytes(4, "big") + encode(alive())

    harness.receives(sealed(good[:-1] + bytes([good[-1] ^ 1])))
    assert harness.state() == "unknown"
    harness.receives(sealed(good))
    assert harness.state() == "ALIVE"


def test_nothing_wakes_a_member_that_has_nothing_to_tell() -> None:
    harness = Harness(*others(20), timing=QUIET)
    harness.no_longer_queues()

    harness.run(30)

    assert harness.next_timer() > 100


def test_news_after_a_silence_keeps_to_the_interval() -> None:
    harness = Harness(*others(20), eager=False, timing=QUIET)
    harness.no_longer_queues()
    harness.hears(alive(incarnation=2))
    first = {when for when, _ in gossiped(harness)}
    harness.run(100.3)
    harness.hears(alive(incarnation=3))

    again = harness.next_timer()

    assert 100.3 < again <= 100.8
    assert round((again - max(first)) / 0.5, 6).is_integer()


def test_after_a_late_round_the_next_one_is_a_whole_interval_later() -> None:
    harness = Harness(*others(20), eager=False, timing=QUIET)
    harness.no_longer_queues()
    harness.hears(alive(incarnation=2))
    late = harness.next_timer() + 0.3

    harness.now = late
    harness.gossip.handle_timer(late)

    assert harness.next_timer() == pytest.approx(late + 0.5)
