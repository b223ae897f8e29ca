"""Who holds what several members claim."""

from collections.abc import Hashable, Iterable
from ipaddress import ip_address
from itertools import permutations

import pytest

from wesher.base.frozen import replace
from wesher.mesh.base.seniority import Seniority
from wesher.mesh.planning.claims import Claim, address_holders, key_holders, name_holder

ADDRESS = ip_address("10.0.0.2")


def things_of(claim: Claim) -> tuple[Hashable, ...]:
    return claim.overlay_addr, claim.public_key


def together(claims: Iterable[Claim]) -> Seniority:
    """All of them appear at one moment."""
    seniority = Seniority()
    seniority.note([(claim.name, thing) for claim in claims for thing in things_of(claim)], 0.0)
    return seniority


MOVABLE = Claim("b", ADDRESS, "key", live=True, immovable=False, kept=False)


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        (MOVABLE, replace(MOVABLE, name="a", live=False, immovable=True, kept=True)),
        (replace(MOVABLE, immovable=True), replace(MOVABLE, name="a", kept=True)),
        (replace(MOVABLE, kept=True), replace(MOVABLE, name="a")),
        (replace(MOVABLE, name="a"), MOVABLE),
        (replace(MOVABLE, name="B"), MOVABLE),
    ],
)
def test_live_then_immovable_then_kept_then_the_smaller_name_wins(
    winner: Claim, loser: Claim
) -> None:
    for claims in permutations([winner, loser]):
        assert address_holders(claims, together(claims)) == {ADDRESS: winner}
        assert key_holders(claims, together(claims)) == {"key": winner}


def test_the_order_of_hearing_does_not_matter() -> None:
    claims = [replace(MOVABLE, name=name, kept=name > "b") for name in "abcd"]

    winners = {
        address_holders(order, together(order))[ADDRESS].name for order in permutations(claims)
    }

    assert winners == {"c"}


def test_different_things_have_different_holders() -> None:
    other = Claim("c", ip_address("10.0.0.3"), "other", True, False, False)

    assert address_holders([MOVABLE, other], together([MOVABLE, other])) == {
        ADDRESS: MOVABLE,
        other.overlay_addr: other,
    }
    assert key_holders([MOVABLE, other], together([MOVABLE, other])) == {
        "key": MOVABLE,
        "other": other,
    }


def test_of_those_who_come_together_the_smaller_has_the_name() -> None:
    upper = replace(MOVABLE, name="B")
    claims = [(claim.name, "b") for claim in (MOVABLE, upper)]
    seniority = Seniority()
    seniority.note(claims, 0.0)

    assert name_holder("b", [MOVABLE, upper], seniority) == upper
