"""Addresses never collide for long, whoever joins at the same moment."""

from collections import Counter

import pytest

from tests.testbed.sim.addresses import Crowd, Joins, crowds


@pytest.mark.parametrize("first", range(0, 60, 15))
def test_whoever_joins_at_the_same_moment_gets_an_address_of_its_own(first: int) -> None:
    moves: Counter[int] = Counter()

    for seed in range(first, first + 15):
        moves.update(Joins(crowds(seed)).run().values())

    assert moves[0] > moves[1] > 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("network", "members"), [("10.0.0.0/28", 13), ("10.0.0.0/24", 40)], ids=["full", "crowded"]
)
def test_where_addresses_are_rare_each_moves_once_at_most(
    network: str, members: int, seed: int
) -> None:
    Joins(Crowd(seed, network, members)).run()


def test_two_fixed_claims_to_one_address_stand_side_by_side() -> None:
    joins = Joins(Crowd(3, "10.0.0.0/24", 6, fixed=3))

    joins.run()

    fixed = [node for node in joins.world.nodes.values() if node.settings.overlay_addr]
    assert all(node.up and node.overlay_addr == "10.0.0.231" for node in fixed)
