"""What a MeshNode tells the agent, in the order it happened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Severity(Enum):
    """How much an operator should care; the values are log levels."""

    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    DEBUG = "DEBUG"


@dataclass(frozen=True, slots=True)
class Notice:
    """A fact for the log: `text` is a template over `data`."""

    severity: Severity
    text: str
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resolve:
    """Look up the addresses of `host`, then hand them to `MeshNode.resolved`."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class PlanChanged:
    """`MeshNode.plan` may differ from what it was."""


@dataclass(frozen=True, slots=True)
class Refused:
    """This node cannot be part of the cluster; `reason` says why and what to do."""

    reason: str


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class MemberEvent:
    """Something happened to a member; `data` has its addresses, old ones when they changed."""

    what: MemberEventKind
    member: str
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Pinged:
    """A ping that `MeshNode.ping` sent was answered after `seconds`, or never (None).

    `error` says what became of one by TCP that was not.
    """

    ping: int
    seconds: float | None
    error: str = ""


MeshEvent = Notice | Resolve | PlanChanged | Refused | Departed | MemberEvent | Pinged
