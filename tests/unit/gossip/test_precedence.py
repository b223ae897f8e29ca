"""Each cell of the table of precedence, as a participant that hears the claim behaves."""

from itertools import product

import pytest

from tests.unit.gossip.harness import LOCAL, REMOTE, Harness, alive, local_alive, others
from wesher.base.frozen import replace
from wesher.gossip import Alive, Dead, Message, Refuted, Suspect
from wesher.gossip.members import MemberState
from wesher.gossip.precedence import (
    ABOUT_OTHERS,
    ABOUT_OURSELVES,
    BECOMES,
    Action,
    Age,
    Claim,
    action_on,
    age_of,
)

HELD = 5
INCARNATIONS = {Age.OLDER: HELD - 1, Age.SAME: HELD, Age.NEWER: HELD + 1}
HISTORIES: dict[MemberState, list[Message]] = {
    MemberState.ALIVE: [],
    MemberState.SUSPECT: [Suspect(HELD, REMOTE, "first accuser")],
    MemberState.DEAD: [Dead(HELD, REMOTE, "accuser")],
    MemberState.LEFT: [Dead(HELD, REMOTE, REMOTE)],
}


def said(claim: Claim, incarnation: int, name: str = REMOTE) -> Alive | Suspect | Dead:
    """Return the message that carries the claim."""
    match claim:
        case Claim.ALIVE if name == LOCAL:
            return local_alive(incarnation, meta=b"not ours")
        case Claim.ALIVE:
            return alive(incarnation=incarnation)
        case Claim.SUSPECT:
            return Suspect(incarnation, name, "second accuser")
        case Claim.DEAD:
            return Dead(incarnation, name, "second accuser")
        case Claim.LEAVE:
            return Dead(incarnation, name, name)


def test_the_tables_have_every_case() -> None:
    assert set(ABOUT_OTHERS) == set(product(MemberState, Claim))
    assert set(ABOUT_OURSELVES) == set(product((MemberState.ALIVE, MemberState.LEFT), Claim))


@pytest.mark.parametrize("age", Age)
@pytest.mark.parametrize("claim", Claim)
@pytest.mark.parametrize("held", MemberState)
def test_a_claim_about_another_member(held: MemberState, claim: Claim, age: Age) -> None:
    harness = Harness(*others(6), alive(incarnation=HELD), *HISTORIES[held])
    harness.no_longer_queues()
    before = harness.member()
    assert before.state is held
    action = ABOUT_OTHERS[held, claim][list(Age).index(age)]

    harness.hears(said(claim, INCARNATIONS[age]))

    if action in BECOMES:
        assert harness.member().state is BECOMES[action]
        assert harness.member().incarnation == INCARNATIONS[age]
    else:
        assert harness.member() == before
    assert (harness.queued() != []) == (action is not Action.IGNORE)


@pytest.mark.parametrize("age", Age)
@pytest.mark.parametrize("claim", Claim)
def test_a_claim_about_ourselves(claim: Claim, age: Age) -> None:
    harness = Harness()
    harness.gossip.announce(b"own", harness.now, incarnation=HELD)
    harness.no_longer_queues()
    harness.forget()
    action = ABOUT_OURSELVES[MemberState.ALIVE, claim][list(Age).index(age)]

    harness.hears(said(claim, INCARNATIONS[age], LOCAL))

    refutes = action in (Action.REFUTE, Action.REFUTE_IF_DIFFERENT)
    wanted = INCARNATIONS[age] + 1 if refutes else HELD
    assert harness.member(LOCAL).incarnation == wanted
    assert harness.state(LOCAL) == "ALIVE"
    assert any(isinstance(event, Refuted) for event in harness.events()) == refutes


@pytest.mark.parametrize("age", Age)
@pytest.mark.parametrize("claim", Claim)
def test_a_claim_about_ourselves_once_we_have_left(claim: Claim, age: Age) -> None:
    harness = Harness(alive())
    harness.gossip.announce(b"own", harness.now, incarnation=HELD)
    harness.gossip.leave(harness.now)
    before = harness.member(LOCAL)

    harness.hears(said(claim, INCARNATIONS[age], LOCAL))

    assert harness.member(LOCAL) == before
    assert before.state is MemberState.LEFT


def test_what_is_older_changes_nothing_and_the_dead_only_come_back_by_themselves() -> None:
    for (held, claim), (older, same, newer) in ABOUT_OTHERS.items():
        assert older is Action.IGNORE
        if held in (MemberState.DEAD, MemberState.LEFT):
            assert same is Action.IGNORE
            assert newer is (Action.BELIEVE if claim is Claim.ALIVE else Action.IGNORE)


def test_our_own_words_that_come_back_are_not_refuted() -> None:
    harness = Harness()
    own = harness.member(LOCAL)

    harness.hears(local_alive(own.incarnation))

    assert harness.member(LOCAL) == own


def test_the_address_of_a_member_that_has_left_may_change_at_any_incarnation() -> None:
    harness = Harness(alive(incarnation=HELD), Dead(HELD, REMOTE, REMOTE))

    harness.hears(replace(alive(incarnation=1), addr=bytes([10, 0, 0, 9])))

    assert harness.member().state is MemberState.ALIVE
    assert harness.member().incarnation == 1


@pytest.mark.parametrize(("incarnation", "age"), [(4, Age.OLDER), (5, Age.SAME), (6, Age.NEWER)])
def test_the_age_of_a_claim(incarnation: int, age: Age) -> None:
    assert age_of(incarnation, HELD) is age


@pytest.mark.parametrize("ours", [True, False])
def test_each_age_has_its_own_place_in_a_row(ours: bool) -> None:
    member = Harness(alive()).member()
    row = (ABOUT_OURSELVES if ours else ABOUT_OTHERS)[MemberState.ALIVE, Claim.ALIVE]

    assert tuple(action_on(member, Claim.ALIVE, age, ours=ours) for age in Age) == row
