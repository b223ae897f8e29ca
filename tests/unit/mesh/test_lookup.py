"""Looking before announcing: when it is over, and what it has found out."""

from typing import Any

import pytest

from tests.unit.mesh.builders import record
from wesher.gossip import Address, ExchangeFinished, Record, RecordState, pack_ip
from wesher.mesh.discovery.lookup import GRACE, HOLDER_PATIENCE, PATIENCE, Lookup

HERE = "192.0.2.1"
A, B = Address("192.0.2.10", 7946), Address("192.0.2.11", 7946)


@pytest.fixture
def look() -> Lookup:
    return Lookup("local", pack_ip(HERE), 7946, now=0)


def ask(look: Lookup, *exchanges: int) -> None:
    for _ in exchanges:
        look.asked()


def answer(
    look: Lookup, exchange: int, *records: Record, at: float = 0.0, to: Address = A, **outcome: Any
) -> None:
    look.finished(ExchangeFinished(exchange, to, records, **outcome), at)


def test_with_nobody_to_ask_it_is_over_at_once(look: Lookup) -> None:
    assert look.is_over(0)


@pytest.mark.parametrize("outcome", [{}, {"error": "refused"}, {"own": True}])
def test_it_is_over_when_everybody_has_answered_or_failed(
    look: Lookup, outcome: dict[str, Any]
) -> None:
    ask(look, 1, 2)

    answer(look, 1)
    waited = not look.is_over(0)
    answer(look, 2, **outcome)

    assert waited
    assert look.is_over(0)


def test_names_that_are_looked_up_are_waited_for(look: Lookup) -> None:
    look.resolving()
    look.resolving()
    look.resolved()
    waited = not look.is_over(0)
    look.resolved()

    assert waited
    assert look.is_over(0)


def test_the_silent_are_waited_for_no_longer_than_three_seconds(look: Lookup) -> None:
    ask(look, 1)
    look.resolving()

    assert not look.is_over(PATIENCE - 0.01)
    assert look.is_over(PATIENCE)


def test_an_empty_answer_counts_but_does_not_cut_the_others_short(look: Lookup) -> None:
    ask(look, 1, 2)

    answer(look, 1, at=1, to=A)

    assert look.answered == [A]
    assert look.deadline == PATIENCE


def test_once_somebody_told_of_members_the_others_get_half_a_second(look: Lookup) -> None:
    ask(look, 1, 2)

    answer(look, 1, record("web"), at=1)

    assert not look.is_over(1 + GRACE - 0.01)
    assert look.is_over(1 + GRACE)


def test_the_half_second_never_prolongs_the_look(look: Lookup) -> None:
    ask(look, 1, 2)

    answer(look, 1, record("web"), at=PATIENCE - 0.1)

    assert look.deadline == PATIENCE


def test_our_own_answer_and_failures_are_no_answers(look: Lookup) -> None:
    ask(look, 1, 2, 3)

    answer(look, 1, own=True)
    answer(look, 2, error="refused")
    answer(look, 3, to=B)

    assert look.answered == [B]


@pytest.mark.parametrize(
    ("first", "second", "wins"),
    [
        ((1, RecordState.ALIVE), (2, RecordState.ALIVE), 2),
        ((2, RecordState.ALIVE), (1, RecordState.LEFT), 1),
        ((1, RecordState.ALIVE), (1, RecordState.LEFT), 2),
        ((1, RecordState.DEAD), (1, RecordState.SUSPECT), 1),
    ],
)
def test_of_two_records_the_newer_counts_whoever_sent_it_first(
    look: Lookup, first: tuple[int, RecordState], second: tuple[int, RecordState], wins: int
) -> None:
    records = [
        record("local", ip=f"192.0.2.{number}", incarnation=incarnation, state=state)
        for number, (incarnation, state) in enumerate((first, second), start=101)
    ]
    ask(look, 1, 2)

    answer(look, 1, records[0])
    answer(look, 2, records[1])

    assert look.earlier_self is records[wins - 1]


def test_others_are_all_that_may_still_hold_an_address(look: Lookup) -> None:
    kept = [record(f"n{state}", state=state) for state in (0, 1, 2, 7)]
    ask(look, 1)

    answer(look, 1, *kept, record("left", state=RecordState.LEFT), record("local"))

    assert look.live == kept[:2]
    assert look.failed == kept[2:]


@pytest.mark.parametrize(
    ("held", "holder"),
    [
        ({"ip": "192.0.2.9"}, Address("192.0.2.9", 7946)),
        ({"ip": "192.0.2.9", "state": RecordState.SUSPECT}, Address("192.0.2.9", 7946)),
        ({"ip": "192.0.2.9", "port": 0}, Address("192.0.2.9", 7946)),
        ({"ip": HERE, "port": 7947}, Address(HERE, 7947)),
        ({"ip": HERE}, None),
        ({"ip": HERE, "port": 0}, None),
        ({"ip": "192.0.2.9", "state": RecordState.DEAD}, Address("192.0.2.9", 7946)),
        ({"ip": "192.0.2.9", "state": RecordState.LEFT}, None),
    ],
)
@pytest.mark.parametrize("mapped", [False, True])
def test_our_name_is_held_by_a_member_elsewhere_unless_it_left(
    look: Lookup, held: dict[str, Any], holder: Address | None, mapped: bool
) -> None:
    ask(look, 1)

    answer(look, 1, record("local", mapped=mapped, **held))

    assert look.holder == holder


@pytest.mark.parametrize(
    ("held", "holder"),
    [
        ({"ip": "192.0.2.9"}, Address("192.0.2.9", 7946)),
        ({"ip": "192.0.2.9", "state": RecordState.SUSPECT}, Address("192.0.2.9", 7946)),
        ({"ip": HERE}, None),
        ({"ip": "192.0.2.9", "state": RecordState.DEAD}, None),
        ({"ip": "192.0.2.9", "state": RecordState.LEFT}, None),
    ],
)
def test_our_name_in_other_letters_is_held_by_who_is_alive(
    look: Lookup, held: dict[str, Any], holder: Address | None
) -> None:
    ask(look, 1)

    answer(look, 1, record("LOCAL", **held))

    assert look.holder == holder
    assert look.earlier_self is None


def test_who_returns_is_not_kept_out_by_its_name_in_other_letters(look: Lookup) -> None:
    ask(look, 1)

    answer(look, 1, record("local", ip=HERE), record("LOCAL", ip="192.0.2.9"))

    assert look.holder is None
    assert look.holder_name == "local"


def test_a_record_without_an_ip_address_holds_nothing(look: Lookup) -> None:
    ask(look, 1)

    answer(look, 1, record("local", addr=b"abc"))

    assert look.holder is None
    assert look.address_form == pack_ip(HERE)


@pytest.mark.parametrize("mapped", [False, True])
def test_our_address_keeps_the_form_in_which_the_members_have_it(
    look: Lookup, mapped: bool
) -> None:
    ask(look, 1)

    answer(look, 1, record("local", ip=HERE, mapped=mapped))

    assert look.address_form == pack_ip(HERE, mapped=mapped)


def test_our_address_has_our_own_form_when_the_members_know_another_or_none(look: Lookup) -> None:
    ask(look, 1)
    before = look.address_form
    answer(look, 1, record("local", ip="192.0.2.9", mapped=True))

    assert before == look.address_form == pack_ip(HERE)


def test_the_holder_of_our_name_has_three_seconds_to_answer(look: Lookup) -> None:
    look.ask_holder(A, 2, now=10)
    look.pinged_holder(answered=False)

    assert not look.is_over(10 + HOLDER_PATIENCE - 0.01)
    assert look.is_over(10 + HOLDER_PATIENCE)


def test_a_late_answer_leaves_the_holder_all_its_time(look: Lookup) -> None:
    ask(look, 1)
    look.ask_holder(A, 1, now=10)

    answer(look, 1, record("web"), at=11)

    assert look.deadline == 10 + HOLDER_PATIENCE


def test_one_answered_ping_is_enough(look: Lookup) -> None:
    ask(look, 1)
    look.ask_holder(A, 2, now=0)

    look.pinged_holder(answered=True)

    assert look.holder_answered
    assert look.is_over(0)


def test_all_pings_unanswered_end_the_look(look: Lookup) -> None:
    look.ask_holder(A, 2, now=0)

    look.pinged_holder(answered=False)
    look.pinged_holder(answered=False)

    assert look.is_over(0)
    assert not look.holder_answered
