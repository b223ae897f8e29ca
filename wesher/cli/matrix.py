"""The matrix of who reaches whom on a terminal: whole where it fits, else twins as one."""

from collections.abc import Iterator, Sequence

from wesher.cli.client import milliseconds
from wesher.cli.columns import Cell as TableCell
from wesher.cli.columns import Column, table
from wesher.doctor.groups import listed
from wesher.survey.matrix import Cell, Link, Matrix
from wesher.survey.twins import Group, cell_between, each_alone, groups_of
from wesher.system.terminal import Line, Screen, Span, Style, cells, wrapped

WHOLE = 30  # members; more rows than that do not fit on most screens
LABEL = 24  # columns that the names of rows may take
HEAD = 10  # columns that a name may take above its column
GAP = 2  # columns between two of a table
CORNER = "FROM \\ TO"

_WORDS = {
    Link.REACHED: ("reached", "+", None),
    Link.VIA: ("via", "v", None),
    Link.SILENT: ("silent", "x", Style.BAD),
    Link.UNKNOWN: ("?", "?", Style.DOUBTFUL),
    Link.NOT_A_PEER: ("no peer", "!", Style.DOUBTFUL),
    Link.ITSELF: ("-", "-", None),
}
"""Of each link a word, a sign where there is no room for one, and how it stands out."""
_MEANING = {
    Link.REACHED: "reached",
    Link.VIA: "reached through another member",
    Link.SILENT: "silent",
    Link.UNKNOWN: "not known",
    Link.NOT_A_PEER: "not a peer there",
}


def matrix_lines(matrix: Matrix, screen: Screen) -> Iterator[Line]:
    """Yield the lines, none longer than the screen is wide."""
    groups = each_alone(matrix)
    if len(groups) > WHOLE or not _fits(matrix, groups, screen, signs=True):
        groups = groups_of(matrix)
    signs = not _fits(matrix, groups, screen, signs=False)
    shown = list(groups)
    while len(shown) > 1 and not _fits(matrix, shown, screen, signs=True):
        shown.pop()
    yield from _table(matrix, shown, screen, signs)
    if len(shown) < len(groups):
        left = groups[len(shown) :]
        count = sum(len(group.members) for group in left)
        text = f"{count} more members, in {len(left)} groups, do not fit: see --html or --json"
        yield from wrapped(text, screen.columns, 0)
    if signs:
        yield from wrapped(", ".join(_legend(matrix, shown)), screen.columns, 0)


def _fits(matrix: Matrix, groups: Sequence[Group], screen: Screen, *, signs: bool) -> bool:
    if screen.columns is None:
        return not signs or len(groups) <= WHOLE
    label = min(LABEL, max((cells(_label(matrix, one)) for one in groups), default=0))
    label = max(label, len(CORNER)) + (len(str(len(groups))) + 1 if signs else 0)
    width = len(str(len(groups))) if signs else _width(matrix, groups)
    return label + len(groups) * (width + GAP) <= screen.columns


def _width(matrix: Matrix, groups: Sequence[Group]) -> int:
    heads = max((cells(_head(matrix, one)) for one in groups), default=0)
    words = max(len(_word(cell_between(matrix, a, b))) for a in groups for b in groups)
    return max(heads, words)


def _table(matrix: Matrix, groups: Sequence[Group], screen: Screen, signs: bool) -> Iterator[Line]:
    heads = [str(at) if signs else _head(matrix, one) for at, one in enumerate(groups, 1)]
    columns = [Column(CORNER), *(Column(head, right=True) for head in heads)]
    rows: list[list[TableCell]] = []
    for at, group in enumerate(groups, 1):
        number = f"{at:>{len(str(len(groups)))}} " if signs else ""
        between = [_shown(cell_between(matrix, group, other), signs) for other in groups]
        rows.append([number + _label(matrix, group), *between])
    yield from table(columns, rows, screen)


def _label(matrix: Matrix, group: Group) -> str:
    names = [matrix.members[one].name for one in group.members]
    return names[0] if len(names) == 1 else f"{len(names)}: {listed(names)}"


def _head(matrix: Matrix, group: Group) -> str:
    name = matrix.members[group.members[0]].name
    if len(group.members) > 1:
        return f"the {len(group.members)}"
    return name if cells(name) <= HEAD else f"{name[: HEAD - 1]}…"


def _shown(cell: Cell, signs: bool) -> TableCell:
    _, sign, style = _WORDS[cell.link]
    text = sign if signs else _word(cell)
    return Span(text, style) if style else text


def _word(cell: Cell) -> str:
    if cell.link is Link.REACHED and cell.round_trip is not None:
        return milliseconds(cell.round_trip)
    return _WORDS[cell.link][0]


def _legend(matrix: Matrix, groups: Sequence[Group]) -> Iterator[str]:
    used = {cell_between(matrix, one, other).link for one in groups for other in groups}
    for link, meaning in _MEANING.items():
        if link in used:
            yield f"{_WORDS[link][1]} {meaning}"
