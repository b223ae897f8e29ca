"""What a node tells of itself: to operators, to the doctor, and to its next start.

Instants in it are of the driver's clock, which is ahead of the node's by all that the process did
not run.
"""

from collections.abc import Iterator

from wesher.base.timers import NodeClock
from wesher.gossip import Address, Gossip
from wesher.gossip.messages import SATURATED
from wesher.mesh.base.identity import fingerprint
from wesher.mesh.base.operator_log import OperatorLog
from wesher.mesh.base.plan import LocalFacts
from wesher.mesh.base.saved import Saved, SavedKeys, SavedMember, Self, later
from wesher.mesh.base.settings import NodeSettings
from wesher.mesh.coordinator import Coordinator
from wesher.mesh.planning import Behind, Overlay, peer_problems
from wesher.mesh.reporting import (
    DroppedPackets,
    NodeStats,
    NodeStatus,
    View,
    marked,
    member_statuses,
)


class Views:
    """Looks at the parts of a node, and changes nothing."""

    def __init__(
        self,
        gossip: Gossip,
        coordinator: Coordinator,
        overlay: Overlay,
        operator_log: OperatorLog,
        drops: DroppedPackets,
    ) -> None:
        self._gossip = gossip
        self._coordinator = coordinator
        self._overlay = overlay
        self._operator_log = operator_log
        self._drops = drops

    def status(self, settings: NodeSettings, behind: float) -> NodeStatus:
        """Return what is known of the node and of everybody else; `behind` is in seconds."""
        gossip, coordinator, local = self._gossip, self._coordinator, self._gossip.local
        waits, discovery = gossip.members.proofs.waits, coordinator.discovery
        return NodeStatus(
            name=settings.name,
            address=Address(settings.ip, settings.port),
            overlay_addr=self._overlay.address,
            incarnation=local.incarnation if local else None,
            health=gossip.health,
            complete=coordinator.complete,
            seeds=tuple(later(one, "answered_at", behind) for one in discovery.seeds()),
            networks=self._networks(settings.name),
            waiting=sum(member.live and waits(member.name) for member in gossip.members),
            members=member_statuses(
                (
                    one
                    for one in gossip.members
                    if one.name != settings.name and not waits(one.name)
                ),
                coordinator.failed,
                coordinator.left.contacts,
                self._overlay.outcome,
                round_trips=gossip.round_trips,
                left_at={one.name: one.made_at for one in coordinator.left},
                denied={
                    name: later(one, "last_at", behind)
                    for name, one in coordinator.identity_contests.denied.items()
                },
                behind=behind,
            ),
        )

    def _networks(self, name: str) -> tuple[Behind, ...]:
        outcome = self._overlay.outcome
        return outcome.carriers.behind.get(name, ()) if outcome else ()

    def account(
        self, settings: NodeSettings, facts: LocalFacts, clock: NodeClock, now: float
    ) -> NodeStats:
        """Return what was counted, and the troubles of the last ten minutes."""
        now, behind = clock.time(now), clock.behind
        stats, view = self._gossip.stats, self._view(settings, facts, now)
        strangers, met = self._drops.strangers(now), self._operator_log.recent(now)
        return NodeStats(
            health=self._gossip.health,
            suspicions=stats.suspicions,
            refutations=stats.refutations,
            denied_claims=self._coordinator.identity_contests.count,
            received=dict(stats.received),
            sent=dict(stats.sent),
            dropped=dict(self._drops.reasons),
            strangers=[later(marked(one, view), "last_at", behind) for one in strangers],
            problems=[later(marked(one, view), "last_at", behind) for one in met],
            peer_problems=view.peer_problems,
        )

    def _view(self, settings: NodeSettings, facts: LocalFacts, now: float) -> View:
        """Return what is so at this moment, as far as it ends troubles."""
        outcome = self._overlay.outcome
        found = peer_problems(outcome, settings.metadata_format) if outcome else ()
        return View(
            name=settings.name,
            here=settings.ip,
            primary_key=self._gossip.keyring.fingerprints[0],
            overlay_addr=str(self._overlay.address),
            own_addresses=frozenset(map(str, facts.own_addresses)),
            live={member.name: member for member in self._gossip.members.others()},
            failed=frozenset(member.name for member in self._coordinator.failed),
            answered_at=self._gossip.answered_at,
            outcome=outcome,
            peer_problems=list(found),
            now=now,
        )

    def saved(self, settings: NodeSettings, behind: float) -> Saved | None:
        """Return what to keep for the next start; None while there is nothing new to keep."""
        local, coordinator = self._gossip.local, self._coordinator
        if local is None or not coordinator.complete:
            return None
        # A spent counter would keep every later start from being heard.
        incarnation = local.incarnation if local.incarnation < SATURATED else 0
        return Saved(
            self._overlay.address,
            incarnation,
            tuple(self._members_to_save()),
            tuple(coordinator.left),
            fixed=settings.overlay_addr is not None,
            former=self._overlay.former,
            this_host=Self(settings.name, settings.ip, settings.public_key),
            keys=coordinator.keys.saved,
            pins=tuple(coordinator.identity_contests.pins),
        ).shifted(behind)

    def saved_keys(self, behind: float) -> SavedKeys:
        """Return what to keep of the keys, besides themselves, at any time."""
        return self._coordinator.keys.saved.shifted(behind)

    def pinned_to(self, name: str) -> str | None:
        """Return the fingerprint of the identity that a name is pinned to."""
        identity = self._coordinator.identity_contests.pins.identities.get(name)
        return fingerprint(identity) if identity else None

    def _members_to_save(self) -> Iterator[SavedMember]:
        """Yield everybody as the next start should know them."""
        failed, left = self._coordinator.failed, self._coordinator.left
        for member in (*self._gossip.members.others(), *failed.to_save()):
            yield SavedMember(
                member.name,
                member.address,
                member.meta,
                incarnation=member.incarnation,
                failed_at=failed.failed_at(member.name),
            )
        yield from left.contacts.values()
