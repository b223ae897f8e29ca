"""Why a member is not a peer, as values."""

from enum import Enum

from wesher.base.frozen import frozen


class RejectionKind(Enum):
    """Which claim of a member we do not act upon."""

    PENDING = "no metadata yet"
    METADATA = "unreadable metadata"
    NAME = "name"
    NETWORK = "another overlay network"
    ADDRESS = "overlay address"
    KEY = "WireGuard key"
    ENDPOINT = "endpoint"


@frozen
class Rejection:
    """Why a member is not a peer; `reason` is a text for the operator that goes after its name."""

    kind: RejectionKind
    reason: str
