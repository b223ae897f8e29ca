"""Leaving (spec/memberlist.md, 4.14; decision 10)."""

from dataclasses import replace

import pytest

from tests.unit.gossip.bench import LOCAL, Bench, address, alive, local_alive, others, record
from wesher.gossip import (
    LAN,
    WAN,
    Ack,
    Dead,
    LeaveFinished,
    MemberLeft,
    Ping,
    PushPull,
    RecordState,
    Suspect,
)

DEPARTURE = Dead(1, LOCAL, LOCAL)


def left_at(bench):
    """Let time pass until the leave has finished; return when."""
    while LeaveFinished() not in bench.events():
        bench.step()
    return bench.now


@pytest.mark.case(34)
def test_the_others_hear_of_a_departure_at_once_and_hold_us_for_left():
    leaver, other = Bench(alive()), Bench(local_alive())
    leaver.run(1.3)
    leaver.packets()

    leaver.gossip.leave(leaver.now)

    assert leaver.state(LOCAL) == "LEFT"
    assert leaver.said_to(address("10.0.0.2"))[0] == DEPARTURE
    remaining = Bench()
    remaining.hears(alive("leaver"), Dead(1, "leaver", "leaver"))
    assert remaining.events()[-1] == MemberLeft(remaining.member("leaver"))
    assert remaining.gossip.members.live_remotes == 0
    assert other.state(LOCAL) == "ALIVE"


@pytest.mark.case(34)
def test_one_that_has_left_ignores_that_it_is_alive():
    bench = Bench(alive())
    bench.gossip.leave(bench.now)
    bench.forget()

    bench.hears(local_alive(9), local_alive(9, ip="10.0.0.9"))

    assert bench.state(LOCAL) == "LEFT"
    assert bench.events() == []


@pytest.mark.case(34)
def test_one_that_has_left_can_come_back_as_a_new_instance():
    bench = Bench(alive(incarnation=3), Dead(3, "remote", "remote"))

    bench.exchanges(record(incarnation=1))
    still = bench.state()
    bench.exchanges(record(incarnation=4))

    assert still == "LEFT"
    assert bench.state() == "ALIVE"


def test_a_leave_ends_after_two_rounds_of_gossip_and_tells_in_each():
    bench = Bench(*others(30))
    bench.no_longer_queues()
    bench.run(1)
    bench.forget()

    bench.gossip.leave(bench.now)
    rounds = []
    while LeaveFinished() not in bench.events():
        if any(DEPARTURE in messages for _, messages in bench.said()):
            rounds.append(bench.now)
        bench.step()
    if any(DEPARTURE in messages for _, messages in bench.said()):
        rounds.append(bench.now)

    assert len(rounds) >= 4
    assert 1.5 <= bench.now <= 2.0


def test_the_eager_rounds_of_a_departure_reach_32_of_many_members():
    bench = Bench(*others(100), timing=replace(WAN, probe_interval=1000))
    bench.no_longer_queues()
    bench.run(1.3)
    bench.forget()

    bench.gossip.leave(bench.now)
    first = [to for to, messages in bench.said() if messages == (DEPARTURE,)]
    bench.step()
    second = [to for to, messages in bench.said() if messages == (DEPARTURE,)]

    assert bench.now == pytest.approx(1.32)
    assert (len(first), len(second), len({*first, *second})) == (16, 16, 32)


def test_departures_of_others_go_to_four_members_even_while_we_leave():
    bench = Bench(*others(100), timing=replace(WAN, probe_interval=1000))
    bench.no_longer_queues()
    bench.run(1.3)
    bench.gossip.leave(bench.now)
    bench.step()
    bench.gossip.leave(bench.now)
    bench.forget()

    bench.hears(Dead(1, "m0", "m0"))
    bench.step()

    told = [to for to, messages in bench.said() if Dead(1, "m0", "m0") in messages]
    assert bench.now == pytest.approx(1.34)
    assert len(told) == 4


def test_a_leave_ends_with_the_second_round_if_that_is_within_a_second():
    bench = Bench(*others(3), timing=LAN)
    bench.run(1)
    bench.forget()

    bench.gossip.leave(bench.now)

    assert 0.2 < left_at(bench) - 1 <= 0.4


def test_a_leave_ends_after_a_second_even_when_gossip_is_slow():
    bench = Bench(alive(), timing=replace(WAN, gossip_interval=30))
    bench.run(3)
    bench.forget()

    bench.gossip.leave(bench.now)

    assert left_at(bench) == 4
    bench.run(100)
    assert bench.events().count(LeaveFinished()) == 0


def test_with_nobody_to_tell_a_leave_ends_at_once():
    bench = Bench(alive(), Dead(1, "remote", "x"))

    bench.gossip.leave(bench.now)

    assert bench.events() == [LeaveFinished()]


def test_who_leaves_during_its_join_tells_those_it_learns_of_by_the_answer():
    bench = Bench()
    bench.gossip.push_pull(address("10.0.0.2"), bench.now, join=True)
    (stream,) = bench.streams()
    bench.run(0.1)

    bench.gossip.leave(bench.now)
    too_early = bench.events()
    bench.run(0.3)
    members = tuple(record(f"m{index}", ip=f"10.0.1.{index + 1}") for index in range(8))
    bench.answered(stream, PushPull(False, members))
    bench.run(0.33)

    told = [to for to, messages in bench.said() if DEPARTURE in messages]
    assert LeaveFinished() not in too_early
    assert len(set(told)) == 8
    assert left_at(bench) == pytest.approx(1.1)


def test_who_leaves_during_a_join_that_nobody_answers_waits_a_second():
    bench = Bench()
    bench.gossip.push_pull(address("10.0.0.2"), bench.now, join=True)

    bench.gossip.leave(bench.now)

    assert left_at(bench) == 1


def test_who_leaves_while_it_only_looks_waits_for_nobody():
    bench = Bench()
    bench.gossip.push_pull(address("10.0.0.2"), bench.now, join=True, look=True)

    bench.gossip.leave(bench.now)

    assert bench.events() == [LeaveFinished()]


def test_a_suspect_is_told_too():
    bench = Bench(alive(), Suspect(1, "remote", "x"))

    bench.gossip.leave(bench.now)

    assert bench.events() == []


def test_leaving_before_the_announcement_ends_at_once():
    bench = Bench(alive(), announced=False)

    bench.gossip.leave(bench.now)

    assert bench.events() == [LeaveFinished()]
    assert bench.said() == []


@pytest.mark.parametrize("known", [[], others(3)], ids=["with nobody to tell", "with others"])
def test_leaving_twice_is_leaving_once(known):
    bench = Bench(*known)

    bench.gossip.leave(bench.now)
    bench.run(0.7)
    bench.gossip.leave(bench.now)
    bench.run(10)

    assert bench.events().count(LeaveFinished()) == 1
    assert bench.member(LOCAL).incarnation == 1


def test_one_that_has_left_does_not_come_back_with_new_metadata():
    bench = Bench(alive())
    bench.gossip.leave(bench.now)
    bench.forget()

    bench.gossip.update_meta(b"new", bench.now)

    assert bench.state(LOCAL) == "LEFT"
    assert bench.news(LOCAL) == [DEPARTURE]


def test_one_that_left_before_its_announcement_stays_silent():
    bench = Bench(alive(), announced=False)
    bench.gossip.leave(bench.now)

    bench.gossip.announce(b"own", bench.now)
    bench.gossip.update_meta(b"new", bench.now)
    bench.run(300)

    assert bench.gossip.local is None
    assert bench.said() == []
    assert bench.streams() == []


def test_too_much_metadata_is_refused_even_after_a_leave():
    bench = Bench(alive())
    bench.gossip.leave(bench.now)

    with pytest.raises(ValueError, match="513 bytes"):
        bench.gossip.update_meta(bytes(513), bench.now)


def test_one_that_has_left_still_answers():
    bench = Bench(alive())
    bench.gossip.leave(bench.now)
    bench.forget()

    bench.hears(Ping(5, LOCAL))
    table = bench.exchanges()

    assert bench.said()[0][1][0] == Ack(5)
    assert {each.name: each.state for each in table.records}[LOCAL] == RecordState.LEFT
