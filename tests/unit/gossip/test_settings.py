"""The presets, and the numbers that grow with the cluster."""

import pytest

from wesher.gossip import LAN, LOCAL, PRESETS, WAN
from wesher.gossip.settings import push_pull_scale, suspicion_timeout, transmit_limit


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
    ("members", "scale"), [(1, 1), (32, 1), (33, 2), (64, 2), (65, 3), (128, 3), (129, 4)]
)
def test_push_pull_scale(members: int, scale: int) -> None:
    assert push_pull_scale(members) == scale


def test_presets_are_found_by_name() -> None:
    assert PRESETS == {"wan": WAN, "lan": LAN, "local": LOCAL}
