"""Members that are alike, as one."""

from itertools import combinations, product

import pytest

from tests.testbed.meshes import Pair, mesh, name
from wesher.survey.matrix import Link, Matrix, Source
from wesher.survey.twins import cell_between, each_alone, groups_of


def names(matrix: Matrix) -> list[list[str]]:
    return [[matrix.members[one].name for one in group.members] for group in groups_of(matrix)]


def test_where_all_is_well_there_is_one_group() -> None:
    [group] = groups_of(mesh(5))

    assert (len(group.members), group.inside) == (5, Link.REACHED)


def test_who_reaches_nobody_comes_first_and_leaves_one_group() -> None:
    matrix = mesh(300, bad=[(7, other) for other in range(1, 301) if other != 7])

    assert [len(one) for one in names(matrix)] == [1, 299]
    assert names(matrix)[0] == ["node7"]


def test_a_pair_that_is_cut_is_a_group_that_is_silent_inside() -> None:
    matrix = mesh(6, bad=[(3, 5)])

    first, rest = groups_of(matrix)

    assert names(matrix)[0] == ["node3", "node5"]
    assert first.inside is Link.SILENT
    assert cell_between(matrix, first, first).link is Link.SILENT
    assert cell_between(matrix, first, rest).link is Link.REACHED


def test_who_tells_nothing_is_apart_from_who_tells() -> None:
    matrix = mesh(6, sources={2: Source.GO, 4: Source.GO})

    assert names(matrix)[0] == ["node2", "node4"]


@pytest.mark.parametrize(
    "bad",
    [
        [],
        [(1, 2)],
        [(1, 2), (2, 3), (5, 6)],
        list(product([1, 2, 3], [4, 5, 6, 7])),
        list(combinations(range(1, 8), 2)),
    ],
)
def test_nothing_is_lost(bad: list[Pair]) -> None:
    matrix = mesh(7, bad=bad, sources={7: Source.GO})

    groups = groups_of(matrix)

    assert sorted(one for group in groups for one in group.members) == list(range(7))
    for one, other in product(groups, groups):
        said = cell_between(matrix, one, other).link
        for here, there in product(one.members, other.members):
            assert here == there or matrix.rows[here][there].link is said


def test_the_round_trip_of_a_group_is_that_of_the_middle() -> None:
    matrix = mesh(4)
    [group] = groups_of(matrix)

    assert cell_between(matrix, group, group).round_trip == 0.005
    alone = each_alone(matrix)
    assert cell_between(matrix, alone[0], alone[1]).round_trip == 0.003
    assert cell_between(matrix, alone[0], alone[0]).link is Link.ITSELF
    assert name(1) == "node1"
