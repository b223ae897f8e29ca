"""MeshNode: one participant of the mesh, without a clock, a socket or a file."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from wesher.errors import ProtocolError
from wesher.gossip import (
    Address,
    AddressConflict,
    DropReason,
    ExchangeFinished,
    Gossip,
    GossipSettings,
    LeaveFinished,
    Member,
    MemberCleared,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    Members,
    MemberUpdated,
    Packet,
    PacketDropped,
    PingFinished,
    Record,
    Refuted,
    StreamRequest,
    TcpOnly,
    UserDataReceived,
    Wire,
    pack_ip,
)
from wesher.gossip.refusal import MAX_INCARNATION
from wesher.mesh import troubles
from wesher.mesh.account import Account
from wesher.mesh.changes import Changes
from wesher.mesh.drops import Drops
from wesher.mesh.events import Departed, MeshEvent, Pinged, PlanChanged, Refused, Resolve
from wesher.mesh.facts import LocalFacts
from wesher.mesh.gone import Gone
from wesher.mesh.inquiries import Inquiries
from wesher.mesh.look import Look
from wesher.mesh.namesakes import Namesakes
from wesher.mesh.notices import Notices
from wesher.mesh.objections import objections
from wesher.mesh.overlay import Overlay
from wesher.mesh.plan import Plan
from wesher.mesh.planning import Announced
from wesher.mesh.rejoin import Seed
from wesher.mesh.remembered import Remembered
from wesher.mesh.search import Search
from wesher.mesh.settings import NodeSettings, Saved, SavedMember
from wesher.mesh.status import NodeStatus, member_statuses
from wesher.mesh.takeover import OldSelf, Takeover, in_need
from wesher.mesh.waking import Waking

ALONE_PATIENCE = 5.0  # seconds until the operator is told that nobody answers
SEEDS_SHOWN = 5
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
        self._saved = saved
        self._facts = facts
        self._addr = pack_ip(settings.ip, mapped=settings.mapped)
        self._wire = wire
        self._gossip = Gossip(
            GossipSettings(settings.name, self._addr, settings.port, settings.timing),
            self._wire,
            rng,
        )
        self._failed = Remembered()
        self._inquiries = Inquiries(self._gossip)
        self._gone = Gone(
            settings.name, settings.forget_after, self._gossip, self._failed, self._inquiries
        )
        self._notices = Notices()
        self._search = Search(
            settings,
            self._addr,
            [member.address for member in saved.members],
            self._gossip,
            self._failed,
            notices=self._notices,
            rng=rng,
        )
        self._waking = Waking(self._gossip, self._inquiries, self._search.seed_addresses)
        self._takeover = Takeover(self._gossip)
        self._namesakes = Namesakes(
            self._gossip,
            self._inquiries,
            self._takeover,
            self._notices,
            reach=self._search.reach,
            everybody=lambda: in_need(self._live(), settings.port),
        )
        self._drops = Drops()
        self._changes = Changes()
        self._asked: set[int] = set()  # pings that our owner waits for
        self._overlay = Overlay(settings, saved.overlay_addr, self._notices)
        self._events: list[MeshEvent] = []
        self._review_at: float | None = None
        self._reviewed_at = float("-inf")
        self._alone_at: float | None = None
        self._live_ips: frozenset[str] = frozenset()
        self._complete = False
        self._departing = False
        self._ran_at = float("-inf")
        self._handlers: dict[type[Any], Callable[[Any, float], None]] = {
            MemberJoined: self._on_joined,
            MemberUpdated: self._on_updated,
            MemberFailed: self._on_failed,
            MemberLeft: self._on_left,
            AddressConflict: self._on_conflict,
            TcpOnly: self._on_tcp_only,
            ExchangeFinished: self._on_exchange,
            PingFinished: self._on_ping,
            PacketDropped: self._on_drop,
            MemberCleared: self._on_cleared,
            Refuted: self._on_refuted,
            UserDataReceived: self._on_user_data,
            LeaveFinished: self._on_leave_finished,
        }

    # Inputs

    def start(self, now: float) -> None:
        """Look for other members, or announce ourselves at once when there is nobody to ask."""
        self._restore(now)
        self._search.start(now)
        if self._search.has_contacts:
            self._alone_at = now + ALONE_PATIENCE
        self._advance(now)

    def _restore(self, now: float) -> None:
        """Hold the members that were known at our last end for failed until they are found."""
        saved, name = self._saved, self._settings.name
        self._gone.restore(saved.tombstones, now)
        self._failed.restore(
            (
                one
                for one in saved.members
                if one.meta and not one.left and one.name != name
                if not self._gone.covers(one.name, one.incarnation)
            ),
            now,
        )

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
        self._failed.shift(seconds)
        self._gone.shift(seconds)
        self._wake_up(0.0, seconds, now)
        self._advance(now)

    def resolved(self, request: Resolve, ips: Iterable[str], now: float) -> None:
        """Take the addresses of a contact's name; none when the look-up failed."""
        if not self._search.resolved(request, ips, now):
            self._notices.warn(request.host, now, troubles.SEED_NAME.text, seed=request.host)
        self._advance(now)

    def update_facts(self, facts: LocalFacts, now: float) -> None:
        """Take what was newly learnt about this host."""
        if facts != self._facts:
            self._facts = facts
            self._changed(now)
            self._advance(now)

    def forget(self, name: str, now: float) -> None:
        """Give up a failed member, here and everywhere.

        Raises ValueError, with a reason for the operator, unless it is one.
        """
        self._gone.forget(name, now)
        self._notices.inform("member {member} was forgotten", member=name)
        self._changed(now)
        self._advance(now)

    def ping(self, address: Address, name: str, now: float, *, stream: bool = False) -> int:
        """Ping the member of this name, by packet or by TCP; `Pinged` brings the number back."""
        number = self._gossip.ping(address, name, now, stream=stream)
        self._asked.add(number)
        return number

    def reconfigure(self, seeds: tuple[Seed, ...], forget_after: float, now: float) -> None:
        """Take what an operator may change while we run."""
        self._settings = replace(self._settings, seeds=seeds, forget_after=forget_after)
        self._search.replace_seeds(seeds)
        self._gone.keep_for(forget_after)
        self._advance(now)

    def leave(self, now: float) -> None:
        """Announce our departure; `Departed` follows within a second."""
        self._departing = True
        self._search.stop()
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
        yield from self._notices.drain()
        yield from self._search.requests()
        yield from self._changes.drain()
        events, self._events = self._events, []
        yield from events

    def next_timer(self) -> float | None:
        """Return when `handle_timer` wants to be called, None for never."""
        deadlines = (
            self._gossip.next_timer(),
            self._search.next_timer(),
            self._gone.next_timer(),
            self._takeover.next_timer(),
            self._waking.next_timer(),
            self._namesakes.next_timer(),
            self._review_at,
            self._alone_at,
            self._failed.next_timer(self._settings.forget_after),
        )
        return min((at for at in deadlines if at is not None), default=None)

    def frame_size(self, head: bytes, *, reply: bool) -> int | None:
        """Return the size of the stream that begins with `head`, see `Wire.frame_size`."""
        return self._wire.frame_size(head, reply=reply)

    @property
    def members(self) -> Members:
        """Everybody that gossip knows, ourselves included."""
        return self._gossip.members

    def plan(self) -> Plan | None:
        """Return what this host should look like; None until we have an overlay address."""
        return self._overlay.plan

    def status(self) -> NodeStatus:
        """Return what we know of ourselves and of everybody else, at this moment."""
        settings, local = self._settings, self._gossip.local
        return NodeStatus(
            name=settings.name,
            address=Address(settings.ip, settings.port),
            overlay_addr=self._overlay.address,
            incarnation=local.incarnation if local else None,
            health=self._gossip.health,
            complete=self._complete,
            seeds=self._search.seeds(),
            members=member_statuses(
                (one for one in self._gossip.members if one.name != settings.name),
                self._failed,
                self._gone.contacts,
                self._overlay.outcome,
                round_trip=self._gossip.round_trip,
                left_at=self._gone.left_at,
            ),
        )

    def account(self, now: float) -> Account:
        """Return what we have counted, and the troubles of the last ten minutes."""
        counts, outcome = self._gossip.counts, self._overlay.outcome
        return Account(
            health=self._gossip.health,
            suspicions=counts.suspicions,
            refutations=counts.refutations,
            received=dict(counts.received),
            sent=dict(counts.sent),
            dropped=dict(self._drops.reasons),
            strangers=self._drops.strangers(now),
            troubles=self._notices.recent(now),
            objections=list(objections(outcome, self._settings.metadata_format)) if outcome else [],
        )

    def saved(self) -> Saved | None:
        """Return what to keep for the next start; None while there is nothing new to keep.

        Once our departure has begun the others leave too, perhaps: what we knew before is kept.
        """
        local, address = self._gossip.local, self._overlay.address
        if self._departing or local is None or not self._complete:
            return None
        members = [
            SavedMember(
                member.name,
                member.address,
                member.meta,
                incarnation=member.incarnation,
                failed_at=self._failed.failed_at(member.name),
            )
            for member in (*self._live(), *self._failed)
        ]
        contacts = self._gone.contacts.values()
        return Saved(address, local.incarnation, (*members, *contacts), tuple(self._gone))

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
        self._notices.warn(
            "",
            now,
            "this host did not run for {seconds} s: asking others what they know",
            seconds=round(seconds),
        )
        self._gossip.sleep(late)
        if not self._departing:
            self._waking.woke(now)

    def _advance(self, now: float) -> None:
        """Follow up on what the last input brought."""
        for event in self._gossip.events():
            self._changes.note(event, self._failed)
            if handler := self._handlers.get(type(event)):
                handler(event, now)
        if look := self._search.advance(now):
            self._enter(look, now)
        self._gone.advance(now)
        self._takeover.advance(now)
        self._waking.advance(now)
        self._namesakes.advance(now)
        if self._namesakes.stronger and not self._departing:
            self._refuse_name(self._namesakes.stronger)
        if self._alone_at is not None and now >= self._alone_at:
            self._warn_if_alone(now)
        if self._failed.expire(now, self._settings.forget_after):
            self._search.forgotten()
            self._changed(now)
        if self._review_at is not None and now >= self._review_at:
            self._review(now)

    def _on_joined(self, event: MemberJoined, now: float) -> None:
        member = event.member
        if member.name in self._failed:
            self._search.returned(now)
        self._gone.returned(member, now)
        self._failed.drop(member.name)
        self._waking.returned(member)
        self._alone_at = None
        self._notices.inform(
            "member {member} joined at {address}", member=member.name, address=member.address
        )
        self._changed(now)

    def _on_updated(self, event: MemberUpdated, now: float) -> None:
        self._notices.trace("member {member} changed", member=event.member.name)
        self._changed(now)

    def _on_failed(self, event: MemberFailed, now: float) -> None:
        if self._gone.covers(event.member.name, event.member.incarnation):
            self._changed(now)
            return
        self._failed.add(event.member, now)
        self._search.failed(event.member)
        self._notices.inform(
            "member {member} failed; its peer stays until it returns or is forgotten",
            member=event.member.name,
        )
        self._changed(now)

    def _on_left(self, event: MemberLeft, now: float) -> None:
        member = event.member
        self._gone.left(member, now)
        self._notices.inform("member {member} left", member=member.name)
        self._changed(now)

    def _on_conflict(self, event: AddressConflict, now: float) -> None:
        self._namesakes.met(event, now)

    def _on_tcp_only(self, event: TcpOnly, now: float) -> None:
        self._notices.warn(
            event.member.name,
            now,
            troubles.UDP_BLOCKED.text,
            member=event.member.name,
            address=event.member.address,
            port=event.member.port,
        )

    def _on_exchange(self, event: ExchangeFinished, now: float) -> None:
        if event.undecryptable:
            self._warn_of_key(event.to, now)
        if event.error is not None:
            self._notices.trace(
                "no exchange with {address}: {error}", address=event.to, error=event.error
            )
        if self._gossip.local is None:  # what comes with a look is ours to take
            self._hear_of_the_gone(event.user_state, event.to, now)
        self._takeover.finished(event, now)
        self._waking.finished(event, now)
        if self._search.finished(event, now) and not self._complete:
            self._complete = True
            self._changed(now)

    def _on_ping(self, event: PingFinished, now: float) -> None:
        self._search.pinged(event)
        if self._inquiries.finished(event, now):
            self._changed(now)
        if event.ping in self._asked:
            self._asked.discard(event.ping)
            self._events.append(Pinged(event.ping, event.seconds))

    def _on_cleared(self, event: MemberCleared, now: float) -> None:
        if now - event.suspected_at > 2 * self._settings.timing.probe_interval:
            self._gone.reappeared(now)
            self._search.returned(now)

    def _on_refuted(self, _event: Refuted, now: float) -> None:
        self._gone.reappeared(now)
        self._search.returned(now)

    def _on_user_data(self, event: UserDataReceived, now: float) -> None:
        self._hear_of_the_gone(event.payload, event.source, now)

    def _hear_of_the_gone(self, payload: bytes, source: Address, now: float) -> None:
        try:
            gone = self._gone.heard(payload, now)
        except ProtocolError as error:
            self._notices.trace(
                "dropped what {address} told: {reason}", address=source, reason=str(error)
            )
            return
        for name in gone:
            self._notices.inform("member {member} is gone: others know that it left", member=name)
            self._changed(now)

    def _on_drop(self, event: PacketDropped, now: float) -> None:
        self._drops.add(event, now)
        self._notices.trace(
            "dropped what {address} sent: {reason} ({detail})",
            address=event.source,
            reason=event.reason.value,
            detail=event.detail,
        )
        if event.reason is DropReason.UNDECRYPTABLE and self._knows(event.source.ip):
            self._warn_of_key(event.source, now)

    def _on_leave_finished(self, _event: LeaveFinished, _now: float) -> None:
        self._events.append(Departed())

    def _warn_of_key(self, source: Address, now: float) -> None:
        self._alone_at = None  # this says more than that nobody answers
        self._notices.warn(
            source.ip,
            now,
            troubles.OTHER_KEY.text,
            address=source.ip,
        )

    def _warn_if_alone(self, now: float) -> None:
        """Say once, a while after the start, that nobody has been found."""
        self._alone_at = None
        if self._departing:
            return
        seeds = ", ".join(str(seed) for seed in self._settings.seeds[:SEEDS_SHOWN])
        self._notices.warn(
            "",
            now,
            troubles.NOBODY.text,
            seeds=seeds or "the addresses in the state file",
        )

    def _knows(self, ip: str) -> bool:
        """Tell whether a seed or a member is at this address, so that an operator cares."""
        return ip in self._search.contacted or ip in self._live_ips

    # Deciding

    def _enter(self, look: Look, now: float) -> None:
        """Choose an overlay address, announce ourselves, and join whoever answered."""
        if look.holder_answered:
            self._refuse_name(look.asked_holder)
            return
        live: list[Announced] = [*look.live, *self._live()]
        failed: list[Announced] = [*look.failed, *self._failed]
        if problem := self._overlay.choose(live, failed, self._facts):
            self._refuse(problem)
            return
        earlier = look.earlier_self
        seen = earlier.incarnation if earlier else 0
        seen = max(seen, self._saved.incarnation, self._gone.own_incarnation)
        elsewhere = look.earlier_self if look.asked_holder else None
        incarnation = min(seen + (2 if elsewhere else 1), MAX_INCARNATION)
        self._gossip.announce(
            self._overlay.metadata(), now, incarnation=incarnation, addr=look.address_form
        )
        self._complete = not self._search.has_contacts
        self._namesakes.entered(now)
        self._search.enter(look, now)
        if elsewhere:
            self._take_over(elsewhere, look, now)
        # Whoever answers in time is in the first Plan already: one reconcile less.
        self._review_at = now + JOIN_PATIENCE if look.answered else now

    def _take_over(self, elsewhere: Record, look: Look, now: float) -> None:
        """Take our name from an earlier self at another address, where nobody answers."""
        self._notices.inform(
            "nobody answers at {address}: taking the name {member} over from there",
            address=look.asked_holder,
            member=elsewhere.name,
        )
        port = self._settings.port
        old = OldSelf(elsewhere.addr, elsewhere.port or port, elsewhere.meta)
        self._takeover.begin(old, in_need(look.live, port), now)

    def _refuse_name(self, holder: Address | None) -> None:
        data = {"member": self._settings.name, "address": holder}
        self._refuse(troubles.TAKEN_NAME.text.format(**data))

    def _refuse(self, reason: str) -> None:
        self._departing = True
        self._search.stop()
        self._events.append(Refused(reason))

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
        live = list(self._live())
        self._live_ips = frozenset(member.address.ip for member in live)
        moved = self._overlay.review(live, self._failed, self._facts, now, complete=self._complete)
        if self._overlay.move_at is not None and self._overlay.move_at > now:
            self._review_at = self._overlay.move_at
        if moved:
            self._gossip.update_meta(self._overlay.metadata(), now)
        self._events.append(PlanChanged())

    def _live(self) -> Iterator[Member]:
        return (
            member
            for member in self._gossip.members
            if member.live and member.name != self._settings.name
        )
