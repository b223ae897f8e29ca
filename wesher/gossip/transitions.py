"""What messages about members do to the table, once `precedence` has said what they are worth.

What becomes of a claim is looked up there by what we hold the member for; here it is carried out:
the table changes, the suspicion starts or ends, everybody else is told by gossip, our owner by an
event. Claims of ours take the same way as anybody's, so that there is one place for each change
(spec/memberlist.md, 4.4 and 4.5).

What is decided here besides: whether a claim from another address is the same member's (`alive`),
in which form an address is passed on, and at which incarnation we refute: above the claim and above
our own, though never above MAX_INCARNATION. A refutation goes to the accuser first of all, and so
does the correction of somebody who has missed the last news of a member (decision 16).

News of joins, departures and deaths are told at once; suspicions and refutations with the next
round: they have time (decision 13).
"""

from wesher.base.frozen import replace
from wesher.gossip.codec import encode
from wesher.gossip.context import Context
from wesher.gossip.events import (
    AddressConflict,
    MemberCleared,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberSuspected,
    MemberUpdated,
    Refuted,
)
from wesher.gossip.members import Member, MemberState
from wesher.gossip.messages import MAX_INCARNATION, MAX_META, Alive, Dead, Suspect, short_form
from wesher.gossip.precedence import Action, Age, Claim, action_on, age_of
from wesher.gossip.suspicion import Suspicions


class Transitions:
    """Carries out what a claim leads to; keeps our incarnation and the suspicions that run.

    Claims are checked before they come here; ours are as true as anybody's.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._settings = context.settings
        self._members = context.members
        self._suspicions = Suspicions(context.timing, context.timers, self._give_up)
        self.leaving = False

    def announce(self, meta: bytes | None, addr: bytes, incarnation: int, now: float) -> None:
        """Become a member, unless we leave; raises ValueError for over 512 bytes of metadata."""
        _check_size(meta)
        if self.leaving:
            return
        self._publish(meta, addr, incarnation, now)

    def update_meta(self, meta: bytes | None, now: float) -> None:
        """Publish other metadata, unless we leave; raises ValueError for more than 512 bytes."""
        _check_size(meta)
        if self.leaving:
            return
        local = self.announced()
        self._publish(meta, local.addr, min(local.incarnation + 1, MAX_INCARNATION), now)

    def move_to(self, addr: bytes, meta: bytes | None, now: float) -> None:
        """Be at another address, unless we leave or have not entered.

        Our incarnation rises by two: who holds the old address must hear of a departure first.
        """
        local = self._members.local
        if local is not None and not self.leaving:
            incarnation = min(local.incarnation + 2, MAX_INCARNATION)
            self._publish(meta or local.meta, addr, incarnation, now, moved=True)

    def leave(self, now: float) -> None:
        """Become a member that has left, for good; nothing is refuted any more.

        See spec/memberlist.md, 4.14.
        """
        self.leaving = True
        local = self._members.local
        if local is not None and local.live:
            message = Dead(local.incarnation, local.name, local.name)
            self._end(local, message, MemberState.LEFT, now)

    def suspected_until(self, name: str) -> float | None:
        """Return when a suspect is given up unless it is heard of; None if it is no suspect."""
        return self._suspicions.deadline(name)

    def announced(self) -> Member:
        """Return our own record."""
        local = self._members.local
        assert local is not None, "announce comes first"
        return local

    def _publish(
        self,
        meta: bytes | None,
        addr: bytes,
        incarnation: int,
        now: float,
        *,
        moved: bool = False,
    ) -> None:
        settings = self._settings
        alive = Alive(incarnation, settings.name, addr, settings.port, meta, self._context.versions)
        self.alive(alive, now, bootstrap=True, moved=moved)

    def is_old(self, name: str, incarnation: int, addr: bytes, port: int) -> bool:
        """Tell whether a claim that a remote member is alive can change nothing.

        So it is with most: news comes many times, and a table is much like the last one.
        """
        member = self._members.get(name)
        return (
            member is not None
            and name != self._settings.name
            and incarnation <= member.incarnation
            and (addr, port) == (member.addr, member.port)
        )

    def alive(
        self, message: Alive, now: float, *, bootstrap: bool = False, moved: bool = False
    ) -> None:
        """Believe a member that says it is alive, if that is news (spec/memberlist.md, 4.4).

        One that is known to have `moved` may appear at another address.
        """
        old = self._members.get(message.node) or self._introduce(message)
        age = age_of(message.incarnation, old.incarnation)
        may_move = moved or old.state is MemberState.LEFT
        if _differ_in_form(message, old) and not (may_move and age is Age.NEWER):
            # Go compares bytes: what is held everywhere must not change its form, except where Go
            # takes the other one as well, when a member comes back.
            message = replace(message, addr=old.addr)
        if (message.addr, message.port) != (old.addr, old.port):
            if not may_move:
                self._context.outbox.emit_bounded(AddressConflict(old, message))
                return
            age = Age.NEWER
        if bootstrap:
            self._believe(message, old, now)
            return
        match self._action(old, Claim.ALIVE, age):
            case Action.BELIEVE:
                self._believe(message, old, now)
            case Action.REFUTE:
                self._refute(message.incarnation, claim=message)
            case Action.REFUTE_IF_DIFFERENT if not self._as_we_say(message, old):
                self._refute(message.incarnation, claim=message)

    def _action(self, member: Member, claim: Claim, age: Age) -> Action:
        return action_on(member, claim, age, ours=member.name == self._settings.name)

    def _introduce(self, message: Alive) -> Member:
        """Add somebody of whom we hear for the first time, as one dead for ever so far."""
        stranger = self._member(message, 0, MemberState.DEAD, float("-inf"))
        self._members.put(stranger)
        return stranger

    def _member(
        self, message: Alive, incarnation: int, state: MemberState, changed_at: float
    ) -> Member:
        assert message.versions is not None, "checked on arrival"
        return Member(
            message.node,
            message.addr,
            message.port,
            message.meta,
            message.versions,
            incarnation,
            state,
            changed_at,
        )

    def _as_we_say(self, message: Alive, local: Member) -> bool:
        same_meta = (message.meta or b"") == (local.meta or b"")
        return same_meta and message.versions == self._context.versions

    def _believe(self, message: Alive, old: Member, now: float) -> None:
        self._suspicions.forget(message.node)
        changed_at = old.state_changed_at if old.state is MemberState.ALIVE else now
        member = self._member(message, message.incarnation, MemberState.ALIVE, changed_at)
        self._members.put(member)
        updated = (old.meta or b"", old.address) != (member.meta or b"", member.address)
        self._context.broadcast(member.name, message, at_once=updated or not old.live)
        if member.name == self._settings.name:
            return
        if old.state is MemberState.SUSPECT:
            self._context.outbox.emit(MemberCleared(member, old.state_changed_at))
        if not old.live:
            self._context.outbox.stats.joins += 1
            self._context.outbox.emit(MemberJoined(member))
        elif updated:
            self._context.outbox.emit(MemberUpdated(member, old))

    def suspect(self, message: Suspect, now: float) -> None:
        """Weigh an accusation (spec/memberlist.md, 4.5)."""
        member = self._members.get(message.node)
        if member is None:
            return
        age = age_of(message.incarnation, member.incarnation)
        match self._action(member, Claim.SUSPECT, age):
            case Action.SUSPECT:
                self._start_suspicion(member, message, now)
            case Action.CONFIRM:
                if self._suspicions.confirm(message.node, message.accuser):
                    self._context.broadcast(message.node, message, at_once=False)
            case Action.REFUTE:
                self._refute(message.incarnation, message.accuser)

    def _start_suspicion(self, member: Member, message: Suspect, now: float) -> None:
        self._context.outbox.stats.suspicions += 1
        # There is time: a suspicion lasts for many rounds.
        self._context.broadcast(member.name, message, at_once=False)
        suspect = self._change(member, MemberState.SUSPECT, message.incarnation, now)
        self._context.outbox.emit(MemberSuspected(suspect))
        self._suspicions.start(member.name, message.accuser, len(self._members), now)

    def _change(self, member: Member, state: MemberState, incarnation: int, now: float) -> Member:
        changed = replace(member, state=state, incarnation=incarnation, state_changed_at=now)
        self._members.put(changed)
        return changed

    def _give_up(self, name: str, now: float) -> None:
        member = self._members.get(name)
        assert member is not None, "suspects are not reaped"
        self.dead(Dead(member.incarnation, name, self._settings.name), now)

    def dead(self, message: Dead, now: float) -> None:
        """Give up a member, or hear that it has left (spec/memberlist.md, 4.5)."""
        member = self._members.get(message.node)
        if member is None:
            return
        claim = Claim.LEAVE if message.accuser == message.node else Claim.DEAD
        age = age_of(message.incarnation, member.incarnation)
        match self._action(member, claim, age):
            case Action.DECLARE_DEAD:
                failed = self._end(member, message, MemberState.DEAD, now)
                self._context.outbox.emit(MemberFailed(failed))
            case Action.DECLARE_LEFT:
                left = self._end(member, message, MemberState.LEFT, now)
                self._context.outbox.emit(MemberLeft(left))
            case Action.REFUTE:
                self._refute(message.incarnation, message.accuser)

    def _end(self, member: Member, message: Dead, state: MemberState, now: float) -> Member:
        self._suspicions.forget(member.name)
        self._context.broadcast(member.name, message)
        return self._change(member, state, message.incarnation, now)

    def evict(self, name: str) -> None:
        """Forget a remote member at once, and what was to be said about it."""
        self._suspicions.forget(name)
        self._context.broadcasts.drop(name)
        self._members.evict(name)

    def correction_of(self, message: Suspect | Dead) -> Alive | Dead | None:
        """Return what the member itself has said since: that it is alive, or that it leaves."""
        member = self._members.get(message.node)
        if member is None or message.accuser in ("", message.node):
            return None
        if isinstance(message, Suspect):
            left = member.state is MemberState.LEFT and message.incarnation <= member.incarnation
            if left:
                return Dead(member.incarnation, member.name, member.name)
            if member.name != self._settings.name:
                return None  # its own refutation is on its way
        refuted = member.state is MemberState.ALIVE and message.incarnation < member.incarnation
        return member.as_alive() if refuted else None

    def _refute(self, claimed: int, accuser: str = "", claim: Alive | None = None) -> None:
        """Answer a claim about ourselves with a higher incarnation, first of all its author."""
        self._context.outbox.stats.refutations += 1
        local = self.announced()
        incarnation = min(max(local.incarnation, claimed) + 1, MAX_INCARNATION)
        local = replace(local, incarnation=incarnation)
        self._members.put(local)
        self._context.awareness.adjust(1)
        refutation = local.as_alive()
        self._context.broadcast(local.name, refutation, at_once=False)
        author = self._members.get(accuser)
        if author is not None and author.name != local.name:
            # It may be too busy to hear us for long again, and its suspicion runs meanwhile.
            self._context.outbox.send_parts([encode(refutation)], author)
        self._context.outbox.emit(Refuted(incarnation, claim))


def _check_size(meta: bytes | None) -> None:
    if meta and len(meta) > MAX_META:
        raise ValueError(f"{len(meta)} bytes of metadata, at most {MAX_META} are allowed")


def _differ_in_form(message: Alive, member: Member) -> bool:
    """Tell whether an address is the same, written otherwise: 4 bytes, or 16 with IPv4 in them."""
    if message.addr == member.addr or message.port != member.port:
        return False
    return short_form(message.addr) == short_form(member.addr)
