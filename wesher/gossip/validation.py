"""What we do not take from anybody, however well it is sealed.

See spec/memberlist.md, 4.4 and 10.2.
"""

from wesher.gossip.messages import Alive, Dead, IndirectPing, Ping, Suspect

MAX_NAME = 255  # bytes
MAX_META = 512  # bytes
MAX_INCARNATION = 2**32 - 2
"""The highest incarnation we take or make.

The counter has 32 bits: in Go, refuting 2**32 - 1 wraps to 0 and the name is lost for good. Ours
stops here: who claims 2**32 - 2 in our name still wins, but only until we are reaped, and nothing
wraps. A holder of the key can do worse."""

MAX_LEAP = 2**20
"""How far above what is held a claim may be: a member that refutes ten times a second, for the day
that a failed one is remembered, counts less. Beyond it nobody has counted: it is forged."""
MAX_FIRST = 2**31
"""The highest incarnation at which we make somebody's acquaintance: it has as much room again to
refute what others claim in its name."""
SATURATED = 2**32 - MAX_LEAP
"""From here on a counter is spent: it is neither saved nor believed to be ours at a start."""

_IP_SIZES = (4, 16)  # bytes
_VERSIONS = 6  # bytes
_RANGES = ((0, 1, 2), (3, 4, 5))  # where minimum, maximum, current stand: protocol, delegate


def validate_claim(message: Suspect | Dead) -> str | None:
    """Return why an accusation is to be dropped, None if it is not."""
    if message.incarnation > MAX_INCARNATION:
        return "incarnation too high"
    if not _fits(message.node) or not _fits_or_empty(message.accuser):
        return "name of a wrong length"
    return None


def validate_ping(message: Ping | IndirectPing) -> str | None:
    """Return why a ping is to be dropped, None if it is not; "" stands for any node."""
    if not _fits_or_empty(message.node) or not _fits_or_empty(message.source_node):
        return "name of a wrong length"
    if message.source_addr and len(message.source_addr) not in _IP_SIZES:
        return "not an IP address"
    if isinstance(message, IndirectPing) and len(message.target) not in _IP_SIZES:
        return "not an IP address"
    return None


def validate_alive(message: Alive, local_versions: bytes, *, local: bool) -> str | None:
    """Return why an alive message is to be dropped, None if it is not.

    What is said about ourselves (`local`) may have odd versions: it is to be refuted, since others
    may take it.
    """
    if message.incarnation > MAX_INCARNATION:
        return "incarnation too high"
    if not _fits(message.node):
        return "name of a wrong length"
    if len(message.addr) not in _IP_SIZES:
        return "not an IP address"
    if len(message.meta or b"") > MAX_META:
        return "metadata too long"
    versions = message.versions or b""
    if len(versions) >= 3 and not 0 < versions[0] <= versions[1]:
        return "impossible versions"
    if not local and not _compatible(versions, local_versions):
        return "incompatible versions"
    return None


def leaps(incarnation: int, held: int | None) -> bool:
    """Tell whether a claim is further up than its member can have counted.

    `held` is the incarnation that we know of the member, None for one that we do not know.
    """
    return incarnation > (MAX_FIRST if held is None else held + MAX_LEAP)


def _fits(name: str) -> bool:
    if not 0 < len(name) <= MAX_NAME:
        return False
    return name.isascii() or len(name.encode(errors="surrogateescape")) <= MAX_NAME


def _fits_or_empty(name: str) -> bool:
    return not name or _fits(name)


def _compatible(one: bytes, other: bytes) -> bool:
    """Tell whether two members understand each other.

    Go stores others unchecked, and then every push/pull of the cluster fails.
    """
    if one == other:
        return True
    return len(one) == _VERSIONS and all(
        max(one[low], other[low]) <= current <= min(one[high], other[high])
        for low, high, at in _RANGES
        for current in (one[at], other[at])
    )
