"""Text that others made, on a terminal or in a log."""


def printable(text: str) -> str:
    """Return `text` with everything escaped that could forge a line or drive a terminal."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
