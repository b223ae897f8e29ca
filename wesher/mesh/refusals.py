"""Why a member is no peer, as values."""

from dataclasses import dataclass
from enum import Enum


class RefusalKind(Enum):
    """Which claim of a member we do not act upon."""

    PENDING = "no metadata yet"
    METADATA = "unreadable metadata"
    NAME = "name"
    NETWORK = "another overlay network"
    ADDRESS = "overlay address"
    KEY = "WireGuard key"
    ENDPOINT = "endpoint"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a member is no peer; `reason` is a text for the operator that goes after its name."""

    kind: RefusalKind
    reason: str
