"""What the gossip tells its owner: facts, in the order they happened.

Each event is a value and complete: it carries the member as it was then, since by the time it is
read the table may have gone on. Most tell of one transition of one member (see `precedence`); the
others of an end (an exchange, a ping, our leaving), or of something odd that only an owner can
judge: two hosts that claim a name, a claim nobody can have made, a packet with another key.

Whatever strangers can cause at will is emitted with a bound (outbox.MAX_EVENTS).
"""

from collections.abc import Hashable
from enum import Enum

from wesher.base.addresses import Address
from wesher.base.frozen import frozen
from wesher.gossip.members import Member
from wesher.gossip.messages import Alive, Record


@frozen
class MemberJoined:
    """A remote member that was unknown, dead or left is alive."""

    member: Member


@frozen(uncompared=("old",))
class MemberUpdated:
    """A remote member that is alive published other metadata, or is at another address.

    `old` is the member as it was right before.
    """

    member: Member
    old: Member | None = None


@frozen
class MemberSuspected:
    """A remote member that was alive is suspected not to be."""

    member: Member


@frozen
class MemberCleared:
    """A remote member that was suspected since `suspected_at` says that it is alive."""

    member: Member
    suspected_at: float


@frozen
class MemberFailed:
    """A remote member was declared dead by somebody else than itself."""

    member: Member


@frozen
class MemberLeft:
    """A remote member announced its own departure."""

    member: Member


@frozen
class MemberProven:
    """A member that came in a crowd has answered us."""

    member: Member


@frozen
class MemberEvicted:
    """A member that never answered us gave its place to a newcomer."""

    member: Member


@frozen
class TableFull:
    """A newcomer came when `members` were known, as many as we hold.

    It took the place of one of the `unproven`, who have never answered us, or was turned away.
    """

    members: int
    unproven: int


@frozen
class NeverAnswered:
    """So many members of a crowd have been asked several times each, in vain."""

    members: int


@frozen
class AddressConflict:
    """Somebody claims a known member's name (ours included) at another address."""

    member: Member
    claim: Alive


@frozen
class ClaimHeld:
    """Somebody says that a member is alive, and our owner holds such claims back; see `hold_back`.

    Nothing followed from it.
    """

    claim: Alive


@frozen
class ClaimRefused:
    """Somebody claims an incarnation of `name` that it cannot have; nothing followed from it.

    `held` is the one that we know, None if we do not know the member; `source` sent it, and may
    have had it from others.
    """

    name: str
    incarnation: int
    held: int | None
    source: Address


@frozen
class ClaimDenied:
    """Somebody says that a member is alive, and our owner's `admission` forbids to believe it.

    Nothing followed from it, unless it is about ourselves: then it is refuted. `held` is what we
    hold of the name, `reason` what the admission has said; `source` sent the claim, and may have
    had it from others.
    """

    claim: Alive
    held: Member | None
    reason: Hashable
    source: Address


@frozen(uncompared=("claim",))
class Refuted:
    """We answered a wrong claim about ourselves with a higher incarnation.

    `claim` is what somebody announces in our name, None if it was said that we are not there.
    """

    incarnation: int
    claim: Alive | None = None


@frozen
class TcpOnly:
    """A member answers TCP pings but no UDP: a firewall, most likely."""

    member: Member


@frozen
class SeenAt:
    """Who answers our pings at `by` sees them come from `ip`; "" for the address that we say."""

    by: Address
    ip: str


@frozen
class SeenElsewhere:
    """A suspect pings us from another address than the one it announces."""

    member: Member
    ip: str


@frozen
class ExchangeFinished:
    """A push/pull that we opened has ended.

    `exchange` is the number `push_pull` returned (0 for the periodic ones), `purpose` what it was
    given, `error` None after success. `records` is what the other side holds, and `user_state` came
    with it; `own` says that it was ourselves who answered.
    """

    exchange: int
    to: Address
    records: tuple[Record, ...] = ()
    user_state: bytes = b""
    error: str | None = None
    undecryptable: bool = False
    own: bool = False
    purpose: Hashable = None


@frozen
class PingFinished:
    """A ping that the owner asked for was answered after `seconds`, or never (None).

    `error` says what became of one by TCP that was not, `purpose` is what `ping` was given.
    """

    ping: int
    seconds: float | None
    error: str = ""
    purpose: Hashable = None


@frozen
class NotRead:
    """Somebody answered with another key of ours that it could not read our primary one."""

    to: Address


class DropReason(Enum):
    """Why something that arrived was thrown away."""

    UNDECRYPTABLE = "encrypted with another key, or not at all"
    LABEL = "wrong cluster label"
    CHECKSUM = "checksum mismatch"
    MALFORMED = "malformed"
    LIMIT = "over a limit"
    REFUSED = "refused"


@frozen
class PacketDropped:
    """A packet, a stream or a part of one was thrown away; `detail` is for the debug log only."""

    source: Address
    reason: DropReason
    detail: str
    stream: bool = False


@frozen
class UserDataReceived:
    """Application bytes, from a user message or a push/pull's user state."""

    source: Address
    payload: bytes


@frozen
class LeaveFinished:
    """Our departure has been told to whom it could be told; it is time to stop."""


Event = (
    MemberJoined
    | MemberUpdated
    | MemberSuspected
    | MemberCleared
    | MemberFailed
    | MemberLeft
    | MemberProven
    | MemberEvicted
    | TableFull
    | NeverAnswered
    | AddressConflict
    | ClaimHeld
    | ClaimRefused
    | ClaimDenied
    | Refuted
    | TcpOnly
    | SeenAt
    | SeenElsewhere
    | ExchangeFinished
    | PingFinished
    | NotRead
    | PacketDropped
    | UserDataReceived
    | LeaveFinished
)
