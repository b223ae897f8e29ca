"""Tables of measurements, as Markdown, and what a number is worth compared with another."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SIZES = (10, 100, 1000, 10000)
QUICK_SIZES = (10, 30)
LOSSES = (0.0, 0.1, 0.25)
_AS_GOOD = 0.2  # the share by which a number may differ and still be as good


@dataclass(frozen=True)
class Table:
    """Rows of cells under their headings."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[object]]

    def markdown(self) -> str:
        """Return it as one can paste it into a page."""
        lines = [self.headings, ["---"] * len(self.headings), *self.rows]
        return f"{self.title}\n\n" + "\n".join(
            f"| {' | '.join(map(text, line))} |" for line in lines
        )


@dataclass(frozen=True)
class Question:
    """One thing to find out: by measuring cases, each of which can run in a process of its own."""

    cases: Callable[[bool], Sequence[Any]]
    """Return the cases; of a quick look, if asked."""
    measure: Callable[[Any], Any]
    tables: Callable[[Mapping[Any, Any]], Sequence[Table]]
    long: Sequence[Any] = ()
    """Cases that take over an hour, and only run when asked for; the tables do without them."""


def verdict(measured: float, reference: float, because: str = "") -> str:
    """Say what `measured` is worth; smaller is better. Raises ValueError for worse, but not why."""
    if measured < reference * (1 - _AS_GOOD):
        return "better"
    if measured <= reference * (1 + _AS_GOOD):
        return "as good"
    if not because:
        raise ValueError(f"{measured} is worse than {reference}, because?")
    return f"worse, because {because}"


def text(cell: object) -> str:
    """Return a cell as people write it."""
    if isinstance(cell, float):
        return f"{cell:,.2f}" if abs(cell) < 100 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def percent(share: float) -> str:
    """Return a share as people write it."""
    return f"{share * 100:.0f} %"
