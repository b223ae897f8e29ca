"""What becomes of members that failed, left, changed their names or slept."""

from wesher.mesh.members.earlier_name import EarlierName
from wesher.mesh.members.failed_members import FailedMembers
from wesher.mesh.members.left_members import LeftMembers
from wesher.mesh.members.liveness_checks import LivenessChecks
from wesher.mesh.members.name_conflicts import NameConflicts
from wesher.mesh.members.name_takeover import NameTakeover, PreviousAddress, in_need
from wesher.mesh.members.resumption import Resumption

__all__ = [
    "EarlierName",
    "FailedMembers",
    "LeftMembers",
    "LivenessChecks",
    "NameConflicts",
    "NameTakeover",
    "PreviousAddress",
    "Resumption",
    "in_need",
]
