"""Accusations, departures and refutations (spec/memberlist.md, 4.5 and 4.7)."""

import pytest

from tests.unit.gossip.bench import (
    LOCAL,
    REMOTE,
    STRANGER,
    Bench,
    address,
    alive,
    local_alive,
    others,
    record,
)
from wesher.gossip import (
    Dead,
    DropReason,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberSuspected,
    PacketDropped,
    RecordState,
    Refuted,
    Suspect,
)
from wesher.gossip.intake import CORRECTIONS_PER_SECOND


@pytest.mark.case(31)
def test_an_accusation_of_somebody_unknown_is_ignored():
    bench = Bench()

    bench.hears(Suspect(1, REMOTE, "accuser"))

    assert bench.state() == "unknown"
    assert bench.events() == []


@pytest.mark.case(31)
def test_an_old_accusation_is_ignored():
    bench = Bench(alive(incarnation=2))
    bench.no_longer_queues()

    bench.hears(Suspect(1, REMOTE, "accuser"))

    assert bench.state() == "ALIVE"
    assert bench.queued() == []


@pytest.mark.case(31)
def test_an_accused_member_is_suspect_and_declared_dead_when_its_time_is_over():
    bench = Bench(alive())
    bench.now = 3

    bench.hears(Suspect(2, REMOTE, "accuser"))
    assert bench.state() == "SUSPECT"
    assert bench.member().incarnation == 2
    assert bench.member().state_changed_at == 3
    assert bench.news() == [Suspect(2, REMOTE, "accuser")]
    assert bench.events() == [MemberSuspected(bench.member())]

    bench.run(32.9)
    assert bench.state() == "SUSPECT"
    bench.run(33.1)
    assert bench.state() == "DEAD"
    assert [event for event in bench.events() if isinstance(event, MemberFailed)] == [
        MemberFailed(bench.member())
    ]
    assert bench.news() == [Dead(2, REMOTE, LOCAL)]


@pytest.mark.case(31)
def test_the_same_accusation_again_changes_nothing():
    bench = Bench(alive(), Suspect(1, REMOTE, "accuser"))
    bench.no_longer_queues()
    before = bench.member()

    bench.hears(Suspect(1, REMOTE, "accuser"))

    assert bench.member() is before
    assert bench.queued() == []


@pytest.mark.case(31)
def test_an_accusation_of_ourselves_is_refuted():
    bench = Bench(alive())

    bench.hears(Suspect(1, LOCAL, "accuser"))

    assert bench.gossip.health == 1
    assert bench.state(LOCAL) == "ALIVE"
    assert bench.events() == [Refuted(2)]
    assert bench.news(LOCAL) == [local_alive(2)]


@pytest.mark.parametrize("claim", [Suspect(1, LOCAL, REMOTE), Dead(1, LOCAL, REMOTE)])
def test_a_refutation_goes_straight_to_the_accuser_besides(claim):
    bench = Bench(alive())

    bench.hears(claim)

    assert bench.said_to(address("10.0.0.2")) == [local_alive(2)]
    assert bench.news(LOCAL) == [local_alive(2)]


@pytest.mark.parametrize("accuser", ["nobody we know", LOCAL])
def test_a_refutation_goes_straight_to_nobody_but_another_member(accuser):
    bench = Bench(alive())

    bench.hears(Suspect(1, LOCAL, accuser))

    assert bench.packets() == []
    assert bench.news(LOCAL) == [local_alive(2)]


@pytest.mark.case(37)
def test_every_new_accuser_brings_the_end_nearer():
    bench = Bench(alive(), *others(6))

    bench.hears(Suspect(1, REMOTE, "m0"))
    for accuser in ("m1", "m2", "m3"):
        bench.hears(Suspect(1, REMOTE, accuser))
        assert bench.news() == [Suspect(1, REMOTE, accuser)]
    bench.hears(Suspect(1, REMOTE, "m3"))

    bench.run(50.7)
    assert bench.state() == "SUSPECT"
    bench.run(50.8)
    assert bench.state() == "DEAD"


def test_a_confirmation_may_end_a_suspicion_at_once():
    bench = Bench(alive(), *others(6))
    bench.hears(Suspect(1, REMOTE, "m0"))
    bench.run(40)

    for accuser in ("m1", "m2", "m3", "m4"):
        bench.hears(Suspect(1, REMOTE, accuser))
    bench.run(40)

    assert bench.state() == "DEAD"


def test_more_accusers_than_needed_are_not_passed_on():
    bench = Bench(alive(), *others(6))
    for accuser in ("m0", "m1", "m2", "m3", "m4"):
        bench.hears(Suspect(1, REMOTE, accuser))
    bench.no_longer_queues()

    bench.hears(Suspect(1, REMOTE, "m5"))

    assert bench.queued() == []


def test_a_suspicion_that_was_refuted_does_not_kill_later():
    bench = Bench(alive())
    bench.hears(Suspect(1, REMOTE, "accuser"))
    bench.now = 20
    bench.hears(alive(incarnation=2))
    bench.hears(Suspect(2, REMOTE, "accuser"))

    bench.run(49.9)
    still = bench.state()
    bench.run(50.1)

    assert still == "SUSPECT"
    assert bench.state() == "DEAD"


def test_a_suspicion_that_was_refuted_leaves_nothing_behind():
    bench = Bench(alive(), *others(5))
    bench.hears(Suspect(1, REMOTE, "m0"))
    bench.hears(alive(incarnation=2))
    bench.hears(Suspect(2, "m1", "m0"))

    bench.gossip.handle_timer(200)

    assert bench.state() == "ALIVE"
    assert bench.state("m1") == "DEAD"


def test_suspicions_that_come_and_go_do_not_pile_up_deadlines():
    bench = Bench(alive())
    before = len(bench.gossip._context.timers._heap)

    for incarnation in range(1, 1000):
        bench.hears(alive(incarnation=incarnation), Suspect(incarnation, REMOTE, "accuser"))
        bench.packets()

    assert len(bench.gossip._context.timers._heap) < before + 5


@pytest.mark.case(32)
def test_a_death_of_somebody_unknown_is_ignored():
    bench = Bench()

    bench.hears(Dead(1, REMOTE, "accuser"))

    assert bench.state() == "unknown"


@pytest.mark.case(32)
def test_an_old_death_is_ignored():
    bench = Bench(alive(incarnation=2))

    bench.hears(Dead(1, REMOTE, "accuser"))

    assert bench.state() == "ALIVE"


@pytest.mark.case(32)
def test_a_death_is_reported_and_passed_on_once():
    bench = Bench(alive())
    bench.now = 3

    bench.hears(Dead(1, REMOTE, "accuser"))
    assert bench.state() == "DEAD"
    assert bench.member().state_changed_at == 3
    assert bench.events() == [MemberFailed(bench.member())]
    assert bench.news() == [Dead(1, REMOTE, "accuser")]

    bench.no_longer_queues()
    bench.hears(Dead(1, REMOTE, "other"))
    bench.hears(alive(incarnation=1))
    assert bench.state() == "DEAD"
    assert bench.events() == []
    assert bench.queued() == []


@pytest.mark.case(32)
def test_who_is_given_up_is_no_longer_suspected():
    bench = Bench(alive(), *others(6), Suspect(1, REMOTE, "m0"), Dead(1, REMOTE, "m0"))
    bench.no_longer_queues()

    bench.hears(Suspect(1, REMOTE, "m1"))

    assert bench.queued() == []


@pytest.mark.case(32)
def test_only_a_higher_incarnation_returns_from_the_dead():
    bench = Bench(alive(), Dead(1, REMOTE, "accuser"))

    bench.hears(alive(incarnation=2))

    assert bench.events() == [MemberJoined(bench.member())]


def test_who_holds_a_member_for_dead_that_has_refuted_it_is_told_so():
    bench = Bench(alive(incarnation=2))

    bench.hears(Dead(1, REMOTE, "accuser"))

    assert bench.state() == "ALIVE"
    assert bench.said_to(STRANGER)[0] == alive(incarnation=2)


@pytest.mark.parametrize("incarnation", [1, 2])
def test_who_suspects_a_member_that_has_left_is_told_so(incarnation):
    bench = Bench(alive(incarnation=2), Dead(2, REMOTE, REMOTE))

    bench.hears(Suspect(incarnation, REMOTE, "accuser"))

    assert bench.said_to(STRANGER)[0] == Dead(2, REMOTE, REMOTE)


@pytest.mark.parametrize("member", ["left", "dead"])
def test_who_knows_more_of_one_that_is_gone_is_not_corrected(member):
    bench = Bench(alive(), Dead(1, REMOTE, REMOTE if member == "left" else "accuser"))

    bench.hears(Suspect(2, REMOTE, "accuser"), Dead(1, REMOTE, "accuser"))

    assert bench.said_to(STRANGER) == []


@pytest.mark.parametrize(
    "claim",
    [
        Dead(1, REMOTE, REMOTE),
        Dead(1, REMOTE, ""),
        Dead(2, REMOTE, "accuser"),
        Dead(1, "other", "accuser"),
        Suspect(1, REMOTE, "accuser"),
    ],
)
def test_departures_true_deaths_strangers_and_old_suspicions_are_not_corrected(claim):
    bench = Bench(alive(incarnation=2))

    bench.hears(claim)

    assert bench.said_to(STRANGER) == []


def test_who_is_suspected_is_not_said_to_be_alive():
    bench = Bench(alive(incarnation=2), Suspect(2, REMOTE, "accuser"))

    bench.hears(Dead(1, REMOTE, "accuser"))

    assert bench.said_to(STRANGER) == []


@pytest.mark.parametrize("state", [RecordState.SUSPECT, RecordState.DEAD, RecordState.LEFT])
def test_a_table_is_answered_by_ours_and_not_corrected_besides(state):
    bench = Bench(alive(incarnation=2), alive("gone", ip="10.0.0.3"), Dead(1, "gone", "gone"))

    bench.exchanges(record(incarnation=1, state=state), record("gone", state=state))

    assert bench.said_to(STRANGER) == []


def test_deaths_are_corrected_only_so_often():
    bench = Bench(alive(incarnation=2))

    bench.hears(*[Dead(1, REMOTE, "accuser")] * 100)

    told = [one for one in bench.said_to(STRANGER) if one == alive(incarnation=2)]
    assert CORRECTIONS_PER_SECOND <= len(told) <= CORRECTIONS_PER_SECOND + 1


@pytest.mark.case(32)
def test_our_own_death_is_refuted():
    bench = Bench(alive())

    bench.hears(Dead(1, LOCAL, "accuser"))

    assert bench.state(LOCAL) == "ALIVE"
    assert bench.events() == [Refuted(2)]
    assert bench.news(LOCAL) == [local_alive(2)]


@pytest.mark.case(32)
def test_a_death_told_by_the_dead_is_a_departure():
    bench = Bench(alive())

    bench.hears(Dead(1, REMOTE, REMOTE))

    assert bench.state() == "LEFT"
    assert bench.events() == [MemberLeft(bench.member())]


@pytest.mark.case(41)
def test_a_death_told_by_nobody_is_a_departure_and_passed_on_as_one():
    bench = Bench(alive())

    bench.hears(Dead(1, REMOTE, ""))

    assert bench.state() == "LEFT"
    assert bench.events() == [MemberLeft(bench.member())]
    assert bench.news() == [Dead(1, REMOTE, REMOTE)]


@pytest.mark.case(41)
@pytest.mark.parametrize("incarnation", [1, 2, 1000])
def test_a_departure_of_the_dead_changes_nothing(incarnation):
    bench = Bench(alive(), Dead(1, REMOTE, "accuser"))
    bench.no_longer_queues()
    before = bench.member()

    bench.hears(Dead(incarnation, REMOTE, REMOTE))

    assert bench.member() is before
    assert bench.queued() == []


@pytest.mark.case(41)
def test_one_that_left_does_not_refute_itself_back_to_life():
    bench = Bench(alive())
    bench.gossip.leave(bench.now)
    bench.forget()

    bench.hears(Suspect(1, LOCAL, "accuser"), Suspect(9, LOCAL, "accuser"))

    assert bench.state(LOCAL) == "LEFT"
    assert bench.events() == []


@pytest.mark.parametrize("claim", [Suspect, Dead])
@pytest.mark.parametrize(
    ("incarnation", "node", "accuser", "detail"),
    [
        (2**32 - 1, REMOTE, "accuser", "incarnation too high"),
        (1, "", "accuser", "name of a wrong length"),
        (1, "x" * 256, "accuser", "name of a wrong length"),
        (1, REMOTE, "é" * 128, "name of a wrong length"),
    ],
)
def test_accusations_out_of_bounds_are_refused(claim, incarnation, node, accuser, detail):
    bench = Bench(alive())

    bench.hears(claim(incarnation, node, accuser))

    assert bench.events() == [PacketDropped(STRANGER, DropReason.REFUSED, detail)]
    assert bench.state() == "ALIVE"
