"""What a part of the mesh wants done, as values: parts decide, the coordinator acts.

An input of a part is a generator of these. The coordinator does each as it comes, so a part goes on
with the effect of what it wanted before; and nobody keeps notes for others to look at. A request of
gossip carries its `purpose`, which comes back with the outcome and says whose it is.
"""

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from enum import StrEnum

from wesher.base.frozen import frozen
from wesher.base.problems import Problem
from wesher.gossip import Address, Alive, ExchangeFinished, Member, Record
from wesher.mesh.base.events import Notice, PlanChanged, Resolve, SaveKeys, Severity
from wesher.mesh.base.trust import Admission


class Timer(StrEnum):
    """What a node waits for, besides gossip."""

    LOOKUP = "look before we enter"
    JOIN_RETRY = "join retry"
    RECONNECT = "reconnect"
    FORGET = "forget the failed"
    TOMBSTONES = "refresh tombstones"
    RETELL = "retell departures"
    NAME_CONFLICT = "ask our namesake again"
    TAKEOVER = "take our name over"
    RESUMPTION = "check what we slept through"
    CONTEST = "decide who has a name"
    ALONE = "say that nobody answers"
    RENEWAL = "renew sessions"
    REVIEW = "review the plan"
    KEYS = "see who has which cluster key"


@frozen
class SetTimer:
    """Wake the part that this timer is of, at that time and not at an earlier wish; None: never."""

    timer: Timer
    at: float | None


@frozen
class Exchange:
    """Exchange tables with whoever is there; records may go `first`."""

    to: Address
    purpose: Hashable = None
    first: tuple[Record, ...] = ()


@frozen
class ReadTable:
    """Read the table of whoever is there; ours is not shown."""

    to: Address
    purpose: Hashable = None


@frozen
class Ping:
    """Ping the member of this name, "" for whoever is there."""

    to: Address
    name: str
    purpose: Hashable
    stream: bool = False


@frozen
class Reach:
    """Exchange tables with whoever is there, or only look while we look."""

    to: Address


@frozen
class Check:
    """Ask whether the member `name` is at `address`; `Checked` tells what came of it."""

    address: Address
    name: str
    about: Hashable


@frozen
class Checked:
    """Whether somebody `answered`; None if nobody was asked, as too much else is being asked."""

    about: Hashable
    answered: bool | None


@frozen
class ApplyAlive:
    """Let a claim have its effect; the member is known to have moved, if it is elsewhere.

    Even what the admission objects to has it if it is `admitted`.
    """

    claim: Alive
    admitted: bool = False


@frozen
class Admit:
    """Let gossip believe claims as this says."""

    admission: Admission


@frozen
class ApplyLeft:
    """Take for certain that a member has left; if that is us, we refute it."""

    name: str
    incarnation: int


@frozen
class Merge:
    """Take over the table that a look has brought."""

    looked: ExchangeFinished


@frozen
class Broadcast:
    """Gossip these bytes instead of what waits about the same subject."""

    subject: str
    payload: bytes


@frozen
class SendWithTables:
    """Let these bytes of a part go with every table of ours, instead of those before; or none."""

    part: str
    payload: bytes


@frozen(hidden=("keys",))
class HoldKeys:
    """Hold these cluster keys from now on, the primary one first."""

    keys: tuple[bytes, ...]


@frozen(hidden=("keys",))
class KnowKeys:
    """Seal what goes to these addresses with these keys; None for who cannot say what it holds."""

    keys: Mapping[Address, bytes | None]


@frozen
class AnnounceKeys:
    """Tell others that we hold keys with these fingerprints, the primary one's first."""

    fingerprints: tuple[str, ...]


@frozen
class HoldBack:
    """Hold back claims that these members are alive, up to the incarnation of each.

    All claims of the `strangers`, as long as they are no members.
    """

    incarnations: Mapping[str, int]
    strangers: Collection[str]


@frozen
class Hide:
    """Let no table of ours say that these members are alive."""

    names: Iterable[str]


@frozen
class Show:
    """Hide a member no longer."""

    name: str


@frozen
class TakeOver:
    """Take our name over from another address, where nobody of this name is any more."""

    addr: bytes
    port: int
    meta: bytes | None


@frozen
class Complete:
    """Take note that another live member has told us all it knows."""


@frozen
class LookupDone:
    """Enter, or give way, by what the look has found."""


@frozen
class GiveWay:
    """Leave our name to another host, which is there."""

    to: Address


@frozen
class Forget:
    """Say that a failed member is given up for good."""

    member: Member


@frozen
class Warn:
    """Warn the operator of a problem with `subject`, unless that was said lately.

    `always` is for a subject that we relied upon: it is told however many others are.
    """

    problem: Problem
    subject: str
    data: Mapping[str, object]
    always: bool = False
    severity: Severity = Severity.WARNING


@frozen
class ChangePlan:
    """Decide anew what this host should look like."""


ForGossip = (
    Exchange
    | ReadTable
    | Ping
    | ApplyAlive
    | ApplyLeft
    | Broadcast
    | HoldKeys
    | KnowKeys
    | HoldBack
    | Admit
    | Hide
    | Show
)
ForNode = (
    SetTimer
    | LookupDone
    | GiveWay
    | Forget
    | Notice
    | Warn
    | ChangePlan
    | PlanChanged
    | Resolve
    | AnnounceKeys
    | SaveKeys
)
Action = (
    ForGossip | ForNode | SendWithTables | Reach | Check | Checked | Merge | TakeOver | Complete
)
Actions = Iterator[Action]


def inform(text: str, **data: object) -> Notice:
    """Report a change of membership or of ourselves."""
    return Notice(Severity.INFO, text, data)


def trace(text: str, **data: object) -> Notice:
    """Report a detail for the debug log."""
    return Notice(Severity.DEBUG, text, data)
