"""What becomes of members that failed, left, changed their names or slept."""

from wesher.mesh.members.failed_members import FailedMembers
from wesher.mesh.members.identity_contests import Denied, IdentityContests
from wesher.mesh.members.left_members import LeftMembers, SaidBack, SaidGone
from wesher.mesh.members.liveness import AfterSleep, LivenessChecks, Resumption
from wesher.mesh.members.name_conflicts import (
    AtClaimedAddress,
    AtOldAddress,
    NameConflicts,
    OfOurName,
)
from wesher.mesh.members.name_takeover import EarlierName, NameTakeover, in_need

__all__ = [
    "AfterSleep",
    "AtClaimedAddress",
    "AtOldAddress",
    "Denied",
    "EarlierName",
    "FailedMembers",
    "IdentityContests",
    "LeftMembers",
    "LivenessChecks",
    "NameConflicts",
    "NameTakeover",
    "OfOurName",
    "Resumption",
    "SaidBack",
    "SaidGone",
    "in_need",
]
