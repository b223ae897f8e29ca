"""Numbers as the doctor says them."""

_STEPS = ((2 * 86400, 86400, "days"), (2 * 3600, 3600, "hours"), (120, 60, "minutes"))


def lasting(seconds: float) -> str:
    """Render a duration roughly: `45 seconds`, `12 minutes`."""
    for least, unit, name in _STEPS:
        if seconds >= least:
            return f"{seconds // unit:.0f} {name}"
    return f"{seconds:.0f} seconds"
