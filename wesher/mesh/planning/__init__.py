"""From members to the Plan: who is a peer, under which address and name."""

from wesher.mesh.planning.carriers import Behind
from wesher.mesh.planning.claims import Conflict
from wesher.mesh.planning.overlay import Overlay, Reviewed
from wesher.mesh.planning.peer_problems import peer_problems
from wesher.mesh.planning.planner import PlanResult
from wesher.mesh.planning.renewals import Renewals

__all__ = ["Behind", "Conflict", "Overlay", "PlanResult", "Renewals", "Reviewed", "peer_problems"]
