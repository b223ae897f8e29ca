"""Accusations, departures and refutations (spec/memberlist.md, 4.5 and 4.7)."""

import pytest

from tests.unit.gossip.harness import (
    LOCAL,
    REMOTE,
    STRANGER,
    Harness,
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
def test_an_accusation_of_somebody_unknown_is_ignored() -> None:
    harness = Harness()

    harness.hears(Suspect(1, REMOTE, "accuser"))

    assert harness.state() == "unknown"
    assert harness.events() == []


@pytest.mark.case(31)
def test_an_old_accusation_is_ignored() -> None:
    harness = Harness(alive(incarnation=2))
    harness.no_longer_queues()

    harness.hears(Suspect(1, REMOTE, "accuser"))

    assert harness.state() == "ALIVE"
    assert harness.queued() == []


@pytest.mark.case(31)
def test_an_accused_member_is_suspect_and_declared_dead_when_its_time_is_over() -> None:
    harness = Harness(alive())
    harness.now = 3

    harness.hears(Suspect(2, REMOTE, "accuser"))
    assert harness.state() == "SUSPECT"
    assert harness.member().incarnation == 2
    assert harness.member().state_changed_at == 3
    assert harness.news() == [Suspect(2, REMOTE, "accuser")]
    assert harness.events() == [MemberSuspected(harness.member())]

    harness.run(32.9)
    assert harness.state() == "SUSPECT"
    harness.run(33.1)
    assert harness.state() == "DEAD"
    assert [event for event in harness.events() if isinstance(event, MemberFailed)] == [
        MemberFailed(harness.member())
    ]
    assert harness.news() == [Dead(2, REMOTE, LOCAL)]


@pytest.mark.case(31)
def test_the_same_accusation_again_changes_nothing() -> None:
    harness = Harness(alive(), Suspect(1, REMOTE, "accuser"))
    harness.no_longer_queues()
    before = harness.member()

    harness.hears(Suspect(1, REMOTE, "accuser"))

    assert harness.member() is before
    assert harness.queued() == []


@pytest.mark.case(31)
def test_an_accusation_of_ourselves_is_refuted() -> None:
    harness = Harness(alive())

    harness.hears(Suspect(1, LOCAL, "accuser"))

    assert harness.gossip.health == 1
    assert harness.state(LOCAL) == "ALIVE"
    assert harness.events() == [Refuted(2)]
    assert harness.news(LOCAL) == [local_alive(2)]


@pytest.mark.parametrize("claim", [Suspect(1, LOCAL, REMOTE), Dead(1, LOCAL, REMOTE)])
def test_a_refutation_goes_straight_to_the_accuser_besides(claim: Dead | Suspect) -> None:
    harness = Harness(alive())

    harness.hears(claim)

    assert harness.said_to(address("10.0.0.2")) == [local_alive(2)]
    assert harness.news(LOCAL) == [local_alive(2)]


@pytest.mark.parametrize("accuser", ["nobody we know", LOCAL])
def test_a_refutation_goes_straight_to_nobody_but_another_member(accuser: str) -> None:
    harness = Harness(alive())

    harness.hears(Suspect(1, LOCAL, accuser))

    assert harness.packets() == []
    assert harness.news(LOCAL) == [local_alive(2)]


@pytest.mark.case(37)
def test_every_new_accuser_brings_the_end_nearer() -> None:
    harness = Harness(alive(), *others(6))

    harness.hears(Suspect(1, REMOTE, "m0"))
    for accuser in ("m1", "m2", "m3"):
        harness.hears(Suspect(1, REMOTE, accuser))
        assert harness.news() == [Suspect(1, REMOTE, accuser)]
    harness.hears(Suspect(1, REMOTE, "m3"))

    harness.run(50.7)
    assert harness.state() == "SUSPECT"
    harness.run(50.8)
    assert harness.state() == "DEAD"


def test_a_confirmation_may_end_a_suspicion_at_once() -> None:
    harness = Harness(alive(), *others(6))
    harness.hears(Suspect(1, REMOTE, "m0"))
    harness.run(40)

    for accuser in ("m1", "m2", "m3", "m4"):
        harness.hears(Suspect(1, REMOTE, accuser))
    harness.run(40)

    assert harness.state() == "DEAD"


def test_more_accusers_than_needed_are_not_passed_on() -> None:
    harness = Harness(alive(), *others(6))
    for accuser in ("m0", "m1", "m2", "m3", "m4"):
        harness.hears(Suspect(1, REMOTE, accuser))
    harness.no_longer_queues()

    harness.hears(Suspect(1, REMOTE, "m5"))

    assert harness.queued() == []


def test_a_suspicion_that_was_refuted_does_not_kill_later() -> None:
    harness = Harness(alive())
    harness.hears(Suspect(1, REMOTE, "accuser"))
    harness.now = 20
    harness.hears(alive(incarnation=2))
    harness.hears(Suspect(2, REMOTE, "accuser"))

    harness.run(49.9)
    still = harness.state()
    harness.run(50.1)

    assert still == "SUSPECT"
    assert harness.state() == "DEAD"


def test_a_suspicion_that_was_refuted_leaves_nothing_behind() -> None:
    harness = Harness(alive(), *others(5))
    harness.hears(Suspect(1, REMOTE, "m0"))
    harness.hears(alive(incarnation=2))
    harness.hears(Suspect(2, "m1", "m0"))

    harness.gossip.handle_timer(200)

    assert harness.state() == "ALIVE"
    assert harness.state("m1") == "DEAD"


def test_suspicions_that_come_and_go_do_not_pile_up_deadlines() -> None:
    harness = Harness(alive())
    for incarnation in range(1, 1000):
        harness.hears(alive(incarnation=incarnation), Suspect(incarnation, REMOTE, "accuser"))
        harness.packets()

    assert len(harness.gossip._context.timers._heap) < 100


@pytest.mark.case(32)
def test_a_death_of_somebody_unknown_is_ignored() -> None:
    harness = Harness()

    harness.hears(Dead(1, REMOTE, "accuser"))

    assert harness.state() == "unknown"


@pytest.mark.case(32)
def test_an_old_death_is_ignored() -> None:
    harness = Harness(alive(incarnation=2))

    harness.hears(Dead(1, REMOTE, "accuser"))

    assert harness.state() == "ALIVE"


@pytest.mark.case(32)
def test_a_death_is_reported_and_passed_on_once() -> None:
    harness = Harness(alive())
    harness.now = 3

    harness.hears(Dead(1, REMOTE, "accuser"))
    assert harness.state() == "DEAD"
    assert harness.member().state_changed_at == 3
    assert harness.events() == [MemberFailed(harness.member())]
    assert harness.news() == [Dead(1, REMOTE, "accuser")]

    harness.no_longer_queues()
    harness.hears(Dead(1, REMOTE, "other"))
    harness.hears(alive(incarnation=1))
    assert harness.state() == "DEAD"
    assert harness.events() == []
    assert harness.queued() == []


@pytest.mark.case(32)
def test_who_is_given_up_is_no_longer_suspected() -> None:
    harness = Harness(alive(), *others(6), Suspect(1, REMOTE, "m0"), Dead(1, REMOTE, "m0"))
    harness.no_longer_queues()

    harness.hears(Suspect(1, REMOTE, "m1"))

    assert harness.queued() == []


@pytest.mark.case(32)
def test_only_a_higher_incarnation_returns_from_the_dead() -> None:
    harness = Harness(alive(), Dead(1, REMOTE, "accuser"))

    harness.hears(alive(incarnation=2))

    assert harness.events() == [MemberJoined(harness.member())]


def test_who_holds_a_member_for_dead_that_has_refuted_it_is_told_so() -> None:
    harness = Harness(alive(incarnation=2))

    harness.hears(Dead(1, REMOTE, "accuser"))

    assert harness.state() == "ALIVE"
    assert harness.said_to(STRANGER)[0] == alive(incarnation=2)


@pytest.mark.parametrize("incarnation", [1, 2])
def test_who_suspects_a_member_that_has_left_is_told_so(incarnation: int) -> None:
    harness = Harness(alive(incarnation=2), Dead(2, REMOTE, REMOTE))

    harness.hears(Suspect(incarnation, REMOTE, "accuser"))

    assert harness.said_to(STRANGER)[0] == Dead(2, REMOTE, REMOTE)


def test_who_suspects_us_and_has_missed_what_we_said_since_is_told_it() -> None:
    harness = Harness()
    harness.hears(Suspect(5, LOCAL, "accuser"))
    harness.packets()

    harness.hears(Suspect(5, LOCAL, "accuser"))

    assert harness.said_to(STRANGER)[0] == local_alive(6)


@pytest.mark.parametrize("member", ["left", "dead"])
def test_who_knows_more_of_one_that_is_gone_is_not_corrected(member: str) -> None:
    harness = Harness(alive(), Dead(1, REMOTE, REMOTE if member == "left" else "accuser"))

    harness.hears(Suspect(2, REMOTE, "accuser"), Dead(1, REMOTE, "accuser"))

    assert harness.said_to(STRANGER) == []


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
def test_departures_true_deaths_strangers_and_old_suspicions_are_not_corrected(
    claim: Dead | Suspect,
) -> None:
    harness = Harness(alive(incarnation=2))

    harness.hears(claim)

    assert harness.said_to(STRANGER) == []


def test_who_is_suspected_is_not_said_to_be_alive() -> None:
    harness = Harness(alive(incarnation=2), Suspect(2, REMOTE, "accuser"))

    harness.hears(Dead(1, REMOTE, "accuser"))

    assert harness.said_to(STRANGER) == []


@pytest.mark.parametrize("state", [RecordState.SUSPECT, RecordState.DEAD, RecordState.LEFT])
def test_a_table_is_answered_by_ours_and_not_corrected_besides(state: RecordState) -> None:
    harness = Harness(alive(incarnation=2), alive("gone", ip="10.0.0.3"), Dead(1, "gone", "gone"))

    harness.exchanges(record(incarnation=1, state=state), record("gone", state=state))

    assert harness.said_to(STRANGER) == []


def test_deaths_are_corrected_only_so_often() -> None:
    harness = Harness(alive(incarnation=2))

    harness.hears(*[Dead(1, REMOTE, "accuser")] * 100)

    told = [one for one in harness.said_to(STRANGER) if one == alive(incarnation=2)]
    assert CORRECTIONS_PER_SECOND <= len(told) <= CORRECTIONS_PER_SECOND + 1


@pytest.mark.case(32)
def test_our_own_death_is_refuted() -> None:
    harness = Harness(alive())

    harness.hears(Dead(1, LOCAL, "accuser"))

    assert harness.state(LOCAL) == "ALIVE"
    assert harness.events() == [Refuted(2)]
    assert harness.news(LOCAL) == [local_alive(2)]


@pytest.mark.case(32)
def test_a_death_told_by_the_dead_is_a_departure() -> None:
    harness = Harness(alive())

    harness.hears(Dead(1, REMOTE, REMOTE))

    assert harness.state() == "LEFT"
    assert harness.events() == [MemberLeft(harness.member())]


@pytest.mark.case(41)
def test_a_death_told_by_nobody_is_a_departure_and_passed_on_as_one() -> None:
    harness = Harness(alive())

    harness.hears(Dead(1, REMOTE, ""))

    assert harness.state() == "LEFT"
    assert harness.events() == [MemberLeft(harness.member())]
    assert harness.news() == [Dead(1, REMOTE, REMOTE)]


@pytest.mark.case(41)
@pytest.mark.parametrize("incarnation", [1, 2, 1000])
def test_a_departure_of_the_dead_changes_nothing(incarnation: int) -> None:
    harness = Harness(alive(), Dead(1, REMOTE, "accuser"))
    harness.no_longer_queues()
    before = harness.member()

    harness.hears(Dead(incarnation, REMOTE, REMOTE))

    assert harness.member() is before
    assert harness.queued() == []


@pytest.mark.case(41)
def test_one_that_left_does_not_refute_itself_back_to_life() -> None:
    harness = Harness(alive())
    harness.gossip.leave(harness.now)
    harness.forget()

    harness.hears(Suspect(1, LOCAL, "accuser"), Suspect(9, LOCAL, "accuser"))

    assert harness.state(LOCAL) == "LEFT"
    assert harness.events() == []


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
def test_accusations_out_of_bounds_are_refused(
    claim: type[Dead | Suspect], incarnation: int, node: str, accuser: str, detail: str
) -> None:
    harness = Harness(alive())

    harness.hears(claim(incarnation, node, accuser))

    assert harness.events() == [PacketDropped(STRANGER, DropReason.REFUSED, detail)]
    assert harness.state() == "ALIVE"
