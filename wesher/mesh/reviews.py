"""When the table of members is reviewed, and what follows: a new Plan, and sessions renewed.

A review looks at every member, so a table that changes quickly is reviewed less often the larger it
is. A Plan may also need new sessions with those that forget theirs (planning/renewals.py), which is
a Plan that differs by a number only.
"""

from wesher.base.frozen import replace
from wesher.gossip import Address, Gossip
from wesher.mesh.base.actions import Actions, SetTimer, Timer
from wesher.mesh.base.events import PlanChanged
from wesher.mesh.base.plan import LocalFacts, Plan
from wesher.mesh.coordinator import Coordinator
from wesher.mesh.planning import Overlay, Renewals
from wesher.mesh.reporting import NetworkWarnings

RECONSIDER = 0.5  # seconds; who has answered meanwhile may be a cluster, and no invention
GAP = 0.1  # seconds between two reviews of the table while it changes quickly,
GAP_PER_MEMBER = 0.0001  # and so much more for each member, as a review looks at all


class Reviews:
    """Decides what this host should look like, from the moment that it has an overlay address."""

    def __init__(
        self,
        gossip: Gossip,
        coordinator: Coordinator,
        overlay: Overlay,
        network_warnings: NetworkWarnings,
    ) -> None:
        self._gossip = gossip
        self._coordinator = coordinator
        self._overlay = overlay
        self._network_warnings = network_warnings
        self._renewals = Renewals()
        self._reviewed_at = float("-inf")
        self._members_reviewed = 0
        self._planned: float | None = None
        self._stopped = False

    @property
    def plan(self) -> Plan | None:
        """What this host should look like; None until we have an overlay address."""
        plan, renewal = self._overlay.plan, self._renewals.count
        return replace(plan, renewal=renewal) if plan and renewal else plan

    def stop(self) -> Actions:
        """Leave the Plan as it is from now on."""
        self._stopped = True
        yield SetTimer(Timer.REVIEW, None)
        yield SetTimer(Timer.RENEWAL, None)

    def want(self, now: float) -> Actions:
        """See to it that the table is reviewed: at once, or soon when it has just been."""
        return self._at(max(now, self._reviewed_at + self._gap()))

    def first(self, at: float) -> Actions:
        """Wait with the first review until then, whatever was wanted before."""
        self._planned = None
        return self._at(at)

    def _at(self, at: float) -> Actions:
        if not self._stopped and (self._planned is None or at < self._planned):
            self._planned = at
            yield SetTimer(Timer.REVIEW, at)

    def _gap(self) -> float:
        return GAP + GAP_PER_MEMBER * self._members_reviewed

    def review(self, facts: LocalFacts, here: Address, now: float) -> Actions:
        """Decide anew what this host should look like, and move if our address is another's.

        `here` is where our gossip listens.
        """
        self._reviewed_at, self._planned = now, None
        if self._overlay.address is None or self._stopped:
            return
        gossip, coordinator = self._gossip, self._coordinator
        live, failed = gossip.members.others(), list(coordinator.failed)
        self._members_reviewed = len(live) + len(failed) + len(gossip.members.proofs.unproven)
        reviewed = self._overlay.review(live, failed, facts, now, complete=coordinator.complete)
        yield from reviewed.warnings
        relied_on = self._overlay.relied_on
        if relied_on != gossip.members.proofs.vouched:
            gossip.vouch_for(relied_on)
        yield from self._network_warnings.compare(live, facts, here, relied_on)
        if reviewed.again_at is not None:
            yield from self._at(reviewed.again_at)
        if self._overlay.is_disputed and (unproven := gossip.members.proofs.unproven):
            gossip.prove(unproven, now)
            yield from self._at(now + RECONSIDER)
        if reviewed.renewed:
            gossip.update_meta(self._overlay.metadata(), now)
            self._renewals.expect(now)
        yield from self.expect_renewal(now)
        yield PlanChanged()

    def note(self, event: object, now: float) -> None:
        """Take an event of the gossip that may make others forget their sessions."""
        self._renewals.note(event, now)

    def expect_renewal(self, now: float) -> Actions:
        """Wait for the next renewal, as far as there is somebody to renew for."""
        if self._has_forgetful() and not self._stopped:
            yield SetTimer(Timer.RENEWAL, self._renewals.due(now))

    def renew(self, now: float) -> Actions:
        """Renew the sessions with the forgetful."""
        if self._has_forgetful() and not self._stopped:
            self._renewals.renew(now)
            yield from self.expect_renewal(now)
            yield PlanChanged()

    def _has_forgetful(self) -> bool:
        plan = self._overlay.plan
        return plan is not None and bool(plan.forgetful)
