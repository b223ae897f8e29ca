"""Who holds what several members claim."""

from collections.abc import Hashable, Iterable
from ipaddress import ip_address
from itertools import permutations
from typing import Any

import pytest

from tests.testbed.keys import key
from wesher.base.addresses import Address
from wesher.base.frozen import replace
from wesher.mesh.base.metadata import Metadata
from wesher.mesh.base.seniority import Seniority
from wesher.mesh.planning.claims import Claimant, Claims
from wesher.mesh.planning.validation import ValidMember

ADDRESS = ip_address("10.0.0.2")
EVERYBODY = frozenset("Babcd")


def claimant(name: str, overlay: str = str(ADDRESS), number: int = 2, **marks: Any) -> ValidMember:
    metadata = Metadata(ip_address(overlay), key(number), has_ext=True, **marks)
    return ValidMember(
        name, ip_address(overlay), key(number), Address("192.0.2.2", 51820), (), metadata
    )


def things_of(one: Claimant) -> tuple[Hashable, ...]:
    return one.overlay_addr, one.public_key


def together(claimants: Iterable[Claimant], live: frozenset[str] = EVERYBODY) -> Claims:
    """All of them appear at one moment."""
    seniority = Seniority()
    seniority.note([(one.name, thing) for one in claimants for thing in things_of(one)], 0.0)
    return Claims(live, seniority)


MOVABLE = claimant("b")


@pytest.mark.parametrize(
    ("winner", "loser", "live"),
    [
        (MOVABLE, claimant("a", immovable=True, kept=True), frozenset("b")),
        (claimant("b", immovable=True), claimant("a", kept=True), EVERYBODY),
        (claimant("b", kept=True), claimant("a"), EVERYBODY),
        (claimant("a"), MOVABLE, EVERYBODY),
        (claimant("B"), MOVABLE, EVERYBODY),
    ],
)
def test_live_then_immovable_then_kept_then_the_smaller_name_wins(
    winner: ValidMember, loser: ValidMember, live: frozenset[str]
) -> None:
    for claimants in permutations([winner, loser]):
        claims = together(claimants, live)
        assert claims.address_holders(claimants) == {ADDRESS: winner}
        assert claims.key_holders(claimants) == {key(2): winner}


def test_the_order_of_hearing_does_not_matter() -> None:
    claimants = [claimant(name, kept=name > "b") for name in "abcd"]

    winners = {
        together(order).address_holders(order)[ADDRESS].name for order in permutations(claimants)
    }

    assert winners == {"c"}


def test_different_things_have_different_holders() -> None:
    other = claimant("c", "10.0.0.3", 3)
    both = [MOVABLE, other]

    assert together(both).address_holders(both) == {ADDRESS: MOVABLE, other.overlay_addr: other}
    assert together(both).key_holders(both) == {key(2): MOVABLE, key(3): other}


def test_of_those_who_come_together_the_smaller_has_the_name() -> None:
    upper = replace(MOVABLE, name="B")
    seniority = Seniority()
    seniority.note([(one.name, "b") for one in (MOVABLE, upper)], 0.0)

    assert Claims(EVERYBODY, seniority).name_holder("b", [MOVABLE, upper]) == upper
