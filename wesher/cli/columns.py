"""Tables that fit their screen: columns are left out, and names shortened, before a row wraps."""

from collections.abc import Iterable, Iterator, Sequence

from wesher.base.errors import printable
from wesher.base.frozen import frozen
from wesher.system.terminal import Line, Screen, Span, Style, cells, shortened

_GAP = 2  # columns between two of a table
_USUAL_NAME = 16  # columns: a longer name is shortened rather than a whole column left out
_LEAST = 8  # columns that the first of a table keeps, as long as another can give way


@frozen
class Column:
    """One column of a table; of those with a `rank` the highest is left out first."""

    head: str
    rank: int = 0
    right: bool = False


Cell = str | Span


def table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]], screen: Screen) -> list[Line]:
    """Return a line of heads and one for each row, none longer than the screen is wide.

    The first column holds names, and is the first that is shortened.
    """
    spans = [[_span(cell) for cell in row] for row in rows]
    heads = [Span(one.head, Style.HEAD) for one in columns]
    widths = [max(cells(one.text) for one in column) for column in zip(heads, *spans, strict=True)]
    kept = _kept(columns, widths, screen.columns)
    _shrink(widths, kept, screen.columns)
    return [_row(columns, widths, kept, row) for row in (heads, *spans)]


def _span(cell: Cell) -> Span:
    span = cell if isinstance(cell, Span) else Span(cell)
    return Span(printable(span.text), span.style)


def _kept(columns: Sequence[Column], widths: Sequence[int], limit: int | None) -> list[int]:
    """Return which columns there is room for, with names that are not longer than usual."""
    wanted = [min(widths[0], _USUAL_NAME), *widths[1:]]
    kept = list(range(len(columns)))
    may_go = sorted((one for one in kept if columns[one].rank), key=lambda one: columns[one].rank)
    while limit is not None and may_go and _sum(wanted, kept) > limit:
        kept.remove(may_go.pop())
    return kept


def _shrink(widths: list[int], kept: Sequence[int], limit: int | None) -> None:
    """Make room first at the cost of names, then of whatever is the widest."""
    if limit is None:
        return
    over = _sum(widths, kept) - limit
    if over > 0:
        given = min(over, max(0, widths[0] - _LEAST))
        widths[0] -= given
        over -= given
    while over > 0 and any(widths[one] > 1 for one in kept):
        widths[max(kept, key=lambda one: widths[one])] -= 1
        over -= 1


def _sum(widths: Sequence[int], kept: Sequence[int]) -> int:
    return sum(widths[one] for one in kept) + _GAP * (len(kept) - 1)


def _row(
    columns: Sequence[Column], widths: Sequence[int], kept: Sequence[int], row: Sequence[Span]
) -> Line:
    line = list(_aligned(columns, widths, kept, row))
    while line and not line[-1].text.strip():
        line.pop()
    line[-1] = Span(line[-1].text.rstrip(), line[-1].style)
    return tuple(line)


def _aligned(
    columns: Sequence[Column], widths: Sequence[int], kept: Sequence[int], row: Sequence[Span]
) -> Iterator[Span]:
    for number, one in enumerate(kept):
        text = shortened(row[one].text, widths[one])
        filling = " " * (widths[one] - cells(text))
        gap = " " * _GAP if number else ""
        if columns[one].right:
            yield from (Span(gap + filling), Span(text, row[one].style))
        else:
            yield from (Span(gap), Span(text, row[one].style), Span(filling))
