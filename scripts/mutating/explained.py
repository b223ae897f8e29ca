"""The page that tells why a mistake that no test notices is harmless."""

from collections.abc import Set

from scripts.mutating.mutants import Mutant


def rows_of(page: str) -> list[str]:
    """Return the rows of its table, each about one mistake, without the head."""
    _, _, table = page.partition("\n|---|")
    return [line for line in table.splitlines()[1:] if line.startswith("| ")]


def beginning(mutant: Mutant) -> str:
    """Return how the row begins that explains a mistake, and others of the same words."""
    return f"| {mutant.path.name} | {mutant.function} | `{mutant.source}` | {mutant.mistake} | "


def is_explained(mutant: Mutant, rows: list[str]) -> bool:
    """Tell whether a row of the page is about this mistake."""
    return any(row.startswith(beginning(mutant)) for row in rows)


def stale(
    rows: list[str], known: Set[Mutant], tried: Set[Mutant], survivors: Set[Mutant]
) -> list[str]:
    """Return the rows about mistakes that can no longer be made, or that a test notices now.

    A row some of whose mistakes were not `tried` has the benefit of the doubt.
    """
    named = {row: {one for one in known if row.startswith(beginning(one))} for row in rows}
    return [row for row, mutants in named.items() if mutants <= tried and not mutants & survivors]
