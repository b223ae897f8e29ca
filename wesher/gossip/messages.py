"""What travels: one frozen value per message, saying what it claims, not how it is encoded.

Names are text decoded from the wire with `surrogateescape`, so that any bytes survive a round
trip. IP addresses are network-order bytes of length 4 or 16, kept exactly as received: memberlist
compares them bytewise (spec/memberlist.md, 1.2 and 4.4). Versions are six bytes (protocol min, max,
current; delegate min, max, current) or None.
"""

from enum import IntEnum

from wesher.base.frozen import frozen


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
