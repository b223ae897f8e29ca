"""Members that are gone for good, by leaving or by an operator's word, and who says they are back.

Whoever says that such a member is alive again, with a higher incarnation, is believed. With an
equal or lower one it may repeat old news, or tell of a Go peer that has started again: then the
member itself is asked, and it counts only if it answers. So it is with those whom we have forgotten
since: a recording of their last words must not bring them back.
"""

import math
from collections import OrderedDict
from collections.abc import Generator, Iterable, Iterator, Mapping

from wesher.base import problems
from wesher.base.frozen import frozen
from wesher.gossip import (
    Address,
    Alive,
    Member,
    Members,
    MemberState,
    Record,
    RecordState,
    unpack_ip,
)
from wesher.gossip.messages import leaps
from wesher.mesh.base.actions import (
    Action,
    Actions,
    ApplyAlive,
    ApplyLeft,
    Broadcast,
    ChangePlan,
    Check,
    Forget,
    HoldBack,
    SendWithTables,
    SetTimer,
    Timer,
    Warn,
    inform,
)
from wesher.mesh.base.saved import SavedMember, Tombstone
from wesher.mesh.base.tombstones import Tombstones, decode_tombstones, encode_tombstones
from wesher.mesh.members.failed_members import FailedMembers

MAX_LEFT = 256  # departed members kept as contact addresses, the newest
MAX_FORGOTTEN = 1000  # names of former members that come back only when they answer, the newest
MAX_RETOLD = 16  # tombstones that are gossiped at once
RETELL_EVERY = 5.0  # seconds, while members return
RETELL_FOR = 16.0  # seconds after the last return
NOTICED_WITHIN = 600.0  # seconds that a failure may take to be noticed
REFRESH = 60.0  # seconds after which the ages that go with our table are told anew


@frozen
class SaidBack:
    """Whether somebody is back that was gone, as `claim` says, is being asked."""

    claim: Alive


@frozen
class SaidGone:
    """Whether a live member is gone, as `tombstone` says, is being asked."""

    tombstone: Tombstone


class LeftMembers:
    """Tombstones, where they come from, where they go, and what they decide.

    Failed members that turn out to be gone are dropped from `failed`; `table` is gossip's.
    """

    def __init__(
        self, name: str, forget_after: float, table: Members, failed: FailedMembers
    ) -> None:
        self._name = name
        self.forget_after = forget_after
        self._table = table
        self._failed = failed
        self._forgotten: OrderedDict[str, None] = OrderedDict()
        self._tombstones = Tombstones()
        self._contacts: OrderedDict[str, SavedMember] = OrderedDict()
        self._published = False
        self._retell_since: float | None = None
        self._retell_at = self._retell_until = float("-inf")
        self.own_incarnation = 0
        """The highest with which we are said to be gone ourselves."""

    def __iter__(self) -> Iterator[Tombstone]:
        return iter(self._tombstones)

    @property
    def contacts(self) -> Mapping[str, SavedMember]:
        """The newest of those that left, by name, as addresses to try and nothing else."""
        return self._contacts

    def left_at(self, name: str) -> float | None:
        """Return when a member left or was forgotten, None when that is not known."""
        tombstone = self._tombstones.get(name)
        return tombstone.made_at if tombstone else None

    def keep_for(self, forget_after: float) -> None:
        """Keep tombstones so many seconds from now on."""
        self.forget_after = forget_after

    def restore(self, tombstones: Iterable[Tombstone], now: float) -> None:
        """Take over what an earlier start has saved."""
        for one in tombstones:
            if not leaps(one.incarnation, None):
                self._bury(Tombstone(one.name, one.incarnation, min(one.made_at, now)))

    def shift(self, seconds: float) -> None:
        """Count everybody as gone so much earlier: the clock stood still meanwhile."""
        self._tombstones.shift(seconds)
        self._published = False

    def covers(self, name: str, incarnation: int) -> bool:
        """Tell whether a member, last seen with this incarnation, is gone."""
        tombstone = self._tombstones.get(name)
        return tombstone is not None and incarnation <= tombstone.incarnation

    def left(self, member: Member, now: float) -> None:
        """Take note that a member has left."""
        name = member.name
        self._failed.drop(name)
        self._contacts[name] = SavedMember(name, member.address, None, left=True)
        if len(self._contacts) > MAX_LEFT:
            self._contacts.popitem(last=False)
        if not self.covers(name, member.incarnation):
            self._bury(Tombstone(name, member.incarnation, now))

    def returned(self, member: Member, now: float) -> Actions:
        """Take note that a member is there, whatever was said before.

        One that had failed was cut off, perhaps, and with it others that do not know who has left
        since then: gossip tells them before any table does.
        """
        failed_at = self._failed.failed_at(member.name)
        self._contacts.pop(member.name, None)
        self._is_there(member.name)
        if failed_at is not None:
            yield from self._retell_all_since(failed_at, now)

    def reappeared(self, now: float) -> Actions:
        """Take note that we, or somebody else, had been doubted, as if cut off from the others."""
        return self._retell_all_since(now, now)

    def failed_member(self, name: str, suspected_for: float) -> Member:
        """Return a member that an operator may give up; ValueError says why that cannot be.

        It is suspected for so many seconds more, if it is.
        """
        member = self._table.get(name)
        if name == self._name:
            raise ValueError("this host cannot forget itself: stop wesher here instead")
        if member is not None and member.state is MemberState.ALIVE:
            raise ValueError(
                f"member {name} is alive at {member.address}: stop wesher there instead"
            )
        if member is not None and member.live:
            wait = math.ceil(max(0.0, suspected_for)) + 1
            raise ValueError(f"member {name} is not given up yet: try again in {wait} seconds")
        failed = self._failed.get(name)
        if failed is None:
            raise ValueError(f"no failed member is named {name}")
        return failed

    def retire(self, name: str, incarnation: int, now: float) -> Actions:
        """Have everybody hear that a name is nobody's any more; whoever has it may object."""
        tombstone = Tombstone(name, incarnation, now)
        self._failed.drop(name)
        self._bury(tombstone)
        yield from self._spread([tombstone], now)

    def forgot(self, names: Iterable[str]) -> None:
        """Take note of members that nobody remembers any more."""
        for name in names:
            self._published = False
            self._forgotten[name] = None
            self._forgotten.move_to_end(name)
        while len(self._forgotten) > MAX_FORGOTTEN:
            self._forgotten.popitem(last=False)

    def heard(self, payload: bytes, source: Address, now: float) -> Actions:
        """Take in what somebody told, also of failed members that are gone by it.

        Others are told what is news; of much news only what matters, the rest goes with tables.
        Raises ProtocolError, before anything else, when the payload is damaged.
        """
        failed = {member.name: member for member in self._failed}
        news = []
        for one in decode_tombstones(payload, now):
            if self._is_forged(one):
                data = {"member": one.name, "incarnation": one.incarnation, "address": source}
                yield Warn(problems.FORGED, one.name, data)
            elif (yield from self._learn(one, now)):
                news.append(one)
        gone = [one for one in news if one.name in failed]
        yield from self._spread(news if len(news) <= MAX_RETOLD else gone, now)
        yield from _told_gone(failed[one.name] for one in gone)

    def read(self, records: Iterable[Record], now: float) -> Actions:
        """Take in a table that may say of failed members that they left.

        That is how Go members tell it, who have no tombstones.
        """
        gone = [
            (failed, Tombstone(record.name, record.incarnation, now))
            for record in records
            if record.state == RecordState.LEFT
            and (failed := self._failed.get(record.name))
            and failed.incarnation <= record.incarnation
        ]
        for _, tombstone in gone:
            self._failed.drop(tombstone.name)
            self._bury(tombstone)
        yield from self._spread((tombstone for _, tombstone in gone), now)
        yield from _told_gone(member for member, _ in gone)

    def publish(self, now: float) -> Actions:
        """Let our tables tell what is new, and claims wait that contradict it."""
        if self._published:
            return
        self.forgot(self._tombstones.expire(now - self.forget_after))
        self._published = True
        told = encode_tombstones(self, now) if len(self._tombstones) else b""
        yield SendWithTables("tombstones", told)
        held = {one.name: one.incarnation for one in self._tombstones}
        yield HoldBack(held, frozenset(self._forgotten))
        # The ages that go with our tables must not become too old.
        yield SetTimer(Timer.TOMBSTONES, now + REFRESH if len(self._tombstones) else None)

    def refresh(self, now: float) -> Actions:
        """Tell the ages anew."""
        self._published = False
        return self.publish(now)

    def _retell_all_since(self, failed_at: float, now: float) -> Actions:
        since = failed_at - NOTICED_WITHIN
        if self._retell_since is None or since < self._retell_since:
            self._retell_since = since
        self._retell_until = now + RETELL_FOR
        yield SetTimer(Timer.RETELL, max(now, self._retell_at))

    def retell(self, now: float) -> Actions:
        """Gossip the newest departures, again and again while members return."""
        since = self._retell_since
        recent = [one for one in self._tombstones if since is not None and one.made_at >= since]
        recent.sort(key=lambda one: one.made_at)
        yield from self._spread(recent[-MAX_RETOLD:], now)
        self._retell_at = now + RETELL_EVERY
        if not recent or self._retell_at > self._retell_until:
            self._retell_since = None
        else:
            yield SetTimer(Timer.RETELL, self._retell_at)

    def _bury(self, tombstone: Tombstone) -> None:
        self._tombstones.add(tombstone)
        self._published = False

    def _is_there(self, name: str) -> None:
        """Take note that a member is there, whatever was said of it."""
        if name in self._forgotten or self._tombstones.get(name):
            self._published = False
        self._forgotten.pop(name, None)
        self._tombstones.void(name)

    def _spread(self, tombstones: Iterable[Tombstone], now: float) -> Actions:
        for one in tombstones:
            # A member's name never begins like this, so that news of the member stay beside it.
            yield Broadcast(f"\0{one.name}", encode_tombstones([one], now))

    def _held(self, name: str) -> Member | None:
        return self._table.get(name) or self._failed.get(name)

    def _is_forged(self, tombstone: Tombstone) -> bool:
        """Tell whether a tombstone is of an incarnation that its member cannot have had."""
        member = self._held(tombstone.name)
        return leaps(tombstone.incarnation, member.incarnation if member else None)

    def _learn(self, tombstone: Tombstone, now: float) -> Generator[Action, None, bool]:
        """Take in one that somebody told; False when it is no news, or is not certain yet."""
        name, incarnation = tombstone.name, tombstone.incarnation
        if name == self._name:
            yield from self._refute(incarnation)
            return False
        over = tombstone.made_at + self.forget_after <= now
        if over or not self._tombstones.is_news(tombstone):
            return False
        member = self._held(name)
        if member is not None and incarnation < member.incarnation:
            return False
        if member is not None and member.live:
            yield Check(member.address, name, SaidGone(tombstone))
            return False
        self._failed.drop(name)
        self._bury(tombstone)
        return True

    def _refute(self, incarnation: int) -> Actions:
        """Stay, although somebody says we are gone: it does not know that we are back."""
        self.own_incarnation = max(self.own_incarnation, incarnation)
        local = self._table.local
        if local is not None and incarnation >= local.incarnation:
            yield ApplyLeft(self._name, incarnation)

    def claim_held(self, claim: Alive) -> Actions:
        """Ask who is said to be back whether it is."""
        address = Address(unpack_ip(claim.addr), claim.port)
        yield Check(address, claim.node, SaidBack(claim))

    def said_back(self, about: SaidBack, answered: bool, _now: float) -> Actions:
        """Take note of whether somebody is back."""
        if answered:
            self._is_there(about.claim.node)
            yield ApplyAlive(about.claim)

    def said_gone(self, about: SaidGone, answered: bool, _now: float) -> Actions:
        """Take note of whether a member that we hold for live is gone."""
        tombstone = about.tombstone
        if answered:
            self._tombstones.reject(tombstone)
            return
        self._failed.drop(tombstone.name)  # it may have failed meanwhile
        self._bury(tombstone)
        yield ApplyLeft(tombstone.name, tombstone.incarnation)


def _told_gone(members: Iterable[Member]) -> Actions:
    for member in members:
        yield Forget(member)
        yield inform("member {member} is gone: others know that it left", member=member.name)
        yield ChangePlan()
