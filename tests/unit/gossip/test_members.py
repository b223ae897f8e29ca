"""The table, the order of probing, the random choice (spec/memberlist.md, 4.8, 4.12, 4.13)."""

from collections import Counter
from random import Random

import pytest

from wesher.base.frozen import replace
from wesher.gossip import Address, Member, Members, MemberState, RecordState
from wesher.gossip.members import MAX_AT_ONE_ADDRESS

VERSIONS = bytes([1, 5, 2, 0, 0, 0])


def member(name: str, state: MemberState = MemberState.ALIVE, changed_at: float = 0.0) -> Member:
    return Member(name, bytes([10, 0, 0, 2]), 7946, None, VERSIONS, 1, state, changed_at)


def table(*members: Member, seed: int = 0) -> Members:
    members_table = Members("local", Random(seed))
    for each in members:
        members_table.put(each)
    return members_table


def cycle(members: Members, count: int, now: float = 0.0) -> list[str]:
    return [one.name for _ in range(count) if (one := members.next_to_probe(now, 60))]


@pytest.mark.case(35)
def test_every_live_remote_member_has_its_turn_once_a_cycle() -> None:
    live = [member(f"m{index}") for index in range(10)]
    suspect = member("suspect", MemberState.SUSPECT)
    gone = [member("dead", MemberState.DEAD), member("left", MemberState.LEFT)]
    members = table(member("local"), *live, suspect, *gone)

    cycles = [cycle(members, 11) for _ in range(3)]

    names = sorted([each.name for each in [*live, suspect]])
    assert [sorted(each) for each in cycles] == [names] * 3
    assert len({tuple(each) for each in cycles}) == 3


@pytest.mark.case(35)
def test_the_end_of_a_cycle_forgets_those_gone_for_longer_than_the_limit() -> None:
    states = (MemberState.DEAD, MemberState.LEFT)
    old = [member(f"old {state.name}", state, 39.9) for state in states]
    young = [member(f"young {state.name}", state, 40.0) for state in states]
    members = table(member("local", MemberState.LEFT), member("live"), *old, *young)

    for _ in range(4):
        members.next_to_probe(100, reap_after=60)

    assert {each.name for each in members} == {
        "local",
        "live",
        *[each.name for each in young],
    }


@pytest.mark.parametrize(
    "names", [[], ["local"], ["local", "dead"]], ids=["nobody", "we", "we and a dead one"]
)
def test_there_may_be_nobody_to_probe(names: list[str]) -> None:
    state = {"dead": MemberState.DEAD}
    members = table(*[member(name, state.get(name, MemberState.ALIVE)) for name in names])

    assert [members.next_to_probe(0, 60) for _ in range(5)] == [None] * 5


def test_after_the_last_one_is_forgotten_there_is_nobody_to_probe() -> None:
    members = table(member("dead", MemberState.DEAD))

    assert [members.next_to_probe(100, 60) for _ in range(5)] == [None] * 5
    assert len(members) == 0


@pytest.mark.parametrize("size", [3, 10, 100])
def test_the_choice_is_uniform_without_repetition_and_without_us(size: int) -> None:
    names = [f"m{index}" for index in range(size)]
    members = table(member("local"), *map(member, names))

    chosen: Counter[str] = Counter()
    for _ in range(3000):
        picked = [each.name for each in members.choose(3, lambda each: True)]
        assert len(picked) == len(set(picked)) == min(3, size)
        chosen.update(picked)

    expected = 3000 * 3 / size
    assert set(chosen) == set(names)
    assert all(abs(chosen[name] - expected) < 6 * expected**0.5 + 1 for name in names)


def test_the_choice_finds_the_few_that_are_eligible() -> None:
    members = table(*[member(f"m{index}") for index in range(100)])

    picked = members.choose(3, lambda each: each.name in ("m17", "m71"))

    assert {each.name for each in picked} == {"m17", "m71"}


def test_where_nobody_is_nobody_is_chosen() -> None:
    assert table().choose(3, lambda each: True) == []


def test_no_more_are_chosen_than_wanted_however_many_are_eligible() -> None:
    members = table(*[member(f"m{index}") for index in range(100)])

    for _ in range(100):
        picked = members.choose(3, lambda each: each.name.endswith("7"))
        assert len({each.name for each in picked}) == len(picked) == 3


def test_live_and_unsuspected_remotes_are_counted_through_all_changes() -> None:
    members = table()
    stats = []
    unsuspected = []
    for each in (
        member("a"),
        member("local"),
        member("b", MemberState.SUSPECT),
        member("a", MemberState.DEAD),
        member("b", MemberState.ALIVE),
        member("local", MemberState.LEFT),
        member("b", MemberState.LEFT),
    ):
        members.put(each)
        stats.append(members.live_remotes)
        unsuspected.append(members.alive_remotes)

    assert stats == [1, 1, 2, 1, 1, 1, 0]
    assert unsuspected == [1, 1, 1, 0, 1, 1, 0]


def test_a_member_of_ipv4_in_ipv6_form_is_reached_by_ipv4() -> None:
    mapped = Member(
        "m", bytes(10) + b"\xff\xff\x0a\0\0\x02", 7946, None, VERSIONS, 1, MemberState.ALIVE, 0
    )

    assert mapped.address == Address("10.0.0.2", 7946)
    assert mapped.as_record().addr == mapped.addr


@pytest.mark.parametrize("size", [5, 50])
def test_some_are_chosen_only_where_others_do_not_suffice(size: int) -> None:
    members = table(*[member(f"m{number}") for number in range(size)])

    told = {f"m{number}" for number in range(size - 2)}
    chosen = {one.name for one in members.choose(4, lambda each: True, rather_not=told)}

    assert len(chosen) == 4
    assert {f"m{size - 2}", f"m{size - 1}"} < chosen


def test_states_have_the_numbers_of_push_pull_records() -> None:
    assert {state.name: state.value for state in MemberState} == {
        state.name: state.value for state in RecordState
    }


def test_who_has_answered_is_asked_again_only_once_it_has_moved() -> None:
    members = table(member("web"))
    members.prove(member("web"))

    members.put(member("web", MemberState.SUSPECT))
    still = list(members.proofs.proven)
    members.put(replace(member("web"), port=7947))

    assert still == ["web"]
    assert list(members.proofs.unproven) == ["web"]


def test_a_member_that_is_forgotten_makes_room_for_another_at_its_address() -> None:
    names = [f"m{number}" for number in range(MAX_AT_ONE_ADDRESS + 1)]
    members = table(*map(member, names))
    proven = [members.prove(member(name)) for name in names]
    members.evict("m0")

    assert proven == [True] * MAX_AT_ONE_ADDRESS + [False]
    assert members.prove(member(names[-1]))


def test_others_are_live_and_not_ourselves_and_in_a_crowd_only_those_relied_upon() -> None:
    members = Members("local", Random(0), max_unproven=3)
    gone = member("gone", MemberState.DEAD)
    for one in (member("local"), member("a"), member("b", MemberState.SUSPECT), gone):
        members.put(one)
    few = [one.name for one in members.others()]
    members.prove(member("a"))
    members.put(member("c"))
    members.put(member("d"))
    members.proofs.vouched = {"c"}

    assert few == ["a", "b"]
    assert [one.name for one in members.others()] == ["a", "c"]
    assert (members.live_remotes, members.alive_remotes) == (4, 3)


def test_only_an_answer_from_where_a_member_is_held_to_be_proves_it() -> None:
    members = table(member("web"))

    told = [members.prove(one) for one in (replace(member("web"), port=7947), member("ghost"))]

    assert told == [False, False]
    assert list(members.proofs.unproven) == ["web"]


def crowded_out(*waiting: Member) -> Members:
    """Return a table of so many proven members that a throw of the dice finds one of them."""
    members = table(*waiting)
    for number in range(1000):
        one = replace(member(f"m{number}"), addr=bytes([10, 1, *divmod(number, 250)]))
        members.put(one)
        members.prove(one)
    return members


OLDEST, NEWER = member("oldest"), member("newer", MemberState.DEAD)


def test_where_the_dice_find_nobody_the_oldest_unproven_member_gives_way() -> None:
    assert crowded_out(OLDEST, NEWER).to_evict() == OLDEST
    assert crowded_out().to_evict() is None


def test_who_is_relied_upon_gives_way_if_there_are_no_others() -> None:
    members = crowded_out(OLDEST, NEWER)
    members.proofs.vouched = {"oldest"}
    another = members.to_evict()
    members.proofs.vouched = {"oldest", "newer"}

    assert another == NEWER
    assert members.to_evict() == OLDEST


def test_who_gives_way_is_drawn_from_all_who_are_unproven() -> None:
    members = table(*(member(f"m{number}") for number in range(100)))

    drawn = {one.name for _ in range(20) if (one := members.to_evict())}

    assert len(drawn) > 10


def test_evictions_are_counted_and_leave_no_long_list_of_turns() -> None:
    members = table(*(member(f"m{number}") for number in range(10)))
    turns, live = [], []

    for number in range(8):
        members.evict(f"m{number}")
        turns.append(len(members._order))
        live.append((members.live_remotes, members.alive_remotes))

    assert turns == [10, 10, 10, 10, 10, 4, 4, 4]
    assert live == [(left, left) for left in range(9, 1, -1)]


def test_in_a_crowd_every_turn_finds_the_only_proven_member() -> None:
    members = Members("local", Random(0), max_unproven=5)
    for number in range(60):
        members.put(member(f"m{number}"))
    members.prove(member("m7"))

    assert cycle(members, 100) == ["m7"] * 100


def test_of_who_is_reaped_nothing_is_kept() -> None:
    members = table(member("live"), member("dead", MemberState.DEAD))

    for _ in range(3):
        members.next_to_probe(100, reap_after=60)

    assert list(members.proofs.unproven) == ["live"]
    assert members._order == ["live"]
