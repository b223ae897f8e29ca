"""What a MeshNode tells the agent, in the order it happened."""

from collections.abc import Mapping
from enum import Enum

from wesher.base.frozen import EMPTY, frozen
from wesher.mesh.base.seeds import Seed


class Severity(Enum):
    """How much an operator should care; the values are log levels."""

    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    DEBUG = "DEBUG"


@frozen
class Notice:
    """A fact for the log: `text` is a template over `data`."""

    severity: Severity
    text: str
    data: Mapping[str, object] = EMPTY


@frozen
class Resolve:
    """Look up the addresses of a seed's name, then hand them to `MeshNode.resolved`."""

    seed: Seed


@frozen
class PlanChanged:
    """`MeshNode.plan` may differ from what it was."""


@frozen
class SaveKeys:
    """Save the cluster keys, then call `MeshNode.keys_are_saved` with this number."""

    number: int


@frozen
class Refused:
    """This node cannot be part of the cluster; `reason` says why and what to do."""

    reason: str


@frozen
class Departed:
    """Our departure has been announced; the sockets can be closed."""


class MemberEventKind(Enum):
    """What can happen to a member; the values are the words of `wesher monitor`."""

    JOINED = "joined"
    LEFT = "left"
    SUSPECT = "suspect"
    CLEARED = "cleared"
    FAILED = "failed"
    RETURNED = "returned"
    UPDATED = "updated"
    MOVED = "moved"
    FORGOTTEN = "forgotten"


@frozen
class MemberEvent:
    """Something happened to a member; `data` has its addresses, old ones when they changed."""

    what: MemberEventKind
    member: str
    data: Mapping[str, object]


@frozen
class Pinged:
    """A ping that `MeshNode.ping` sent was answered after `seconds`, or never (None).

    `error` says what became of one by TCP that was not.
    """

    ping: int
    seconds: float | None
    error: str = ""


MeshEvent = Notice | Resolve | PlanChanged | SaveKeys | Refused | Departed | MemberEvent | Pinged
