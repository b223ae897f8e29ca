"""How long a suspicion lasts (spec/memberlist.md, 4.7)."""

import pytest

from wesher.gossip import WAN
from wesher.gossip.suspicion import Suspicion, suspicion_lasts


@pytest.mark.case(39)
@pytest.mark.parametrize(
    ("confirmations", "seconds"), [(1, 115.398), (2, 77.609), (3, 50.797), (4, 30)]
)
def test_confirmations_shorten_a_suspicion(confirmations: int, seconds: float) -> None:
    assert suspicion_lasts(confirmations, 4, 30, 180) == seconds


@pytest.mark.case(39)
@pytest.mark.parametrize(
    ("confirmations", "elapsed", "left"), [(0, 20, 10), (1, 2, 14), (2, 3, 4.81), (3, 4, -2)]
)
def test_what_is_left_of_a_suspicion(confirmations: int, elapsed: float, left: float) -> None:
    assert suspicion_lasts(confirmations, 3, 2, 30) - elapsed == pytest.approx(left)


@pytest.mark.case(39)
def test_more_confirmations_than_wanted_are_not_shorter_than_the_shortest() -> None:
    assert suspicion_lasts(9, 3, 2, 30) == 2


@pytest.mark.case(39)
@pytest.mark.parametrize(("members", "seconds"), [(2, 30), (5, 30), (6, 180), (10, 180)])
def test_a_small_cluster_waits_for_no_confirmation(members: int, seconds: float) -> None:
    suspicion = Suspicion("accuser", 100, WAN, members)

    assert suspicion.deadline == 100 + seconds


def test_a_small_cluster_takes_no_confirmation() -> None:
    suspicion = Suspicion("accuser", 100, WAN, 5)

    assert not suspicion.confirm("other")
    assert suspicion.deadline == 130


def test_the_first_accuser_does_not_confirm() -> None:
    suspicion = Suspicion("accuser", 100, WAN, 10)

    assert not suspicion.confirm("accuser")
    assert suspicion.confirm("other")
    assert not suspicion.confirm("other")
    assert suspicion.deadline == pytest.approx(215.398)
