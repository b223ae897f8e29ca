"""The numbers that grow with the cluster, and the scores with bounds."""

import pytest

from wesher.gossip import LAN, LOCAL, PRESETS, WAN
from wesher.gossip.awareness import Awareness
from wesher.gossip.rate_limit import TokenBucket
from wesher.gossip.suspicion import Suspicion, suspicion_lasts
from wesher.gossip.timing import push_pull_scale, suspicion_timeout, transmit_limit


@pytest.mark.case(39)
@pytest.mark.parametrize(
    ("members", "limit"), [(0, 0), (1, 4), (9, 4), (10, 8), (99, 8), (100, 12), (999, 12)]
)
def test_transmit_limit(members: int, limit: float) -> None:
    assert transmit_limit(4, members) == limit


@pytest.mark.case(39)
@pytest.mark.parametrize(
    ("members", "seconds"),
    [(0, 30), (1, 30), (10, 30), (11, 31.23), (20, 39.03), (50, 50.94), (100, 60), (1000, 90)],
)
def test_shortest_suspicion(members: int, seconds: float) -> None:
    assert suspicion_timeout(WAN, members) == pytest.approx(seconds)


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


@pytest.mark.case(39)
@pytest.mark.parametrize(
    ("members", "scale"), [(1, 1), (32, 1), (33, 2), (64, 2), (65, 3), (128, 3), (129, 4)]
)
def test_push_pull_scale(members: int, scale: int) -> None:
    assert push_pull_scale(members) == scale


@pytest.mark.case(39)
def test_health_stays_within_bounds() -> None:
    awareness = Awareness(8)

    scores = []
    for delta in (-1, 1, 3, 9, -2, -20):
        awareness.adjust(delta)
        scores.append(awareness.score)

    assert scores == [0, 1, 4, 7, 5, 0]


def test_bad_health_stretches_probes() -> None:
    awareness = Awareness(8)
    awareness.adjust(1)

    assert awareness.scale(5) == 10


@pytest.mark.parametrize("start", [1000, 0, -1000])
def test_a_bucket_allows_its_rate_and_no_more(start: int) -> None:
    bucket = TokenBucket(10)

    times = (start, start, start + 0.5, start + 1000)
    allowed = [sum(bucket.allow(now) for _ in range(100)) for now in times]

    assert allowed == [10, 0, 5, 10]


def test_presets_are_found_by_name() -> None:
    assert PRESETS == {"wan": WAN, "lan": LAN, "local": LOCAL}
