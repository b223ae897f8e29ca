"""Which member names may become a line of the hosts file, and the order of names."""

import re

MAX_NAME = 253  # characters, the longest host name DNS allows
MAX_LABEL = 63  # characters between two dots, by RFC 1035, 2.3.4

_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
# Names that Debian's own hosts file, macOS's, or systemd's nss-myhostname give a meaning.
_RESERVED = re.compile(
    r"localhost[46]?|localhost[46]?\..*|.*\.localhost|ip6-.*|loopback|broadcasthost"
    r"|_gateway|_outbound",
    re.IGNORECASE,
)
# Whatever ends in a number is an address to inet_aton and to browsers: 0x7f.1, 2130706433.
_NUMBER = re.compile("([0-9]+)")
_ADDRESS = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)", re.IGNORECASE)


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
    if max(map(len, name.split("."))) > MAX_LABEL:
        return f"a name has {MAX_LABEL} characters at most between two dots"
    if _RESERVED.fullmatch(name):
        return "localhost, names with ip6- in front and their like belong to the host itself"
    if _ADDRESS.fullmatch(name):
        return "a name that ends in a number reads as an address"
    return None


def natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return what puts names in the order of people: node2 before node10."""
    parts = _NUMBER.split(name.casefold())
    return [(int(part), "") if at % 2 else (0, part) for at, part in enumerate(parts)], name
