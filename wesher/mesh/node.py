"""MeshNode: one participant of the mesh, without a clock, a socket or a file."""

import random
from collections.abc import Iterable, Iterator

from wesher.base import problems
from wesher.base.frozen import replace
from wesher.gossip import (
    Address,
    Gossip,
    GossipSettings,
    LeaveFinished,
    Members,
    Packet,
    PingFinished,
    StreamRequest,
    Wire,
    pack_ip,
)
from wesher.gossip.validation import SATURATED
from wesher.mesh.base.events import Departed, MeshEvent, Pinged, PlanChanged, Refused, Resolve
from wesher.mesh.base.local_facts import LocalFacts
from wesher.mesh.base.operator_log import OperatorLog
from wesher.mesh.base.phases import MOVES, Move, Phase
from wesher.mesh.base.plan import Plan
from wesher.mesh.base.seeds import Seed
from wesher.mesh.base.settings import NodeSettings, Saved, Self
from wesher.mesh.coordinator import Coordinator
from wesher.mesh.discovery import Lookup
from wesher.mesh.planning import Overlay, Renewals, peer_problems
from wesher.mesh.reporting import (
    Crowding,
    MemberEvents,
    NetworkWarnings,
    NodeStats,
    NodeStatus,
    View,
    marked,
    member_statuses,
)

LATE = 2.0  # probe intervals; a timer that is later was slept through
JOIN_PATIENCE = 0.25  # seconds that the first Plan waits for those who have answered our look
REVIEW_GAP = 0.1  # seconds between two reviews of the table while it changes quickly,
REVIEW_GAP_PER_MEMBER = 0.0001  # and so much more for each member, as a review looks at all


class MeshNode:
    """A Gossip and every decision that follows from it, yielding Plans.

    Driven like a Gossip: inputs take `now`, outputs are drained after every input. It begins by
    looking: who is there, and which overlay addresses are taken. Only then it announces itself.
    """

    def __init__(
        self,
        settings: NodeSettings,
        saved: Saved,
        facts: LocalFacts,
        wire: Wire,
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._facts = facts
        self._wire = wire
        self._gossip = Gossip(
            GossipSettings(
                settings.name,
                pack_ip(settings.ip, mapped=settings.mapped),
                settings.port,
                settings.timing,
                first_sequence=settings.first_sequence,
                max_members=settings.max_members,
                max_unproven=settings.max_unproven,
            ),
            self._wire,
            rng,
        )
        self._operator_log = OperatorLog()
        self._coordinator = Coordinator(settings, saved, self._gossip, self._operator_log, rng)
        self._overlay = Overlay(settings, saved, self._operator_log)
        self._network_warnings = NetworkWarnings(
            self._operator_log,
            self._coordinator.discovery.contacted,
            settings.public_key,
            self._overlay.relied_on,
        )
        self._overlay.relied_on |= {member.name for member in saved.members if member.meta}
        self._gossip.members.proofs.vouched = self._overlay.relied_on
        self._crowding = Crowding(self._operator_log)
        self._changes = MemberEvents()
        self._renewals = Renewals()
        self._asked: set[int] = set()  # pings that our owner waits for
        self._events: list[MeshEvent] = []
        self._review_at: float | None = None
        self._reviewed_at = float("-inf")
        self._phase = Phase.NEW
        self._ran_at = float("-inf")

    # Inputs

    def start(self, now: float) -> None:
        """Look for other members, or announce ourselves at once when there is nobody to ask."""
        self._go(Move.START)
        self._coordinator.start(now)
        self._network_warnings.start(now, alone=not self._coordinator.discovery.has_contacts)
        self._advance(now)

    def receive_packet(self, data: bytes, source: Address, now: float) -> None:
        """Take one datagram."""
        self._catch_up(now)
        self._gossip.receive_packet(data, source, now)
        self._advance(now)

    def receive_request(self, data: bytes, source: Address, now: float) -> bytes | None:
        """Take one whole stream request; returns the reply, None to just close the stream."""
        self._catch_up(now)
        reply = self._gossip.receive_request(data, source, now)
        self._advance(now)
        return reply

    def receive_reply(self, request_id: int, data: bytes, now: float) -> None:
        """Take the whole reply to a stream request of ours."""
        self._catch_up(now)
        self._gossip.receive_reply(request_id, data, now)
        self._advance(now)

    def stream_failed(self, request_id: int, error: str, now: float) -> None:
        """Hear that a stream request of ours got no reply."""
        self._catch_up(now)
        self._gossip.stream_failed(request_id, error, now)
        self._advance(now)

    def handle_timer(self, now: float) -> None:
        """Do what is due; calling it too early does no harm, and too late is noticed."""
        self._catch_up(now)
        self._gossip.handle_timer(now)
        self._advance(now)

    def slept(self, seconds: float, now: float) -> None:
        """Hear that the host was suspended for so long, while the node's clock stood still."""
        self._coordinator.shift(seconds)
        self._wake_up(0.0, seconds, now)
        self._advance(now)

    def resolved(self, request: Resolve, ips: Iterable[str], now: float) -> None:
        """Take the addresses of a contact's name; none when the look-up failed."""
        if not self._coordinator.discovery.resolved(request, ips, now):
            self._operator_log.warn(request.host, now, problems.SEED_NAME, seed=request.host)
            self._network_warnings.unresolved(request.host)
        self._advance(now)

    def update_facts(self, facts: LocalFacts, now: float) -> None:
        """Take what was newly learnt about this host."""
        if facts != self._facts:
            self._facts = facts
            self._changed(now)
            self._advance(now)

    def move_to(self, ip: str, now: float) -> None:
        """Go on at another underlay address: the one we had is not the right one any more."""
        if self._departing or ip == self._settings.ip:
            return
        self._operator_log.inform(
            "this host's address changed from {old} to {new}", old=self._settings.ip, new=ip
        )
        self._settings = replace(self._settings, ip=ip)
        self._coordinator.move_to(pack_ip(ip, mapped=self._settings.mapped), now)
        self._advance(now)

    def forget(self, name: str, now: float) -> None:
        """Give up a failed member, here and everywhere.

        Raises ValueError, with a reason for the operator, unless it is one.
        """
        self._coordinator.forget(name, now)
        self._advance(now)

    def ping(self, address: Address, name: str, now: float, *, stream: bool = False) -> int:
        """Ping the member of this name, by packet or by TCP; `Pinged` brings the number back."""
        number = self._gossip.ping(address, name, now, stream=stream)
        self._asked.add(number)
        return number

    def reconfigure(self, seeds: tuple[Seed, ...], forget_after: float, now: float) -> None:
        """Take what an operator may change while we run."""
        self._settings = replace(self._settings, seeds=seeds, forget_after=forget_after)
        self._coordinator.discovery.replace_seeds(seeds)
        self._coordinator.left.keep_for(forget_after)
        self._advance(now)

    def leave(self, now: float) -> None:
        """Announce our departure; `Departed` follows within a second."""
        self._depart(Move.LEAVE)
        self._gossip.leave(now)
        self._advance(now)

    # Outputs

    def packets_to_send(self) -> Iterator[Packet]:
        """Give out the packets to send, once."""
        return self._gossip.packets_to_send()

    def streams_to_open(self) -> Iterator[StreamRequest]:
        """Give out the streams to open, once."""
        return self._gossip.streams_to_open()

    def events(self) -> Iterator[MeshEvent]:
        """Give out what happened, once; notices first."""
        yield from self._operator_log.drain()
        yield from self._coordinator.discovery.requests()
        yield from self._changes.drain()
        events, self._events = self._events, []
        yield from events

    def next_timer(self) -> float | None:
        """Return when `handle_timer` wants to be called, None for never."""
        deadlines = (
            self._gossip.next_timer(),
            self._coordinator.next_timer(self._settings.forget_after),
            self._network_warnings.next_timer(),
            self._renewals.next_timer(),
            self._review_at,
        )
        return min((at for at in deadlines if at is not None), default=None)

    def frame_size(self, head: bytes, *, reply: bool) -> int | None:
        """Return the size of the stream that begins with `head`, see `Wire.frame_size`."""
        return self._wire.frame_size(head, reply=reply)

    @property
    def members(self) -> Members:
        """Everybody that gossip knows, ourselves included."""
        return self._gossip.members

    def contacts(self) -> list[str]:
        """Return the addresses of our seeds, or of the other live members when there are none."""
        seeds = self._coordinator.discovery.seed_addresses()
        return [one.ip for one in seeds or (member.address for member in self._coordinator.live())]

    def plan(self) -> Plan | None:
        """Return what this host should look like; None until we have an overlay address."""
        plan, renewal = self._overlay.plan, self._renewals.count
        return replace(plan, renewal=renewal) if plan and renewal else plan

    def status(self) -> NodeStatus:
        """Return what we know of ourselves and of everybody else, at this moment."""
        settings, local = self._settings, self._gossip.local
        waits = self._gossip.members.proofs.waits
        return NodeStatus(
            name=settings.name,
            address=Address(settings.ip, settings.port),
            overlay_addr=self._overlay.address,
            incarnation=local.incarnation if local else None,
            health=self._gossip.health,
            complete=self._coordinator.complete,
            seeds=self._coordinator.discovery.seeds(),
            waiting=sum(member.live and waits(member.name) for member in self._gossip.members),
            members=member_statuses(
                (
                    one
                    for one in self._gossip.members
                    if one.name != settings.name and not waits(one.name)
                ),
                self._coordinator.failed,
                self._coordinator.left.contacts,
                self._overlay.outcome,
                round_trip=self._gossip.round_trip,
                left_at=self._coordinator.left.left_at,
            ),
        )

    def account(self, now: float) -> NodeStats:
        """Return what we have counted, and the troubles of the last ten minutes."""
        stats, view = self._gossip.stats, self._view(now)
        return NodeStats(
            health=self._gossip.health,
            suspicions=stats.suspicions,
            refutations=stats.refutations,
            received=dict(stats.received),
            sent=dict(stats.sent),
            dropped=dict(self._network_warnings.drops.reasons),
            strangers=[marked(one, view) for one in self._network_warnings.drops.strangers(now)],
            problems=[marked(one, view) for one in self._operator_log.recent(now)],
            peer_problems=view.peer_problems,
        )

    def _view(self, now: float) -> View:
        """Return what is so at this moment, as far as it ends troubles."""
        outcome = self._overlay.outcome
        found = peer_problems(outcome, self._settings.metadata_format) if outcome else ()
        return View(
            name=self._settings.name,
            here=self._settings.ip,
            overlay_addr=str(self._overlay.address),
            own_addresses=frozenset(map(str, self._facts.own_addresses)),
            live={member.name: member for member in self._coordinator.live()},
            failed=frozenset(member.name for member in self._coordinator.failed),
            answered_at=self._gossip.answered_at,
            outcome=outcome,
            peer_problems=list(found),
            now=now,
        )

    def saved(self) -> Saved | None:
        """Return what to keep for the next start; None while there is nothing new to keep.

        Once our departure has begun the others leave too, perhaps: what we knew before is kept.
        """
        local, coordinator = self._gossip.local, self._coordinator
        if self._departing or local is None or not coordinator.complete:
            return None
        members, gone = coordinator.saved_members(), tuple(coordinator.left)
        # A spent counter would keep every later start from being heard.
        incarnation = local.incarnation if local.incarnation < SATURATED else 0
        return Saved(
            self._overlay.address,
            incarnation,
            members,
            gone,
            fixed=self._settings.overlay_addr is not None,
            former=self._overlay.former,
            this_host=Self(self._settings.name, self._settings.ip, self._settings.public_key),
        )

    # Following up

    def _catch_up(self, now: float) -> None:
        """Notice, before anything else is done, that this process did not run for long."""
        due, before = self._gossip.next_timer(), self._ran_at
        self._ran_at = now
        if due is None:
            return
        late = now - max(due, before)  # what was overdue when it was planned is not late
        if late > LATE * self._settings.timing.probe_interval:
            self._wake_up(late, late, now)

    def _wake_up(self, late: float, seconds: float, now: float) -> None:
        """Go on after a sleep, with deadlines that are `late`."""
        self._operator_log.warn("", now, problems.SLEPT, seconds=round(seconds))
        self._gossip.resume(late)
        if not self._departing:
            self._coordinator.resumed(now)

    def _advance(self, now: float) -> None:
        """Follow up on what the last input brought."""
        coordinator = self._coordinator
        for event in self._gossip.events():
            self._changes.note(event, coordinator.failed, self._gossip.members.proofs.waits)
            coordinator.handle(event, now)
            self._network_warnings.handle(event, now)
            self._renewals.note(event, now)
            self._crowding.handle(event, now)
            self._handle(event)
        if look := coordinator.advance(self._settings.forget_after, now):
            self._enter(look, now)
        if coordinator.stronger and not self._departing:
            self._refuse_name(coordinator.stronger, self._settings.name)
        self._network_warnings.advance(self._settings.seeds, now)
        while coordinator.forgotten:
            self._changes.forgot(coordinator.forgotten.pop(0))
        if coordinator.changed:
            coordinator.changed = False
            self._changed(now)
        if self._review_at is not None and now >= self._review_at:
            self._review(now)
        if self._renewals.advance(now) and not self._departing:
            self._events.append(PlanChanged())

    def _handle(self, event: object) -> None:
        """Pass on what our owner waits for."""
        match event:
            case PingFinished() if event.ping in self._asked:
                self._asked.discard(event.ping)
                self._events.append(Pinged(event.ping, event.seconds, event.error))
            case LeaveFinished():
                self._events.append(Departed())

    # Deciding

    def _enter(self, look: Lookup, now: float) -> None:
        """Choose an overlay address, announce ourselves, and join whoever answered."""
        if look.holder_answered:
            self._refuse_name(look.asked_holder, look.holder_name)
            return
        coordinator = self._coordinator
        earlier = coordinator.earlier_name
        live = earlier.others([*look.live, *coordinator.live()])
        failed = earlier.others([*look.failed, *coordinator.failed])
        if problem := self._overlay.choose(live, failed, self._facts, now):
            self._refuse(problem)
            return
        self._gossip.announce(
            self._overlay.metadata(),
            now,
            incarnation=coordinator.incarnation_for(look),
            addr=look.address_form,
        )
        self._go(Move.ENTER)
        coordinator.entered(look, now)
        # Whoever answers in time is in the first Plan already: one reconcile less.
        self._review_at = now + JOIN_PATIENCE if look.answered else now

    def _refuse_name(self, holder: Address | None, name: str) -> None:
        data = {"member": name, "address": holder}
        self._refuse(problems.TAKEN_NAME.text.format(**data))

    def _refuse(self, reason: str) -> None:
        self._depart(Move.GIVE_WAY)
        self._events.append(Refused(reason))

    def _depart(self, move: Move) -> None:
        """Seek and mind nobody any more."""
        self._go(move)
        self._coordinator.discovery.stop()
        self._network_warnings.stop()

    def _go(self, move: Move) -> None:
        self._phase = MOVES[self._phase, move]

    @property
    def _departing(self) -> bool:
        return self._phase is Phase.DEPARTING

    def _changed(self, now: float) -> None:
        """See to it that the table is reviewed: at once, or soon when it has just been."""
        gap = REVIEW_GAP + REVIEW_GAP_PER_MEMBER * len(self._gossip.members)
        soon = max(now, self._reviewed_at + gap)
        self._review_at = soon if self._review_at is None else min(soon, self._review_at)

    def _review(self, now: float) -> None:
        """Decide anew what this host should look like, and move if our address is another's."""
        self._review_at, self._reviewed_at = None, now
        if self._overlay.address is None or self._departing:
            return
        coordinator = self._coordinator
        live = list(coordinator.live())
        self._network_warnings.member_ips = frozenset(member.address.ip for member in live)
        here = Address(self._settings.ip, self._settings.port)
        self._network_warnings.compare(live, self._facts, here, now)
        moved = self._overlay.review(
            live, coordinator.failed, self._facts, now, complete=coordinator.complete
        )
        if self._overlay.move_at is not None and self._overlay.move_at > now:
            self._review_at = self._overlay.move_at
        if moved:
            self._gossip.update_meta(self._overlay.metadata(), now)
            self._renewals.expect(now)
        self._renewals.needed = bool(self._overlay.plan and self._overlay.plan.forgetful)
        self._events.append(PlanChanged())
