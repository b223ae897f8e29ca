"""What travels: one frozen value per message, saying what it claims; and what nobody is believed.

Names are text decoded from the wire with `surrogateescape`, so that any bytes survive a round
trip. IP addresses are network-order bytes of length 4 or 16, kept exactly as received: memberlist
compares them bytewise (spec/memberlist.md, 1.2 and 4.4). Versions are six bytes (protocol min, max,
current; delegate min, max, current) or None.

Who has the key can say anything, and some of it would harm us or, passed on, the Go members: they
crash on versions of odd lengths, store names and metadata of any size, and wrap a counter around
(spec/memberlist.md, 10.2 and 10.3). So each message that says something of a member is looked at by
the `validate_` function of its kind before anything else is: that returns what is wrong with it.
What passes may still be old, or a lie; that is for `precedence` and for the checks of `intake`.
"""

import ipaddress
from enum import IntEnum

from wesher.base.addresses import Address
from wesher.base.frozen import frozen
from wesher.base.naming import MAX_NAME

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
_MAPPED = bytes(10) + b"\xff\xff"


class RecordState(IntEnum):
    """State of a member as push/pull records carry it."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2
    LEFT = 3


@frozen
class Ping:
    """Ask `node` to acknowledge `sequence`; an empty `node` means whoever receives it.

    The reply goes to `source_addr`:`source_port` if both are given, else to the datagram's source.
    """

    sequence: int
    node: str
    source_addr: bytes = b""
    source_port: int = 0
    source_node: str = ""


@frozen
class IndirectPing:
    """Ask the receiver to ping `node` at `target`:`port`, and to report silence if `nack`."""

    sequence: int
    target: bytes
    port: int
    node: str
    nack: bool
    source_addr: bytes = b""
    source_port: int = 0
    source_node: str = ""


@frozen
class Ack:
    """Answer to the ping with this sequence number."""

    sequence: int
    payload: bytes | None = None


@frozen
class Nack:
    """A relay's report that the target of our indirect ping has been silent so far."""

    sequence: int


@frozen
class ErrorReply:
    """Text a server answers with when it could not read the request (streams only)."""

    error: str


@frozen
class Suspect:
    """Claim by `accuser` that `node` stopped answering probes."""

    incarnation: int
    node: str
    accuser: str


@frozen
class Dead:
    """Claim by `accuser` that `node` is gone; from itself, or nobody (v0.1.4): it has left."""

    incarnation: int
    node: str
    accuser: str


@frozen
class Alive:
    """Claim that `node` is alive at `addr`:`port` with this metadata."""

    incarnation: int
    node: str
    addr: bytes
    port: int
    meta: bytes | None
    versions: bytes | None

    @property
    def name(self) -> str:
        """The member's name."""
        return self.node

    @property
    def address(self) -> Address:
        """Where its gossip listens, as it says; ValueError for what is no IP address."""
        return Address(unpack_ip(self.addr), self.port)


@frozen
class Record:
    """One member as a push/pull carries it; `state` may be a number that RecordState lacks."""

    name: str
    addr: bytes
    port: int
    meta: bytes | None
    incarnation: int
    state: int
    versions: bytes | None


@frozen
class PushPull:
    """A full table, sent to a member and answered with its own (streams only)."""

    join: bool
    records: tuple[Record, ...]
    user_state: bytes = b""


@frozen
class UserMessage:
    """Bytes of an application on top of memberlist."""

    payload: bytes


Message = (
    Ping | IndirectPing | Ack | Nack | ErrorReply | Suspect | Dead | Alive | PushPull | UserMessage
)


def pack_ip(ip: str, *, mapped: bool = False) -> bytes:
    """Return the network-order bytes of `ip`: 4 or 16, or 16 for IPv4 too when `mapped`.

    A Go node bound to 0.0.0.0 writes the mapped form, one bound to an explicit address the short
    one (spec/memberlist.md, 4.2). Raises ValueError when `ip` is not an address.
    """
    packed = ipaddress.ip_address(ip).packed
    return _MAPPED + packed if mapped and len(packed) == 4 else packed


def unpack_ip(addr: bytes) -> str:
    """Return the text of 4 or 16 bytes, un-mapping IPv4; raises ValueError for any other length."""
    return str(ipaddress.ip_address(short_form(addr)))


def short_form(addr: bytes) -> bytes:
    """Return `addr` with the IPv4-mapped prefix taken off, for comparing what it means."""
    return addr[12:] if len(addr) == 16 and addr.startswith(_MAPPED) else addr


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
