"""Members that are alike in a matrix, as one: a mesh of hundreds then fits on a screen.

Two members are twins when they reach the same others and are reached by the same, and each other
as all of their group do. So a row of groups says all that the rows of its members say, but for
times. Where one member reaches nobody there are two groups, whatever the size of the mesh.
"""

from collections.abc import Sequence
from statistics import median

from wesher.base.frozen import frozen
from wesher.survey.matrix import ITSELF, Cell, Link, Matrix

_INSIDE = (Link.REACHED, Link.UNKNOWN, Link.SILENT, Link.NOT_A_PEER)
"""What the members of one group may all be to each other."""


@frozen
class Group:
    """Twins, by their places in the matrix; `inside` is what they are to each other."""

    members: tuple[int, ...]
    inside: Link


def groups_of(matrix: Matrix) -> list[Group]:
    """Return the groups, those with most trouble for each member first, and the largest last."""
    left = list(range(len(matrix.members)))
    groups: list[Group] = []
    for inside in _INSIDE:
        alike: dict[tuple[object, ...], list[int]] = {}
        for one in left:
            alike.setdefault(_signature(matrix, one, inside), []).append(one)
        last = inside is _INSIDE[-1]
        some = [members for members in alike.values() if len(members) > 1 or last]
        groups += [Group(tuple(members), inside) for members in some]
        grouped = {one for members in some for one in members}
        left = [one for one in left if one not in grouped]
    groups.sort(key=lambda group: (_rank(matrix, group), group.members))
    return groups


def each_alone(matrix: Matrix) -> list[Group]:
    """Return a group for each member, in the order of the matrix."""
    return [Group((one,), Link.ITSELF) for one in range(len(matrix.members))]


def _signature(matrix: Matrix, one: int, inside: Link) -> tuple[object, ...]:
    row = [cell.link for cell in matrix.rows[one]]
    column = [cells[one].link for cells in matrix.rows]
    row[one] = column[one] = inside
    return matrix.members[one].source, *row, *column


def _rank(matrix: Matrix, group: Group) -> tuple[int, int]:
    one = group.members[0]
    trouble = sum(matrix.has_trouble(one, other) for other in range(len(matrix.members)))
    return -trouble, len(group.members)


def cell_between(matrix: Matrix, one: Group, other: Group) -> Cell:
    """Return what all of one group say of all of another, with the round trip of the middle."""
    cells = [
        matrix.rows[here][there] for here in one.members for there in other.members if here != there
    ]
    if not cells:
        return ITSELF
    return Cell(cells[0].link, _middle([cell.round_trip for cell in cells]), told=cells[0].told)


def _middle(times: Sequence[float | None]) -> float | None:
    known = [one for one in times if one is not None]
    return median(known) if known else None
