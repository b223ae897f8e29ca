"""What an operator is told: status, events, warnings, counts."""

from wesher.mesh.reporting.member_events import MemberEvents
from wesher.mesh.reporting.mended import View, marked
from wesher.mesh.reporting.network_warnings import DroppedPackets, NetworkWarnings
from wesher.mesh.reporting.status import (
    MemberStatus,
    NodeStats,
    NodeStatus,
    Standing,
    member_statuses,
)

__all__ = [
    "DroppedPackets",
    "MemberEvents",
    "MemberStatus",
    "NetworkWarnings",
    "NodeStats",
    "NodeStatus",
    "Standing",
    "View",
    "marked",
    "member_statuses",
]
