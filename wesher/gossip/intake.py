"""What others say about members: checked, and then handed to the transitions.

Claims come by packet, one by one, and by table. Everything is asked here that is not a matter of
precedence (spec/memberlist.md, 4.4, 4.5 and 10.2), from what is cheap to what is not:

1. can it change anything? Most claims are old news;
2. is it well-formed (`validate_alive`, `validate_claim`)?
3. can its member have counted so far (`leaps`)? A forged claim near the end of the counter would
   take a name for good;
4. does our owner's `admission` object to it? Then he is told, and finds out more about it;
5. does our owner hold it back? Then he is told, and lets it through or not;
6. is there room? Who has never answered gives way to a newcomer.

A table's records are claims like any other, except that suspect and dead are only the opinion of
who sent it: they count as an accusation of ours, which the member can refute.
"""

from collections.abc import Collection, Hashable, Mapping
from typing import Protocol

from wesher.base.addresses import Address
from wesher.base.frozen import replace
from wesher.gossip.context import Context, TokenBucket
from wesher.gossip.events import (
    ClaimDenied,
    ClaimHeld,
    ClaimRefused,
    DropReason,
    MemberEvicted,
    TableFull,
    UserDataReceived,
)
from wesher.gossip.members import MAX_AT_ONE_ADDRESS, Member
from wesher.gossip.messages import (
    Alive,
    Dead,
    PushPull,
    Record,
    RecordState,
    Suspect,
    leaps,
    unpack_ip,
    validate_alive,
    validate_claim,
)
from wesher.gossip.probe import Trials
from wesher.gossip.transitions import Transitions

CORRECTIONS_PER_SECOND = 20


class Admission(Protocol):
    """What our owner believes of whom, as a value: the same answer for the same question."""

    def objection(self, claim: Alive, held: Member | None) -> Hashable | None:
        """Return why a claim is not to be believed if we hold this of its name; None if it is."""


class Intake:
    """Takes claims by packet and by table, and sees to it that there is room for newcomers."""

    def __init__(self, context: Context, transitions: Transitions, trials: Trials) -> None:
        self._context = context
        self._members = context.members
        self._outbox = context.outbox
        self._name = context.settings.name
        self._transitions = transitions
        self._trials = trials
        self._corrections = TokenBucket(CORRECTIONS_PER_SECOND)
        self.held_back: Mapping[str, int] = {}
        self.held_strangers: Collection[str] = ()
        self.admission: Admission | None = None

    def on_suspect(self, message: Suspect, source: Address, now: float) -> None:
        """Take an accusation by packet."""
        self._correct(message, source, now)
        self._suspect(message, source, now)

    def on_dead(self, message: Dead, source: Address, now: float) -> None:
        """Take the news of a death or a departure by packet."""
        self._correct(message, source, now)
        self._dead(message, source, now)

    def _correct(self, message: Suspect | Dead, source: Address, now: float) -> None:
        """Tell who has missed some news: nobody else would before a push/pull does."""
        correction = self._transitions.correction_of(message)
        if correction and self._corrections.allow(now):
            self._outbox.send(correction, source, key=self._outbox.asked_with)

    def _suspect(self, message: Suspect, source: Address, now: float) -> None:
        if flaw := validate_claim(message):
            self._outbox.drop(source, DropReason.REFUSED, flaw)
            return
        held = self._members.get(message.node)
        if held is None or self._leaps(message, held, source):
            return
        self._transitions.suspect(message, now)

    def _dead(self, message: Dead, source: Address, now: float) -> None:
        if flaw := validate_claim(message):
            self._outbox.drop(source, DropReason.REFUSED, flaw)
            return
        held = self._members.get(message.node)
        if held is None or self._leaps(message, held, source):
            return
        # Only a leave of v0.1.4 names no accuser.
        self._transitions.dead(replace(message, accuser=message.accuser or message.node), now)

    def on_alive(self, message: Alive, source: Address, now: float) -> None:
        """Take what a member says of itself, passed on by packet."""
        self._alive(message, source, now, news=True)

    def _alive(self, message: Alive, source: Address, now: float, *, news: bool) -> None:
        name = message.node
        ours = name == self._name
        if ours and (self._transitions.leaving or self._members.local is None):
            return
        if self._transitions.is_old(name, message.incarnation, message.addr, message.port):
            return
        if not message.port:
            message = replace(message, port=self._context.settings.port)
        if flaw := validate_alive(message, self._context.versions, local=ours):
            self._outbox.drop(source, DropReason.REFUSED, flaw)
            return
        held = self._members.get(name)
        if self._leaps(message, held, source):
            return
        if (reason := self.objection(message)) is not None:
            self._outbox.emit_bounded(ClaimDenied(message, held, reason, source))
            if not ours:
                self._outbox.drop(source, DropReason.REFUSED, "denied")
                return
        if self._is_held_back(message, held):
            self._outbox.drop(source, DropReason.REFUSED, "held back")
            self._outbox.emit_bounded(ClaimHeld(message))
            return
        if held is None and not self._make_room():
            self._outbox.drop(source, DropReason.LIMIT, "too many members")
            return
        self._transitions.alive(message, now)
        if held is None:
            self._trials.joined(name, news=news)

    def objection(self, claim: Alive) -> Hashable | None:
        """Return what our owner has against a claim by what is held of its name now."""
        held = self._members.get(claim.node)
        return self.admission.objection(claim, held) if self.admission else None

    def _is_held_back(self, message: Alive, member: Member | None) -> bool:
        """Tell whether our owner wants to hear first of a claim that would bring somebody back."""
        if member is None and message.node in self.held_strangers:
            return True
        if message.incarnation > self.held_back.get(message.node, -1):
            return False
        if member is None:
            return True
        address = (member.addr, member.port)
        is_old = address == (message.addr, message.port) and (
            message.incarnation <= member.incarnation
        )
        return not (member.live or is_old)

    def _make_room(self) -> bool:
        """See to it that one more member has a place: who never answered gives way."""
        if len(self._members) < self._context.settings.max_members:
            return True
        self._outbox.emit_bounded(self._fullness())
        member = self._members.to_evict()
        if member is None:
            return False
        self._transitions.evict(member.name)
        self._outbox.emit(MemberEvicted(member))
        return True

    def _fullness(self) -> TableFull:
        return TableFull(len(self._members), len(self._members.proofs.unproven))

    def _leaps(
        self, message: Alive | Suspect | Dead, member: Member | None, source: Address
    ) -> bool:
        """Tell whether a claim is too far above what we hold, and if so tell our owner."""
        held = member.incarnation if member else None
        if not leaps(message.incarnation, held):
            return False
        self._outbox.drop(source, DropReason.REFUSED, "incarnation out of reach")
        self._outbox.emit_bounded(ClaimRefused(message.node, message.incarnation, held, source))
        return True

    def take_table(self, message: PushPull, source: Address, now: float) -> bool:
        """Take over somebody's table; False if who sent it was turned away."""
        for record in message.records:
            self._take_record(record, source, now)
        theirs = [one.name for one in message.records if _is_at(one, source)][:MAX_AT_ONE_ADDRESS]
        for name in theirs:
            self._trials.hurry(name, now)
        if message.user_state:
            self._outbox.emit(UserDataReceived(source, message.user_state))
        full = len(self._members) >= self._context.settings.max_members
        if full:  # once a table, and surely: what is only mentioned is lost in so much news
            self._outbox.emit(self._fullness())
        return not (full and theirs and all(name not in self._members for name in theirs))

    def _take_record(self, record: Record, source: Address, now: float) -> None:
        """Take over what somebody thinks of a member; that it is dead is only an opinion."""
        name, incarnation = record.name, record.incarnation
        match record.state:
            case RecordState.ALIVE:
                if self._transitions.is_old(name, incarnation, record.addr, record.port):
                    return
                alive = Alive(
                    incarnation, name, record.addr, record.port, record.meta, record.versions
                )
                self._alive(alive, source, now, news=False)
            case RecordState.SUSPECT | RecordState.DEAD:
                self._suspect(Suspect(incarnation, name, self._name), source, now)
            case RecordState.LEFT:
                self._dead(Dead(incarnation, name, name), source, now)


def _is_at(record: Record, source: Address) -> bool:
    """Tell whether somebody says to be alive where a stream of theirs comes from, or goes to."""
    if record.state != RecordState.ALIVE or len(record.addr) not in (4, 16):
        return False
    return unpack_ip(record.addr) == source.ip
