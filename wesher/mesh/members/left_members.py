"""Members that are gone for good, by leaving or by an operator's word, and who says they are back.

Whoever says that such a member is alive again, with a higher incarnation, is believed. With an
equal or lower one it may repeat old news, or tell of a Go peer that has started again: then the
member itself is asked, and it counts only if it answers. So it is with those whom we have forgotten
since: a recording of their last words must not bring them back.
"""

import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping

from wesher.base import problems
from wesher.gossip import (
    Address,
    Alive,
    Gossip,
    Member,
    MemberState,
    Record,
    RecordState,
    unpack_ip,
)
from wesher.gossip.validation import leaps
from wesher.mesh.base.operator_log import OperatorLog
from wesher.mesh.base.settings import SavedMember
from wesher.mesh.base.tombstones import (
    Tombstone,
    Tombstones,
    decode_tombstones,
    encode_tombstones,
)
from wesher.mesh.members.failed_members import FailedMembers
from wesher.mesh.members.liveness_checks import LivenessChecks

MAX_LEFT = 256  # departed members kept as contact addresses, the newest
MAX_FORGOTTEN = 1000  # names of former members that come back only when they answer, the newest
MAX_DOUBTS = 64  # claims to be checked at a time
MAX_RETOLD = 16  # tombstones that are gossiped at once
RETELL_EVERY = 5.0  # seconds, while members return
RETELL_FOR = 16.0  # seconds after the last return
NOTICED_WITHIN = 600.0  # seconds that a failure may take to be noticed
REFRESH = 60.0  # seconds after which the ages that go with our table are told anew


class LeftMembers:
    """Tombstones, where they come from, where they go, and what they decide.

    Failed members that turn out to be gone are dropped from `failed`.
    """

    def __init__(
        self,
        forget_after: float,
        gossip: Gossip,
        failed: FailedMembers,
        liveness_checks: LivenessChecks,
        operator_log: OperatorLog,
    ) -> None:
        self._name = gossip.settings.name
        self._forget_after = forget_after
        self._gossip = gossip
        self._failed = failed
        self._liveness_checks = liveness_checks
        self._operator_log = operator_log
        self._forgotten: OrderedDict[str, None] = OrderedDict()
        self._tombstones = Tombstones()
        self._contacts: OrderedDict[str, SavedMember] = OrderedDict()
        self._doubts: dict[str, Alive] = {}
        self._told_at: float | None = None
        self._retell_since: float | None = None
        self._retell_at = self._retell_until = float("-inf")
        self.own_incarnation = 0
        """The highest with which we are said to be gone ourselves."""
        gossip.accept = self._accepts

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
        self._forget_after = forget_after

    def restore(self, tombstones: Iterable[Tombstone], now: float) -> None:
        """Take over what an earlier start has saved."""
        for one in tombstones:
            if not leaps(one.incarnation, None):
                self._bury(Tombstone(one.name, one.incarnation, min(one.made_at, now)))

    def shift(self, seconds: float) -> None:
        """Count everybody as gone so much earlier: the clock stood still meanwhile."""
        self._tombstones.shift(seconds)
        self._told_at = None

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

    def returned(self, member: Member, now: float) -> None:
        """Take note that a member is there, whatever was said before.

        One that had failed was cut off, perhaps, and with it others that do not know who has left
        since then: gossip tells them before any table does.
        """
        if (failed_at := self._failed.failed_at(member.name)) is not None:
            self._retell_all_since(failed_at, now)
        self._contacts.pop(member.name, None)
        self._forgotten.pop(member.name, None)
        if self._tombstones.get(member.name):
            self._tombstones.void(member.name)
            self._told_at = None

    def reappeared(self, now: float) -> None:
        """Take note that we, or somebody else, had been doubted, as if cut off from the others."""
        self._retell_all_since(now, now)

    def forget(self, name: str, now: float) -> Member:
        """Give up and return a failed member, here and everywhere.

        ValueError says why that cannot be.
        """
        member = self._gossip.members.get(name)
        if name == self._name:
            raise ValueError("this host cannot forget itself: stop wesher here instead")
        if member is not None and member.state is MemberState.ALIVE:
            raise ValueError(
                f"member {name} is alive at {member.address}: stop wesher there instead"
            )
        if member is not None and member.live:
            seconds = max(0.0, (self._gossip.suspected_until(name) or now) - now)
            raise ValueError(
                f"member {name} is not given up yet: try again in {math.ceil(seconds) + 1} seconds"
            )
        failed = self._failed.get(name)
        if failed is None:
            raise ValueError(f"no failed member is named {name}")
        tombstone = Tombstone(name, failed.incarnation, now)
        self._failed.drop(name)
        self._bury(tombstone)
        self._spread([tombstone], now)
        return failed

    def retire(self, name: str, incarnation: int, now: float) -> None:
        """Have everybody hear that a name is nobody's any more; whoever has it may object."""
        tombstone = Tombstone(name, incarnation, now)
        self._failed.drop(name)
        self._bury(tombstone)
        self._spread([tombstone], now)

    def forgot(self, names: Iterable[str]) -> None:
        """Take note of members that nobody remembers any more."""
        for name in names:
            self._forgotten[name] = None
            self._forgotten.move_to_end(name)
        while len(self._forgotten) > MAX_FORGOTTEN:
            self._forgotten.popitem(last=False)

    def heard(self, payload: bytes, source: Address, now: float) -> list[Member]:
        """Take in what somebody told; return the failed members that are gone by it.

        Others are told what is news; of much news only what matters, the rest goes with tables.
        Raises ProtocolError when the payload is damaged.
        """
        failed = {member.name: member for member in self._failed}
        told = [
            one for one in decode_tombstones(payload, now) if not self._forged(one, source, now)
        ]
        news = [one for one in told if self._learn(one, now)]
        gone = [one for one in news if one.name in failed]
        self._spread(news if len(news) <= MAX_RETOLD else gone, now)
        return [failed[one.name] for one in gone]

    def read(self, records: Iterable[Record], now: float) -> list[Member]:
        """Take in a table; return the failed members of which it says that they left.

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
        self._spread((tombstone for _, tombstone in gone), now)
        return [member for member, _ in gone]

    def advance(self, now: float) -> None:
        """Check what is in doubt, and keep what we tell others up to date."""
        if self._retell_since is not None and now >= self._retell_at:
            self._retell(self._retell_since, now)
        doubts, self._doubts = self._doubts, {}
        for claim in doubts.values():
            self._check(claim, now)
        if self._told_at is None or (len(self._tombstones) and now >= self._told_at + REFRESH):
            self._told_at = now
            self.forgot(self._tombstones.expire(now - self._forget_after))
            told = encode_tombstones(self, now) if len(self._tombstones) else b""
            self._gossip.user_state = told

    def next_timer(self) -> float | None:
        """Return when `advance` has something to do, None for never."""
        return None if self._retell_since is None else self._retell_at

    def _retell_all_since(self, failed_at: float, now: float) -> None:
        since = failed_at - NOTICED_WITHIN
        if self._retell_since is None or since < self._retell_since:
            self._retell_since = since
        self._retell_until = now + RETELL_FOR

    def _retell(self, since: float, now: float) -> None:
        """Gossip the newest departures since then, again and again while members return."""
        recent = [one for one in self._tombstones if one.made_at >= since]
        recent.sort(key=lambda one: one.made_at)
        self._spread(recent[-MAX_RETOLD:], now)
        self._retell_at = now + RETELL_EVERY
        if not recent or self._retell_at > self._retell_until:
            self._retell_since = None

    def _bury(self, tombstone: Tombstone) -> None:
        self._tombstones.add(tombstone)
        self._told_at = None

    def _spread(self, tombstones: Iterable[Tombstone], now: float) -> None:
        for one in tombstones:
            # A member's name never begins like this, so that news of the member stay beside it.
            self._gossip.broadcast(f"\0{one.name}", encode_tombstones([one], now), now)

    def _forged(self, tombstone: Tombstone, source: Address, now: float) -> bool:
        """Tell whether a tombstone is of an incarnation that its member cannot have had."""
        name = tombstone.name
        member = self._gossip.members.get(name) or self._failed.get(name)
        held = member.incarnation if member else None
        if not leaps(tombstone.incarnation, held):
            return False
        self._operator_log.warn(
            name,
            now,
            problems.FORGED,
            member=name,
            incarnation=tombstone.incarnation,
            address=source,
        )
        return True

    def _learn(self, tombstone: Tombstone, now: float) -> bool:
        """Take in one that somebody told; False when it is no news, or is not certain yet."""
        name, incarnation = tombstone.name, tombstone.incarnation
        if name == self._name:
            self._refute(incarnation, now)
            return False
        over = tombstone.made_at + self._forget_after <= now
        if over or not self._tombstones.is_news(tombstone):
            return False
        member = self._gossip.members.get(name) or self._failed.get(name)
        if member is not None and incarnation < member.incarnation:
            return False
        if member is not None and member.live:
            self._question(member, tombstone, now)
            return False
        self._failed.drop(name)
        self._bury(tombstone)
        return True

    def _refute(self, incarnation: int, now: float) -> None:
        """Stay, although somebody says we are gone: it does not know that we are back."""
        self.own_incarnation = max(self.own_incarnation, incarnation)
        local = self._gossip.local
        if local is not None and incarnation >= local.incarnation:
            self._gossip.apply_left(self._name, incarnation, now)

    def _question(self, member: Member, tombstone: Tombstone, now: float) -> None:
        """Ask a member that we hold for live whether it is: elsewhere it is gone."""

        def then(answered: bool, now: float) -> None:
            if answered:
                self._tombstones.reject(tombstone)
            else:
                self._failed.drop(member.name)  # it may have failed meanwhile
                self._bury(tombstone)
                self._gossip.apply_left(tombstone.name, tombstone.incarnation, now)

        self._liveness_checks.ask(member.address, member.name, now, then)

    def _accepts(self, claim: Alive) -> bool:
        """Have a word on each claim that a member is alive, before it has any effect."""
        member = self._gossip.members.get(claim.node)
        forgotten = claim.node in self._forgotten and member is None
        if not forgotten and not self.covers(claim.node, claim.incarnation):
            return True
        if member is not None and (member.live or _is_old_news(claim, member)):
            return True
        if len(self._doubts) < MAX_DOUBTS:
            self._doubts[claim.node] = claim
        return False

    def _check(self, claim: Alive, now: float) -> None:
        """Ask who is said to be back whether it is."""

        def then(answered: bool, now: float) -> None:
            if answered:
                self._forgotten.pop(claim.node, None)
                self._tombstones.void(claim.node)
                self._told_at = None
                self._gossip.apply_alive(claim, now, moved=True)

        address = Address(unpack_ip(claim.addr), claim.port)
        self._liveness_checks.ask(address, claim.node, now, then)


def _is_old_news(claim: Alive, member: Member) -> bool:
    """Tell whether the claim has no effect anyway on a member that is not live."""
    same_address = (claim.addr, claim.port) == (member.addr, member.port)
    return same_address and claim.incarnation <= member.incarnation
