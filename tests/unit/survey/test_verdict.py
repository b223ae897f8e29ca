"""The sentences that explain what does not work, and no more than that."""

from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.testbed.meshes import mesh
from wesher.mesh.base.questions import Reach
from wesher.survey.matrix import Link, Matrix, Source
from wesher.survey.verdict import Cause, verdict


def said(matrix: Matrix) -> list[str]:
    return [one.text for one in verdict(matrix)]


def pairs_of(one: int, count: int) -> list[tuple[int, int]]:
    return [(one, other) for other in range(1, count + 1) if other != one]


def test_all_is_well() -> None:
    assert said(mesh(6)) == ["everybody reaches everybody: 15 of 15 tunnels"]
    assert not any(one.bad for one in verdict(mesh(6)))


def test_nobody_else_is_there() -> None:
    assert said(mesh(1)) == ["there is nobody else to reach"]
    assert said(mesh(0)) == ["there is nobody else to reach"]


def test_one_that_reaches_nobody() -> None:
    assert said(mesh(9, bad=pairs_of(7, 9))) == [
        "node7 reaches nobody over UDP 51820",
        "nobody else has trouble",
    ]


def test_a_pair() -> None:
    assert said(mesh(6, bad=[(3, 5)])) == [
        "node3 and node5 do not reach each other; both reach everybody else",
        "nobody else has trouble",
    ]


def test_the_direction_in_which_packets_are_lost() -> None:
    assert said(mesh(6, bad=[(3, 5)], heard=[(3, 5)])) == [
        "node3 and node5 do not reach each other: what node3 sends does not arrive at node5; "
        "both reach everybody else",
        "nobody else has trouble",
    ]
    assert (
        "what node5 sends does not arrive at node3"
        in said(mesh(6, bad=[(3, 5)], heard=[(5, 3)]))[0]
    )


def test_one_that_is_down() -> None:
    assert said(mesh(5, dead=[4])) == [
        "node4 is reached by nobody and does not answer, and has failed: is it down?",
        "nobody else has trouble",
    ]


def test_one_that_does_not_answer_but_whose_tunnels_work() -> None:
    assert said(mesh(5, sources={4: Source.SILENT})) == [
        "everybody reaches everybody: 10 of 10 tunnels"
    ]


def test_a_member_that_tells_nothing_and_is_reached_by_nobody() -> None:
    assert said(mesh(5, bad=pairs_of(4, 5), sources={4: Source.GO})) == [
        "node4 is reached by nobody over UDP 51820; it runs the original, which tells nothing",
        "nobody else has trouble",
    ]


def test_the_lab() -> None:
    """A one-way block, a dead node, and one that behaves like the original."""
    matrix = mesh(6, bad=[(2, 3)], heard=[(2, 3)], dead=[6], sources={5: Source.GO})

    assert said(matrix) == [
        "node6 is reached by nobody and does not answer, and has failed: is it down?",
        "node2 and node3 do not reach each other: what node2 sends does not arrive at node3; "
        "both reach everybody else that anybody reaches",
        "nobody else has trouble among the 9 of 15 tunnels",
        "1 of 15 tunnels are not known: node5 and node6 cannot tell",
    ]


def test_a_cut_network() -> None:
    across = list(product([1, 2, 3], [4, 5]))

    assert said(mesh(5, bad=across)) == [
        "the mesh is cut: node1, node2 and node3 (3) and node4 and node5 do not reach each other"
    ]


def test_a_network_in_three_parts() -> None:
    parts = ([1, 2, 3, 4, 5], [6, 7], [8, 9])
    across = [pair for here, there in combinations(parts, 2) for pair in product(here, there)]

    [only] = verdict(mesh(9, bad=across))

    assert only.cause is Cause.CUT
    assert only.members == tuple(f"node{one}" for one in range(1, 10))


def test_what_is_not_known_need_not_be_cut() -> None:
    across = list(product([1, 2, 3], [4, 5]))

    told = verdict(mesh(5, bad=across[1:], untried=across[:1]))

    assert Cause.CUT not in {one.cause for one in told}


def test_one_that_misses_many() -> None:
    assert said(mesh(8, bad=[(2, 3), (2, 4), (2, 5), (2, 6)])) == [
        "node2 does not reach 4 of 7: node3, node4, node5 and node6",
        "nobody else has trouble",
    ]


def test_nobody_reaches_anybody() -> None:
    everything = list(combinations(range(1, 6), 2))

    assert said(mesh(5, bad=everything)) == [
        "nobody reaches anybody over UDP 51820: is it let through?"
    ]


def test_two_that_do_not_reach_each_other() -> None:
    assert said(mesh(2, bad=[(1, 2)])) == ["node1 and node2 do not reach each other"]
    assert said(mesh(2, dead=[2])) == [
        "node2 is reached by nobody and does not answer, and has failed: is it down?"
    ]


def test_all_others_are_silent_to_one() -> None:
    assert said(mesh(5, dead=[2, 3, 4, 5])) == [
        "node1 reaches nobody, and nobody answers it: its own network, most likely",
        "6 of 10 tunnels are not known: node2, node3, node4 and node5 cannot tell",
    ]


def test_of_two_left_neither_is_accused_of_the_dead() -> None:
    told = verdict(mesh(4, dead=[3, 4]))

    assert [one.members for one in told if one.bad] == [("node3",), ("node4",)]


def test_a_firewall_inside_the_mesh_works_one_way() -> None:
    assert said(mesh(4, cells={(2, 1): Reach.SILENT, (3, 1): Reach.SILENT})) == [
        "node1 reaches node2 and node3, but not the other way round: its own firewall?",
        "nobody else has trouble",
    ]


def test_who_is_not_a_peer_of_others() -> None:
    matrix = mesh(4, cells={(1, 4): Reach.NOT_A_PEER, (2, 4): Reach.NOT_A_PEER})

    assert "node4 is not a peer of node1 and node2: `wesher info node4` there says why" in said(
        matrix
    )


def test_what_is_not_known_is_counted_and_accuses_nobody() -> None:
    assert said(mesh(4, untried=[(1, 2)])) == [
        "no trouble: 5 of 6 tunnels",
        "1 of 6 tunnels are not known",
    ]
    assert said(mesh(3, untried=list(combinations((1, 2, 3), 2)))) == [
        "3 of 3 tunnels are not known"
    ]


def test_many_single_pairs_are_told_in_part() -> None:
    pairs = [(one, one + 1) for one in range(1, 40, 2)]

    told = verdict(mesh(40, bad=pairs))

    assert [one.cause for one in told[:8]] == [Cause.PAIR] * 8
    assert told[8].text == "12 more pairs do not reach each other, among 24 members"


@pytest.mark.parametrize("count", [2, 3, 6])
def test_two_lost_ones_are_both_named(count: int) -> None:
    lost = [*pairs_of(1, count + 2), *pairs_of(2, count + 2)]

    told = verdict(mesh(count + 2, bad=lost))

    alone = [one.members for one in told if one.cause is Cause.ALONE]
    assert alone == [("node1",), ("node2",)]


REACHES = some.sampled_from(list(Reach))


@given(
    some.integers(0, 7),
    some.dictionaries(some.tuples(some.integers(1, 7), some.integers(1, 7)), REACHES, max_size=20),
    some.dictionaries(some.integers(1, 7), some.sampled_from(list(Source)), max_size=4),
)
def test_every_bad_pair_is_explained_and_nobody_is_accused_without_one(
    count: int, cells: dict[tuple[int, int], Reach], sources: dict[int, Source]
) -> None:
    others = {one: source for one, source in sources.items() if source is not Source.TOLD}
    matrix = mesh(count, cells=cells, sources=others)
    names = [one.name for one in matrix.members]

    told = verdict(matrix)

    assert told
    named = {member for one in told if one.bad for member in one.members}
    for one, other in combinations(range(count), 2):
        links = {matrix.rows[one][other].link, matrix.rows[other][one].link}
        if Link.SILENT in links and Link.REACHED not in links:
            assert named & {names[one], names[other]}
    for at, name in enumerate(names):
        lines = [*matrix.rows[at], *(row[at] for row in matrix.rows)]
        if all(cell.link in (Link.REACHED, Link.ITSELF, Link.UNKNOWN) for cell in lines):
            whole = {one.cause for one in told} & {Cause.CUT, Cause.NOBODY, Cause.MORE_PAIRS}
            assert name not in named or whole
