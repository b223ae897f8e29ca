"""Numbers as the doctor says them."""

_STEPS = ((2 * 86400, 86400, "days"), (2 * 3600, 3600, "hours"), (120, 60, "minutes"))


def counted(number: int, what: str) -> str:
    """Render a number of things: `1 member`, `2 members`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def lasting(seconds: float) -> str:
    """Render a duration roughly: `45 seconds`, `12 minutes`."""
    for least, unit, name in _STEPS:
        if seconds >= least:
            return f"{seconds // unit:.0f} {name}"
    return f"{seconds:.0f} seconds"
