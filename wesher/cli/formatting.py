"""Values as a person reads them, and tables of them."""

from collections.abc import Iterator, Sequence

NOTHING = "-"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_STEPS = ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s"))


def duration(seconds: float | None) -> str:
    """Render seconds with their two greatest units: `3m12s`, `2d04h`, `0.4s`."""
    if seconds is None:
        return NOTHING
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for unit, name, lesser, lesser_name in _STEPS:
        if whole >= unit:
            return f"{whole // unit}{name}{whole % unit // lesser:02}{lesser_name}"
    return f"{whole}s"


def size(count: int | None) -> str:
    """Render bytes with three digits: `512B`, `1.21MiB`."""
    if count is None:
        return NOTHING
    amount, unit = float(count), _UNITS[0]
    for unit in _UNITS:
        if amount < 1000 or unit == _UNITS[-1]:
            break
        amount /= 1024
    return f"{amount:.{0 if unit == 'B' or amount >= 100 else 1 if amount >= 10 else 2}f}{unit}"


def milliseconds(seconds: float | None) -> str:
    """Render a round trip: `0.42ms`, `31ms`."""
    if seconds is None:
        return NOTHING
    amount = seconds * 1000
    return f"{amount:.{0 if amount >= 100 else 1 if amount >= 10 else 2}f}ms"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield aligned lines, the heads first; numbers, as the heads say by a leading `>`, right."""
    aligned = [">" if head.startswith(">") else "<" for head in heads]
    lines = [[head.removeprefix(">") for head in heads], *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (
            f"{cell:{side}{width}}" for cell, side, width in zip(line, aligned, widths, strict=True)
        )
        yield "  ".join(cells).rstrip()


def facts(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield a line for each pair, the names in a column of their own."""
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        yield f"{name:<{width}}  {value}"
