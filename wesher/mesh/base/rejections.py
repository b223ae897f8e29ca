"""Why a member is not a peer, as values."""

from dataclasses import dataclass
from enum import Enum


class RejectionKind(Enum):
    """Which claim of a member we do not act upon."""

    PENDING = "no metadata yet"
    METADATA = "unreadable metadata"
    NAME = "name"
    NETWORK = "another overlay network"
    ADDRESS = "overlay address"
    KEY = "WireGuard key"
    ENDPOINT = "endpoint"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a member is not a peer; `reason` is a text for the operator that goes after its name."""

    kind: RejectionKind
    reason: str
