"""The order of names, as people put them."""

import re

_DIGITS = frozenset("0123456789")


def natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return what puts names in the order of people: node2 before node10."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(int(part), "") if part[:1] in _DIGITS else (0, part) for part in parts], name
