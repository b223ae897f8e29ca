"""One name at two addresses: a member that moved, or two hosts, of which we may be one.

Who is there is found out by asking at the address that should be abandoned.

Who has a name and is there keeps it. A host that has just come, and finds another of its name,
gives way, but it may have come first: a member of the original asks nobody before it takes a name.
So it asks a few others whom they hold: everybody holds the one he heard of first. If they hold us,
or there is nobody to ask and we have been here for long enough, we stay and warn.
"""

from wesher.base import problems
from wesher.base.frozen import frozen
from wesher.gossip import (
    Address,
    AddressConflict,
    Alive,
    ExchangeFinished,
    Member,
    Members,
    RecordState,
    short_form,
    unpack_ip,
)
from wesher.mesh.base.actions import (
    Actions,
    ApplyAlive,
    ApplyLeft,
    Check,
    GiveWay,
    Reach,
    ReadTable,
    SetTimer,
    TakeOver,
    Timer,
    Warn,
    inform,
)
from wesher.mesh.base.metadata import is_of_ours
from wesher.mesh.base.seniority import TOGETHER

NEWCOMER = 30.0  # seconds after entering, in which we give way to others of our name
STAND_OFF = 10.0  # seconds that a greater newcomer of our name is given to go away
WITNESSES = 3  # members that are asked whom they hold under our name
_LIVE = (RecordState.ALIVE, RecordState.SUSPECT)


@frozen
class AtOldAddress:
    """Whether `member` is where it was, although `claim` says elsewhere, is being asked."""

    member: Member
    claim: Alive


@frozen
class AtClaimedAddress:
    """Whether a member is where an older `claim` says, is being asked."""

    member: Member
    claim: Alive


@frozen
class OfOurName:
    """Whether another host has our name, as `claim` says since `met_at`, is being asked.

    It is asked for the `last` time.
    """

    claim: Alive
    met_at: float
    last: bool


class NameConflicts:
    """Judges the conflicts that gossip reports; `table` is gossip's."""

    def __init__(self, name: str, table: Members) -> None:
        self._name = name
        self._table = table
        self._hearing: _Hearing | None = None
        self._incumbent_of: set[Address] = set()  # whose claims were found to be later than ours
        self._entered_at = float("-inf")
        self._again: Alive | None = None
        self._gave_way = False

    def entered(self, now: float) -> None:
        """Take note that we have just announced ourselves."""
        self._entered_at = now

    # Others

    def met(self, event: AddressConflict) -> Actions:
        """Find out what a claim to another member's name at another address means."""
        member, claim = event.member, event.claim
        if claim.incarnation > member.incarnation:
            yield Check(member.address, member.name, AtOldAddress(member, claim))
        else:  # perhaps what is left of an earlier move
            yield Check(_address(claim), member.name, AtClaimedAddress(member, claim))

    def at_old_address(self, about: AtOldAddress, answered: bool, _now: float) -> Actions:
        """Let a member move when nobody is at its old address any more."""
        member, claim = about.member, about.claim
        known = self._table.get(member.name)
        if known and (known.address != member.address or known.incarnation >= claim.incarnation):
            return  # overtaken by other news: it may have moved back meanwhile
        if answered:
            yield _warn_of_theirs(member, claim)
            return
        yield inform(
            "member {member} moved from {address} to {claimed}",
            member=member.name,
            address=member.address,
            claimed=_address(claim),
        )
        yield ApplyAlive(claim)

    def at_claimed_address(self, about: AtClaimedAddress, answered: bool, _now: float) -> Actions:
        """Warn if a member's name is at two addresses."""
        if answered:
            yield _warn_of_theirs(about.member, about.claim)

    # Ourselves

    def met_ours(self, claim: Alive, now: float) -> Actions:
        """Find out what a claim to our own name at another address means."""
        if now > self._entered_at + NEWCOMER or _address(claim) in self._incumbent_of:
            yield _warn_of_ours(claim)
        elif not (self._again or self._gave_way or self._hearing):
            yield _ask_ours(claim, now, last=False)

    def ask_again(self, now: float) -> Actions:
        """Ask once more for one who should have gone away."""
        claim, self._again = self._again, None
        if claim is not None:
            yield _ask_ours(claim, now - STAND_OFF, last=True)

    def of_our_name(self, about: OfOurName, answered: bool, now: float) -> Actions:
        """Settle who has our name; of two newcomers the smaller address and port stays."""
        claim = about.claim
        if not answered:
            yield from self._take_over(claim)
        elif not (about.last or self._is_greater(claim)):
            self._again = claim
            yield SetTimer(Timer.NAME_CONFLICT, now + STAND_OFF)
            yield Reach(_address(claim))
        elif is_of_ours(claim.meta) and about.met_at <= self._entered_at + TOGETHER:
            yield from self._give_way(claim)  # it had looked, as we had: nobody was first
        else:
            yield from self._hear_witnesses(claim, about.met_at)

    def _give_way(self, claim: Alive) -> Actions:
        self._gave_way = True
        yield GiveWay(_address(claim))

    def _hear_witnesses(self, claim: Alive, met_at: float) -> Actions:
        """Ask a few members whom they hold, before we give way."""
        rival = _address(claim)
        others = [member.address for member in self._table.others()]
        asked = [address for address in others if address != rival][:WITNESSES]
        self._hearing = _Hearing(claim, met_at, len(asked))
        for address in asked:
            yield ReadTable(address, self._hearing)
        yield from self._decide(self._hearing)

    def exchanged(self, event: ExchangeFinished) -> Actions:
        """Take what a witness says."""
        hearing = self._hearing
        if hearing is None or event.purpose is not hearing:
            return
        hearing.waiting -= 1
        ours = self._table.local
        assert ours is not None, "nobody conflicts with us before we are announced"
        for record in event.records:
            if record.name == self._name and record.state in _LIVE:
                held = (short_form(record.addr), record.port)
                hearing.for_us += held == (short_form(ours.addr), ours.port)
                hearing.against_us += held == (short_form(hearing.claim.addr), hearing.claim.port)
        yield from self._decide(hearing)

    def _decide(self, hearing: "_Hearing") -> Actions:
        """Stay or give way, once all witnesses have been heard; without any, by our own clock."""
        if hearing.waiting:
            return
        self._hearing = None
        if hearing.for_us == hearing.against_us:
            stays = hearing.met_at - self._entered_at > TOGETHER
        else:
            stays = hearing.for_us > hearing.against_us
        if stays:
            self._incumbent_of.add(_address(hearing.claim))
            yield _warn_of_ours(hearing.claim)
        else:
            yield from self._give_way(hearing.claim)

    def _is_greater(self, claim: Alive) -> bool:
        """Tell whether our address is greater than the claimed one."""
        ours = self._table.local
        assert ours is not None, "nobody conflicts with us before we are announced"
        return (short_form(ours.addr), ours.port) > (short_form(claim.addr), claim.port)

    def _take_over(self, claim: Alive) -> Actions:
        name, local = claim.node, self._table.local
        yield inform(
            "nobody answers at {claimed}, where {member} is said to be: taking the name over",
            claimed=_address(claim),
            member=name,
        )
        if local is not None and local.incarnation < claim.incarnation + 2:
            yield ApplyLeft(name, claim.incarnation + 1)
        yield TakeOver(claim.addr, claim.port, claim.meta)


class _Hearing:
    """How many witnesses we wait for whom they hold, and what those have said that were heard."""

    def __init__(self, claim: Alive, met_at: float, waiting: int) -> None:
        self.claim = claim
        self.met_at = met_at
        self.waiting = waiting
        self.for_us = 0
        self.against_us = 0


def _ask_ours(claim: Alive, met_at: float, *, last: bool) -> Check:
    return Check(_address(claim), claim.node, OfOurName(claim, met_at, last))


def _warn_of_theirs(member: Member, claim: Alive) -> Warn:
    data = {"member": member.name, "address": member.address, "claimed": _address(claim)}
    return Warn(problems.SAME_NAME, member.name, data)


def _warn_of_ours(claim: Alive) -> Warn:
    data = {"member": claim.node, "claimed": _address(claim)}
    return Warn(problems.OUR_NAME, claim.node, data)


def _address(claim: Alive) -> Address:
    return Address(unpack_ip(claim.addr), claim.port)
