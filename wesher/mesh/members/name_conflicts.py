"""One name at two addresses: a member that moved, or two hosts, of which we may be one.

Who is there is found out by asking at the address that should be abandoned.

Who has a name and is there keeps it. A host that has just come, and finds another of its name,
gives way, but it may have come first: a member of the original asks nobody before it takes a name.
So it asks a few others whom they hold: everybody holds the one he heard of first. If they hold us,
or there is nobody to ask and we have been here for long enough, we stay and warn.
"""

from collections.abc import Callable

from wesher.base import problems
from wesher.gossip import (
    Address,
    AddressConflict,
    Alive,
    ExchangeFinished,
    Gossip,
    Member,
    RecordState,
    short_form,
    unpack_ip,
)
from wesher.mesh.base.metadata import is_of_ours
from wesher.mesh.base.operator_log import OperatorLog
from wesher.mesh.base.seniority import TOGETHER
from wesher.mesh.members.liveness_checks import LivenessChecks
from wesher.mesh.members.name_takeover import NameTakeover, PreviousAddress

NEWCOMER = 30.0  # seconds after entering, in which we give way to others of our name
STAND_OFF = 10.0  # seconds that a greater newcomer of our name is given to go away
WITNESSES = 3  # members that are asked whom they hold under our name
_LIVE = (RecordState.ALIVE, RecordState.SUSPECT)


class NameConflicts:
    """Judges the conflicts that gossip reports.

    `reach` makes us exchange tables with an address, `everybody` returns whom to tell when we take
    our name over, `live` where the other live members are.
    """

    def __init__(
        self,
        gossip: Gossip,
        liveness_checks: LivenessChecks,
        name_takeover: NameTakeover,
        operator_log: OperatorLog,
        *,
        reach: Callable[[Address, float], None],
        everybody: Callable[[], list[Address]],
        live: Callable[[], list[Address]],
    ) -> None:
        self._gossip = gossip
        self._liveness_checks = liveness_checks
        self._name_takeover = name_takeover
        self._operator_log = operator_log
        self._reach = reach
        self._everybody = everybody
        self._live = live
        self._hearing: _Hearing | None = None
        self._incumbent_of: set[Address] = set()  # whose claims were found to be later than ours
        self._entered_at = float("-inf")
        self._again: tuple[float, Alive] | None = None
        self.stronger: Address | None = None
        """Where another host of our name is, to which this one must give way."""

    def entered(self, now: float) -> None:
        """Take note that we have just announced ourselves."""
        self._entered_at = now

    def met(self, event: AddressConflict, now: float) -> None:
        """Find out what a claim to a known name at another address means."""
        if event.member.name == self._gossip.settings.name:
            self._met_ours(event.claim, now)
        else:
            self._met_theirs(event.member, event.claim, now)

    def next_timer(self) -> float | None:
        """Return when `advance` has something to do, None for never."""
        return self._again[0] if self._again else None

    def advance(self, now: float) -> None:
        """Ask once more for one who should have gone away."""
        if self._again and now >= self._again[0]:
            claim, self._again = self._again[1], None
            self._ask_ours(claim, now - STAND_OFF, now, last=True)

    # Others

    def _met_theirs(self, member: Member, claim: Alive, now: float) -> None:
        """Let a member move when nobody is at its old address any more."""

        def at_its_old_address(answered: bool, now: float) -> None:
            known = self._gossip.members.get(member.name)
            if known and (
                known.address != member.address or known.incarnation >= claim.incarnation
            ):
                return  # overtaken by other news: it may have moved back meanwhile
            if answered:
                self._warn_of_theirs(member, claim, now)
                return
            self._operator_log.inform(
                "member {member} moved from {address} to {claimed}",
                member=member.name,
                address=member.address,
                claimed=_address(claim),
            )
            self._gossip.apply_alive(claim, now, moved=True)

        def at_the_claimed_one(answered: bool, now: float) -> None:
            if answered:
                self._warn_of_theirs(member, claim, now)

        if claim.incarnation > member.incarnation:
            self._liveness_checks.ask(member.address, member.name, now, at_its_old_address)
        else:  # perhaps what is left of an earlier move
            self._liveness_checks.ask(_address(claim), member.name, now, at_the_claimed_one)

    def _warn_of_theirs(self, member: Member, claim: Alive, now: float) -> None:
        self._operator_log.warn(
            member.name,
            now,
            problems.SAME_NAME,
            member=member.name,
            address=member.address,
            claimed=_address(claim),
        )

    # Ourselves

    def _met_ours(self, claim: Alive, now: float) -> None:
        if self._name_takeover.concerns(claim.addr, claim.port):
            return
        if now > self._entered_at + NEWCOMER or _address(claim) in self._incumbent_of:
            self._warn_of_ours(claim, now)
        elif self._again is None and self.stronger is None and self._hearing is None:
            self._ask_ours(claim, now, now, last=False)

    def _ask_ours(self, claim: Alive, met_at: float, now: float, *, last: bool) -> None:
        """Find out who has our name; of two newcomers the smaller address and port stays."""

        def then(answered: bool, now: float) -> None:
            if not answered:
                self._take_over(claim, now)
            elif not (last or self._is_greater(claim)):
                self._again = (now + STAND_OFF, claim)
                self._reach(_address(claim), now)
            elif is_of_ours(claim.meta) and met_at <= self._entered_at + TOGETHER:
                self.stronger = _address(claim)  # it had looked, as we had: nobody was first
            else:
                self._hear_witnesses(claim, met_at, now)

        self._liveness_checks.ask(_address(claim), claim.node, now, then)

    def _hear_witnesses(self, claim: Alive, met_at: float, now: float) -> None:
        """Ask a few members whom they hold, before we give way."""
        rival = _address(claim)
        asked = [address for address in self._live() if address != rival][:WITNESSES]
        exchanges = {
            self._gossip.push_pull(address, now, join=False, look=True) for address in asked
        }
        self._hearing = _Hearing(claim, met_at, exchanges)
        self._decide(self._hearing, now)

    def finished(self, event: ExchangeFinished, now: float) -> None:
        """Take what a witness says."""
        hearing = self._hearing
        if hearing is None or event.exchange not in hearing.waiting:
            return
        hearing.waiting.discard(event.exchange)
        ours = self._gossip.settings
        for record in event.records:
            if record.name == ours.name and record.state in _LIVE:
                held = (short_form(record.addr), record.port)
                hearing.for_us += held == (short_form(ours.addr), ours.port)
                hearing.against_us += held == (short_form(hearing.claim.addr), hearing.claim.port)
        self._decide(hearing, now)

    def _decide(self, hearing: "_Hearing", now: float) -> None:
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
            self._warn_of_ours(hearing.claim, now)
        else:
            self.stronger = _address(hearing.claim)

    def _is_greater(self, claim: Alive) -> bool:
        """Tell whether our address is greater than the claimed one."""
        ours = self._gossip.settings
        return (short_form(ours.addr), ours.port) > (short_form(claim.addr), claim.port)

    def _take_over(self, claim: Alive, now: float) -> None:
        name, local = claim.node, self._gossip.local
        self._operator_log.inform(
            "nobody answers at {claimed}, where {member} is said to be: taking the name over",
            claimed=_address(claim),
            member=name,
        )
        if local is not None and local.incarnation < claim.incarnation + 2:
            self._gossip.apply_left(name, claim.incarnation + 1, now)
        old = PreviousAddress(claim.addr, claim.port, claim.meta)
        self._name_takeover.begin(old, self._everybody(), now)

    def _warn_of_ours(self, claim: Alive, now: float) -> None:
        self._operator_log.warn(
            claim.node,
            now,
            problems.OUR_NAME,
            member=claim.node,
            claimed=_address(claim),
        )


class _Hearing:
    """Witnesses that are asked whom they hold, and what those have said that were heard."""

    def __init__(self, claim: Alive, met_at: float, waiting: set[int]) -> None:
        self.claim = claim
        self.met_at = met_at
        self.waiting = waiting
        self.for_us = 0
        self.against_us = 0


def _address(claim: Alive) -> Address:
    return Address(unpack_ip(claim.addr), claim.port)
