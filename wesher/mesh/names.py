"""Which member names may become a line of the hosts file."""

import re

MAX_NAME = 253  # characters, the longest host name DNS allows

_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_RESERVED = re.compile(r"localhost|localhost\..*|.*\.localhost|ip6-.*", re.IGNORECASE)


def is_host_name(text: str) -> bool:
    """Say whether `text` has the form of a host name."""
    return len(text) <= MAX_NAME and _HOST_NAME.fullmatch(text) is not None


def name_problem(name: str) -> str | None:
    """Say what keeps `name` from naming a member, or None when nothing does.

    The text never repeats the name, which may come from a stranger.
    """
    if not name:
        return "a name must not be empty"
    if len(name) > MAX_NAME:
        return f"a name has {MAX_NAME} characters at most"
    if not is_host_name(name):
        return "a name consists of letters, digits, '-', '_' and single dots"
    if _RESERVED.fullmatch(name):
        return "localhost and names with ip6- in front belong to the host itself"
    return None
