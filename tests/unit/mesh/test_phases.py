"""A node goes on only as its table of phases says."""

import pytest

from tests.unit.mesh.node_harness import Harness, joined, remote
from wesher.mesh.base.phases import MOVES, Move, Phase


def test_from_every_phase_a_node_can_be_told_to_leave() -> None:
    assert {phase for phase, move in MOVES if move is Move.LEAVE} == set(Phase)


def test_nobody_comes_back_from_departing() -> None:
    assert {to for (phase, _), to in MOVES.items() if phase is Phase.DEPARTING} == {Phase.DEPARTING}


def test_a_node_starts_once() -> None:
    harness = Harness().start()

    with pytest.raises(KeyError):
        harness.start()


def test_one_that_left_moves_and_saves_no_more() -> None:
    harness = joined(remote("web", 2))

    harness.leave()
    harness.node.move_to("192.0.2.77", harness.now)

    assert harness.node.saved() is None
    assert harness.node.status().address.ip == "192.0.2.1"
