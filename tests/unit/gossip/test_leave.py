"""Leaving (spec/memberlist.md, 4.14; decision 10)."""

import pytest

from tests.unit.gossip.harness import LOCAL, Harness, address, alive, local_alive, others, record
from wesher.base.frozen import replace
from wesher.gossip import (
    LAN,
    WAN,
    Ack,
    Alive,
    Dead,
    LeaveFinished,
    MemberLeft,
    Ping,
    PushPull,
    RecordState,
    Suspect,
)

DEPARTURE = Dead(1, LOCAL, LOCAL)


def left_at(harness: Harness) -> float:
    """Let time pass until the leave has finished; return when."""
    while LeaveFinished() not in harness.events():
        harness.step()
    return harness.now


@pytest.mark.case(34)
def test_the_others_hear_of_a_departure_at_once_and_hold_us_for_left() -> None:
    leaver, other = Harness(alive()), Harness(local_alive())
    leaver.run(1.3)
    leaver.packets()

    leaver.gossip.leave(leaver.now)

    assert leaver.state(LOCAL) == "LEFT"
    assert leaver.said_to(address("10.0.0.2"))[0] == DEPARTURE
    remaining = Harness()
    remaining.hears(alive("leaver"), Dead(1, "leaver", "leaver"))
    assert remaining.events()[-1] == MemberLeft(remaining.member("leaver"))
    assert remaining.gossip.members.live_remotes == 0
    assert other.state(LOCAL) == "ALIVE"


@pytest.mark.case(34)
def test_one_that_has_left_ignores_that_it_is_alive() -> None:
    harness = Harness(alive())
    harness.gossip.leave(harness.now)
    harness.forget()

    harness.hears(local_alive(9), local_alive(9, ip="10.0.0.9"))

    assert harness.state(LOCAL) == "LEFT"
    assert harness.events() == []


@pytest.mark.case(34)
def test_one_that_has_left_can_come_back_as_a_new_instance() -> None:
    harness = Harness(alive(incarnation=3), Dead(3, "remote", "remote"))

    harness.exchanges(record(incarnation=1))
    still = harness.state()
    harness.exchanges(record(incarnation=4))

    assert still == "LEFT"
    assert harness.state() == "ALIVE"


def test_a_leave_ends_after_two_rounds_of_gossip_and_tells_in_each() -> None:
    harness = Harness(*others(30))
    harness.no_longer_queues()
    harness.run(1)
    harness.forget()

    harness.gossip.leave(harness.now)
    rounds = []
    while LeaveFinished() not in harness.events():
        if any(DEPARTURE in messages for _, messages in harness.said()):
            rounds.append(harness.now)
        harness.step()
    if any(DEPARTURE in messages for _, messages in harness.said()):
        rounds.append(harness.now)

    assert len(rounds) >= 4
    assert 1.5 <= harness.now <= 2.0


def test_the_eager_rounds_of_a_departure_reach_32_of_many_members() -> None:
    harness = Harness(*others(100), timing=replace(WAN, probe_interval=1000))
    harness.no_longer_queues()
    harness.run(1.3)
    harness.forget()

    harness.gossip.leave(harness.now)
    first = [to for to, messages in harness.said() if messages == (DEPARTURE,)]
    harness.step()
    second = [to for to, messages in harness.said() if messages == (DEPARTURE,)]

    assert harness.now == pytest.approx(1.32)
    assert (len(first), len(second), len({*first, *second})) == (16, 16, 32)


def test_departures_of_others_go_to_four_members_even_while_we_leave() -> None:
    harness = Harness(*others(100), timing=replace(WAN, probe_interval=1000))
    harness.no_longer_queues()
    harness.run(1.3)
    harness.gossip.leave(harness.now)
    harness.step()
    harness.gossip.leave(harness.now)
    harness.forget()

    harness.hears(Dead(1, "m0", "m0"))
    harness.step()

    told = [to for to, messages in harness.said() if Dead(1, "m0", "m0") in messages]
    assert harness.now == pytest.approx(1.34)
    assert len(told) == 4


def test_a_leave_ends_with_the_second_round_if_that_is_within_a_second() -> None:
    harness = Harness(*others(3), timing=LAN)
    harness.run(1)
    harness.forget()

    harness.gossip.leave(harness.now)

    assert 0.2 < left_at(harness) - 1 <= 0.4


def test_a_leave_ends_after_a_second_even_when_gossip_is_slow() -> None:
    harness = Harness(alive(), timing=replace(WAN, gossip_interval=30))
    harness.run(3)
    harness.forget()

    harness.gossip.leave(harness.now)

    assert left_at(harness) == 4
    harness.run(100)
    assert harness.events().count(LeaveFinished()) == 0


def test_with_nobody_to_tell_a_leave_ends_at_once() -> None:
    harness = Harness(alive(), Dead(1, "remote", "x"))

    harness.gossip.leave(harness.now)

    assert harness.events() == [LeaveFinished()]


def test_who_leaves_during_its_join_tells_those_it_learns_of_by_the_answer() -> None:
    harness = Harness()
    harness.gossip.push_pull(address("10.0.0.2"), harness.now, join=True)
    (stream,) = harness.streams()
    harness.run(0.1)

    harness.gossip.leave(harness.now)
    too_early = harness.events()
    harness.run(0.3)
    members = tuple(record(f"m{index}", ip=f"10.0.1.{index + 1}") for index in range(8))
    harness.answered(stream, PushPull(False, members))
    harness.run(0.33)

    told = [to for to, messages in harness.said() if DEPARTURE in messages]
    assert LeaveFinished() not in too_early
    assert len(set(told)) == 8
    assert left_at(harness) == pytest.approx(1.1)


def test_who_leaves_during_a_join_that_nobody_answers_waits_a_second() -> None:
    harness = Harness()
    harness.gossip.push_pull(address("10.0.0.2"), harness.now, join=True)

    harness.gossip.leave(harness.now)

    assert left_at(harness) == 1


def test_who_leaves_while_it_only_looks_waits_for_nobody() -> None:
    harness = Harness()
    harness.gossip.push_pull(address("10.0.0.2"), harness.now, join=True, look=True)

    harness.gossip.leave(harness.now)

    assert harness.events() == [LeaveFinished()]


def test_a_suspect_is_told_too() -> None:
    harness = Harness(alive(), Suspect(1, "remote", "x"))

    harness.gossip.leave(harness.now)

    assert harness.events() == []


def test_leaving_before_the_announcement_ends_at_once() -> None:
    harness = Harness(alive(), announced=False)

    harness.gossip.leave(harness.now)

    assert harness.events() == [LeaveFinished()]
    assert harness.said() == []


@pytest.mark.parametrize("known", [[], others(3)], ids=["with nobody to tell", "with others"])
def test_leaving_twice_is_leaving_once(known: list[Alive]) -> None:
    harness = Harness(*known)

    harness.gossip.leave(harness.now)
    harness.run(0.7)
    harness.gossip.leave(harness.now)
    harness.run(10)

    assert harness.events().count(LeaveFinished()) == 1
    assert harness.member(LOCAL).incarnation == 1


def test_one_that_has_left_does_not_come_back_with_new_metadata() -> None:
    harness = Harness(alive())
    harness.gossip.leave(harness.now)
    harness.forget()

    harness.gossip.update_meta(b"new", harness.now)

    assert harness.state(LOCAL) == "LEFT"
    assert harness.news(LOCAL) == [DEPARTURE]


def test_one_that_left_before_its_announcement_stays_silent() -> None:
    harness = Harness(alive(), announced=False)
    harness.gossip.leave(harness.now)

    harness.gossip.announce(b"own", harness.now)
    harness.gossip.update_meta(b"new", harness.now)
    harness.run(300)

    assert harness.gossip.local is None
    assert harness.said() == []
    assert harness.streams() == []


def test_too_much_metadata_is_refused_even_after_a_leave() -> None:
    harness = Harness(alive())
    harness.gossip.leave(harness.now)

    with pytest.raises(ValueError, match="513 bytes"):
        harness.gossip.update_meta(bytes(513), harness.now)


def test_one_that_has_left_still_answers() -> None:
    harness = Harness(alive())
    harness.gossip.leave(harness.now)
    harness.forget()

    harness.hears(Ping(5, LOCAL))
    table = harness.exchanges()

    assert harness.said()[0][1][0] == Ack(5)
    assert isinstance(table, PushPull)
    assert {each.name: each.state for each in table.records}[LOCAL] == RecordState.LEFT
