"""Whoever announces which network: all nodes send there to the same member."""

import pytest

from tests.testbed.sim.shared_networks import SharedNetworks


@pytest.mark.parametrize("first", range(0, 4, 2))
def test_all_agree_on_the_carrier_whatever_happens(first: int) -> None:
    for seed in range(first, first + 2):
        SharedNetworks(seed).run()
