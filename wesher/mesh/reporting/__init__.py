"""What an operator is told: status, events, warnings, counts."""

from wesher.mesh.reporting.crowding import Crowding
from wesher.mesh.reporting.dropped_packets import UnknownSource
from wesher.mesh.reporting.member_events import MemberEvents
from wesher.mesh.reporting.mended import View, marked
from wesher.mesh.reporting.network_warnings import NetworkWarnings
from wesher.mesh.reporting.node_stats import NodeStats
from wesher.mesh.reporting.status import MemberStatus, NodeStatus, Standing, member_statuses

__all__ = [
    "Crowding",
    "MemberEvents",
    "MemberStatus",
    "NetworkWarnings",
    "NodeStats",
    "NodeStatus",
    "Standing",
    "UnknownSource",
    "View",
    "marked",
    "member_statuses",
]
