"""Who is a member, who is missing, who is gone: all that follows from the events of a Gossip."""

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from wesher.base.errors import ProtocolError
from wesher.gossip import (
    Address,
    AddressConflict,
    ExchangeFinished,
    Gossip,
    Member,
    MemberCleared,
    MemberEvicted,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberProven,
    MemberUpdated,
    PingFinished,
    Record,
    Refuted,
    UserDataReceived,
)
from wesher.gossip.validation import SATURATED, leaps
from wesher.mesh.base.operator_log import OperatorLog
from wesher.mesh.base.settings import NodeSettings, Saved, SavedMember
from wesher.mesh.discovery import Discovery, Lookup
from wesher.mesh.members import (
    EarlierName,
    FailedMembers,
    LeftMembers,
    LivenessChecks,
    NameConflicts,
    NameTakeover,
    PreviousAddress,
    Resumption,
    in_need,
)

LONG_SUSPECTED = 2.0  # probe intervals; who is cleared after that was cut off, perhaps


class Coordinator:
    """Keeps the failed and the gone, searches for others, and settles whose a name is.

    `changed` is set whenever there is something new for the Plan; its reader takes it back.
    """

    def __init__(
        self,
        settings: NodeSettings,
        saved: Saved,
        gossip: Gossip,
        operator_log: OperatorLog,
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._saved = saved
        self._gossip = gossip
        self._operator_log = operator_log
        self.failed = FailedMembers()
        self._liveness_checks = LivenessChecks(gossip)
        self.left = LeftMembers(
            settings.forget_after, gossip, self.failed, self._liveness_checks, operator_log
        )
        contacts = [member.address for member in saved.members]
        self.discovery = Discovery(
            settings, contacts, gossip, self.failed, operator_log=operator_log, rng=rng
        )
        self._resumption = Resumption(gossip, self._liveness_checks, self.discovery.seed_addresses)
        self._name_takeover = NameTakeover(gossip)
        self._name_conflicts = NameConflicts(
            gossip,
            self._liveness_checks,
            self._name_takeover,
            operator_log,
            reach=self.discovery.reach,
            everybody=lambda: in_need(self.live(), settings.port),
            live=lambda: [member.address for member in self.live()],
        )
        self.earlier_name = EarlierName(saved, settings)
        self.complete = False
        """Whether others have told us all they know, or there is nobody to ask."""
        self.changed = False
        self._crowded = False
        self.forgotten: list[Member] = []
        """Failed members that were given up for good since their reader took them out."""
        self._handlers = self._by_event()

    def _by_event(self) -> dict[type[Any], Callable[[Any, float], None]]:
        return {
            MemberJoined: self._on_joined,
            MemberUpdated: self._on_updated,
            MemberFailed: self._on_failed,
            MemberLeft: self._on_left,
            MemberCleared: self._on_cleared,
            MemberProven: self._on_proven,
            MemberEvicted: self._on_evicted,
            Refuted: self._on_refuted,
            AddressConflict: self._name_conflicts.met,
            ExchangeFinished: self._on_exchange,
            PingFinished: self._on_ping,
            UserDataReceived: self._on_user_data,
        }

    @property
    def stronger(self) -> Address | None:
        """Where another host of our name is, to which this one must give way."""
        return self._name_conflicts.stronger

    def live(self) -> Iterator[Member]:
        """Yield the other members that are alive or only suspected not to be.

        Whoever came in a crowd and has not answered us yet is none of them.
        """
        name, waits = self._settings.name, self._gossip.members.proofs.waits
        return (
            member
            for member in self._gossip.members
            if member.live and member.name != name and not waits(member.name)
        )

    def saved_members(self) -> tuple[SavedMember, ...]:
        """Return everybody as the next start should know them."""
        members = [
            SavedMember(
                member.name,
                member.address,
                member.meta,
                incarnation=member.incarnation,
                failed_at=self.failed.failed_at(member.name),
            )
            for member in (*self.live(), *self.failed)
        ]
        return (*members, *self.left.contacts.values())

    # Inputs

    def start(self, now: float) -> None:
        """Hold who was known at our last end for failed, and begin to look for them."""
        self.left.restore(self._saved.tombstones, now)
        self.failed.restore(filter(self._may_be_a_peer, self._saved.members), now)
        self.discovery.start(now)

    def _may_be_a_peer(self, saved: SavedMember) -> bool:
        if leaps(saved.incarnation, None):
            return False  # forged, and saved before we knew better
        if not saved.meta or saved.left or saved.name == self._settings.name:
            return False
        return not self.left.covers(saved.name, saved.incarnation)

    def incarnation_for(self, look: Lookup) -> int:
        """Return the one to enter with, above all that anybody has seen of us."""
        earlier = look.earlier_self
        seen = (
            earlier.incarnation if earlier else 0,
            self._saved.incarnation,
            self.left.own_incarnation,
        )
        # Above a spent counter there is nothing: who believes in it, as Go does, is lost anyway.
        highest = max((one for one in seen if one < SATURATED), default=0)
        return highest + (2 if look.asked_holder else 1)

    def entered(self, look: Lookup, now: float) -> None:
        """Go on after a look, now that we have been announced: join, and take our name over."""
        self.complete = not self.discovery.has_contacts
        self._name_conflicts.entered(now)
        self.discovery.enter(look, now)
        if self.earlier_name.name:
            self._retire(self.earlier_name, look, now)
        if look.asked_holder and look.earlier_self:
            self._take_over(look.earlier_self, look, now)

    def _retire(self, earlier: EarlierName, look: Lookup, now: float) -> None:
        """Announce that the name we had before is nobody's any more, unless it is somebody's."""
        live = earlier.live(look.live)
        if live is not None and not earlier.is_us(live):
            return
        self._operator_log.inform(
            "this host was {earlier} before: announcing that {earlier} has left",
            earlier=earlier.name,
        )
        self.left.retire(earlier.name, earlier.incarnation, now)
        if live is not None:
            self._gossip.apply_left(earlier.name, live.incarnation, now)

    def move_to(self, addr: bytes, now: float) -> None:
        """Announce ourselves at another address, taking our name over from the one before."""
        old = self._gossip.local
        self._gossip.move_to(addr, now)
        self.discovery.moved_to(addr)
        if old is not None:
            before = PreviousAddress(old.addr, old.port, old.meta)
            self._name_takeover.begin(before, in_need(self.live(), self._settings.port), now)

    def forget(self, name: str, now: float) -> None:
        """Give up a failed member; ValueError says why that cannot be."""
        self.forgotten.append(self.left.forget(name, now))
        self._operator_log.inform("member {member} was forgotten", member=name)
        self.changed = True

    def shift(self, seconds: float) -> None:
        """Count everything as so much longer ago: the clock stood still meanwhile."""
        self.failed.shift(seconds)
        self.left.shift(seconds)

    def resumed(self, now: float) -> None:
        """Look before we tell: we did not run until now."""
        self._resumption.resumed(now)

    def handle(self, event: object, now: float) -> None:
        """Follow up on an event of the gossip."""
        if handler := self._handlers.get(type(event)):
            handler(event, now)

    def advance(self, forget_after: float, now: float) -> Lookup | None:
        """Do what is due; returns a look that is over, for `entered` or for a refusal."""
        look = self.discovery.advance(now)
        self.left.advance(now)
        self._name_takeover.advance(now)
        self._resumption.advance(now)
        self._name_conflicts.advance(now)
        if self._crowded != self._gossip.members.proofs.crowded:
            self._crowded = not self._crowded
            self.changed = True
        if forgotten := self.failed.expire(now, forget_after):
            self.left.forgot(member.name for member in forgotten)
            self.forgotten += forgotten
            self.discovery.forgotten()
            self.changed = True
        return look

    def next_timer(self, forget_after: float) -> float | None:
        """Return when `advance` has something to do, None for never."""
        deadlines = (
            self.discovery.next_timer(),
            self.left.next_timer(),
            self._name_takeover.next_timer(),
            self._resumption.next_timer(),
            self._name_conflicts.next_timer(),
            self.failed.next_timer(forget_after),
        )
        return min((at for at in deadlines if at is not None), default=None)

    # What happens

    def _on_joined(self, event: MemberJoined, now: float) -> None:
        member = event.member
        if member.name in self.failed:
            self.discovery.returned(now)
        self.discovery.joined(member)
        self.left.returned(member, now)
        self.failed.drop(member.name)
        self._resumption.returned(member)
        if self._gossip.members.proofs.waits(member.name):
            return
        self._operator_log.inform(
            "member {member} joined at {address}", member=member.name, address=member.address
        )
        self.changed = True

    def _on_proven(self, event: MemberProven, _now: float) -> None:
        member = event.member
        self._operator_log.inform(
            "member {member} answered, which joined in a crowd, at {address}",
            member=member.name,
            address=member.address,
        )
        self.changed = True

    def _on_evicted(self, _event: MemberEvicted, _now: float) -> None:
        self.changed = True

    def _on_updated(self, event: MemberUpdated, _now: float) -> None:
        self._operator_log.trace("member {member} changed", member=event.member.name)
        self.changed = True

    def _on_failed(self, event: MemberFailed, now: float) -> None:
        self.changed = True
        member = event.member
        if self.left.covers(member.name, member.incarnation):
            return
        if self._gossip.members.proofs.waits(member.name):
            return  # nobody has ever relied on it
        self.failed.add(member, now)
        self.discovery.failed(member)
        self._operator_log.inform(
            "member {member} failed; its peer stays until it returns or is forgotten",
            member=member.name,
        )

    def _on_left(self, event: MemberLeft, now: float) -> None:
        self.left.left(event.member, now)
        self._operator_log.inform("member {member} left", member=event.member.name)
        self.changed = True

    def _on_cleared(self, event: MemberCleared, now: float) -> None:
        if now - event.suspected_at > LONG_SUSPECTED * self._settings.timing.probe_interval:
            self.left.reappeared(now)
            self.discovery.returned(now)

    def _on_refuted(self, _event: Refuted, now: float) -> None:
        self.left.reappeared(now)
        self.discovery.returned(now)

    def _on_exchange(self, event: ExchangeFinished, now: float) -> None:
        if self._gossip.local is None:  # what comes with a look is ours to take
            self._hear_of_the_gone(event.user_state, event.to, now)
        else:
            self._told_gone(self.left.read(event.records, now))
        self._name_takeover.finished(event, now)
        self._resumption.finished(event, now)
        self._name_conflicts.finished(event, now)
        if self.discovery.finished(event, now) and not self.complete:
            self.complete = self.changed = True

    def _on_ping(self, event: PingFinished, now: float) -> None:
        self.discovery.pinged(event, now)
        if self._liveness_checks.finished(event, now):
            self.changed = True

    def _on_user_data(self, event: UserDataReceived, now: float) -> None:
        self._hear_of_the_gone(event.payload, event.source, now)

    def _hear_of_the_gone(self, payload: bytes, source: Address, now: float) -> None:
        try:
            gone = self.left.heard(payload, source, now)
        except ProtocolError as error:
            self._operator_log.trace(
                "dropped what {address} told: {reason}", address=source, reason=str(error)
            )
            return
        self._told_gone(gone)

    def _told_gone(self, members: Iterable[Member]) -> None:
        for member in members:
            self.forgotten.append(member)
            self._operator_log.inform(
                "member {member} is gone: others know that it left", member=member.name
            )
            self.changed = True

    def _take_over(self, elsewhere: Record, look: Lookup, now: float) -> None:
        """Take our name from an earlier self at another address, where nobody answers."""
        self._operator_log.inform(
            "nobody answers at {address}: taking the name {member} over from there",
            address=look.asked_holder,
            member=elsewhere.name,
        )
        port = self._settings.port
        old = PreviousAddress(elsewhere.addr, elsewhere.port or port, elsewhere.meta)
        self._name_takeover.begin(old, in_need(look.live, port), now)
