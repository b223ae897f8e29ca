"""One name and two identities: who keeps it is found out by asking who is there.

Whoever has the cluster key can claim any name, and can say that its holder failed or left. What he
cannot do is to answer at an address that is not his. So a claim of another identity has no effect
at first (`trust`), and then both are asked:

* The claimant shows its own table, at the address that it has signed for: what that says of the
  name is whose the host there is. Where nobody shows it, the claim is hollow.
* The holder is pinged by its name at the address where we know it.

Where the two addresses are one, the table decides: a reinstalled host is there, and its old self is
not; when somebody else claims the holder's address, the holder itself shows that it is not so. Else
the holder keeps its name as long as it answers, or is only silent for the moment: gossip must have
given it up. An invention that never answered is not waited for.

Who had a name before its present holder, and is there, has it back: it was only cut off, perhaps,
or silenced by somebody who wanted its name.

What is not decided in time leaves all as it is. A claim that had to wait is looked at once more
when its name's holder fails or leaves.
"""

from collections import OrderedDict
from collections.abc import Mapping
from itertools import count
from typing import TypeVar

from wesher.base import problems
from wesher.base.frozen import frozen, replace
from wesher.base.problems import Problem
from wesher.gossip import (
    Address,
    Alive,
    ClaimDenied,
    ExchangeFinished,
    Member,
    Members,
    PingFinished,
    Record,
    RecordState,
    short_form,
)
from wesher.mesh.base.actions import (
    Actions,
    Admit,
    ApplyAlive,
    Ping,
    ReadTable,
    SetTimer,
    Timer,
    Warn,
)
from wesher.mesh.base.identity import fingerprint
from wesher.mesh.base.settings import NodeSettings
from wesher.mesh.base.signing import identity_of
from wesher.mesh.base.trust import Admission, Denial
from wesher.mesh.members.failed_members import FailedMembers
from wesher.mesh.members.name_pins import NamePins

PATIENCE = 1.5  # seconds to answer in: two round trips, the longest there are, and some load
CALM = 5.0  # seconds until a claim of the same identity is looked into again
WAITS = 600.0  # seconds for which a claim is kept that may be let in later
MAX_CONTESTS = 64  # at a time, and of claims that wait: who has the key can make them up
MAX_FORMER = 256  # names whose holder before is remembered
OWN_PAST = 60.0  # seconds after entering, in which others may tell of our earlier self

K = TypeVar("K")
V = TypeVar("V")

_PROBLEMS = {
    Denial.FORGED: problems.BAD_SIGNATURE,
    Denial.NOT_PINNED: problems.NOT_PINNED,
    Denial.UNSIGNED: problems.NO_IDENTITY,
}
_Subject = tuple[str, bytes | None]
"""A name, and the identity that claims it."""


@frozen
class Denied:
    """How often a name was claimed in vain, lastly by whom; `source` sent that."""

    count: int
    identity: bytes | None
    source: Address
    last_at: float


@frozen
class _Asked:
    """The purpose of what is asked for a contest: the `holder`, or else the claimant."""

    serial: int
    holder: bool


class _Contest:
    """A claim that is looked into, and what has been answered so far: None is not yet."""

    def __init__(self, claim: Alive, held: Member, source: Address, until: float) -> None:
        self.claim = claim
        self.held = held
        self.source = source
        self.until = until
        self.pings = 2
        self.answers = False
        self.shown: bool | None = None

    @property
    def is_elsewhere(self) -> bool:
        return self.claim.address != self.held.address


class IdentityContests:
    """Decides which identity has a name; `table` is gossip's, `failed` are the failed members."""

    def __init__(self, settings: NodeSettings, table: Members, failed: FailedMembers) -> None:
        self._name = settings.name
        self._trust = settings.trust
        self.pins = NamePins(
            settings.name, settings.identity, pinned=settings.trust in ("pinned", "pinned,unsigned")
        )
        self._admitted_by: tuple[int, int] | None = None
        self._table = table
        self._failed = failed
        self._serials = count()
        self._running: dict[int, _Contest] = {}
        self._calm_until: OrderedDict[_Subject, float] = OrderedDict()
        self._waiting: OrderedDict[_Subject, tuple[ClaimDenied, float]] = OrderedDict()
        self._former: OrderedDict[str, bytes] = OrderedDict()
        self._denied: OrderedDict[str, Denied] = OrderedDict()
        self._own_past_until = float("inf")
        self.count = 0
        """How many claims were denied since the start."""

    @property
    def denied(self) -> Mapping[str, Denied]:
        """The names that were claimed in vain, the newest last."""
        return self._denied

    def entered(self, now: float) -> None:
        """Take note that we have just announced ourselves."""
        self._own_past_until = now + OWN_PAST

    def admit(self) -> Actions:
        """Let gossip know whom to believe, if that has changed."""
        revision = (self._failed.revision, self.pins.revision)
        if revision != self._admitted_by:
            self._admitted_by = revision
            yield Admit(self._admission())

    def _admission(self) -> Admission:
        known = {one.name: identity for one in self._failed if (identity := identity_of(one))}
        return Admission(self._trust, known, self.pins.identities)

    # Inputs

    def heard(self, payload: bytes, source: Address, now: float) -> Actions:
        """Take in words of operators about names. Raises ProtocolError for damaged ones."""
        before = self.pins.identities
        yield from self.pins.heard(payload, source)
        for name, identity in self.pins.identities.items() - before.items():
            yield from self._retry((name, identity), now)

    def trust(self, name: str, chosen: str | None, now: float) -> Actions:
        """Pin a name to the identity that claims it, `chosen` by fingerprint if several do.

        ValueError says why that cannot be.
        """
        identity = self._claimant(name, chosen, now)
        yield from self.pins.say(name, identity)
        yield from self._retry((name, identity), now)

    def _claimant(self, name: str, chosen: str | None, now: float) -> bytes:
        claimed = [
            identity
            for (claimed, identity), (_, until) in self._waiting.items()
            if claimed == name and identity and now < until
        ]
        named = {fingerprint(one): one for one in claimed}
        if chosen is None and len(named) > 1:
            raise ValueError(
                f"several identities claim {name}: {', '.join(named)}; say which with --identity"
            )
        if chosen is None and not named:
            raise ValueError(f"nobody has claimed {name} in vain within ten minutes")
        if chosen is not None and chosen not in named:
            raise ValueError(f"no identity {chosen} has claimed {name} within ten minutes")
        return named[chosen] if chosen else claimed[0]

    def met(self, event: ClaimDenied, now: float) -> Actions:
        """Look into a claim that was denied, if another identity can have the name at all."""
        self._note(event, now)
        if event.claim.node == self._name:
            if now >= self._own_past_until:
                ours = identity_of(event.held) if event.held else None
                yield _warn(problems.OUR_IDENTITY, event, ours)
        elif event.reason is Denial.ANOTHER:
            yield from self._look_into(event, now)
        else:
            if event.reason is Denial.NOT_PINNED:
                self._keep(event, now)
            pin = self.pins.identities.get(event.claim.node)
            yield _warn(_PROBLEMS[Denial(event.reason)], event, pin)

    def vanished(self, name: str, now: float) -> Actions:
        """Look once more into the claims that waited for a member that has failed or left."""
        for subject in [one for one in self._waiting if one[0] == name]:
            event, until = self._waiting.pop(subject)
            self._calm_until.pop(subject, None)
            if now < until and event.reason is Denial.ANOTHER:
                yield from self._look_into(event, now)
            elif now < until:
                self._waiting[subject] = (event, until)

    def _retry(self, subject: _Subject, now: float) -> Actions:
        """Take a claim that waited for an operator's word."""
        event, until = self._waiting.pop(subject, (None, now))
        yield from self.admit()
        if event is None or now >= until:
            return
        held = self._table.get(subject[0])
        match self._admission().objection(event.claim, held):
            case None:
                yield ApplyAlive(event.claim)
            case Denial.ANOTHER:
                self._calm_until.pop(subject, None)
                yield from self._look_into(replace(event, reason=Denial.ANOTHER), now)

    def pinged(self, event: PingFinished, now: float) -> Actions:
        """Take the outcome of a ping."""
        asked = event.purpose
        if not isinstance(asked, _Asked) or (contest := self._running.get(asked.serial)) is None:
            return
        contest.pings -= 1
        contest.answers |= event.seconds is not None
        yield from self._weigh(asked.serial, now)

    def exchanged(self, event: ExchangeFinished, now: float) -> Actions:
        """Take the table of a claimant, or of who is where it says it is."""
        asked = event.purpose
        if not isinstance(asked, _Asked) or (contest := self._running.get(asked.serial)) is None:
            return
        contest.shown = any(_is_same(record, contest.claim) for record in event.records)
        yield from self._weigh(asked.serial, now)

    def time_is_over(self, now: float) -> Actions:
        """Decide what has lasted long enough."""
        for serial in list(self._running):
            yield from self._weigh(serial, now)

    # Deciding

    def _look_into(self, event: ClaimDenied, now: float) -> Actions:
        claim, subject = event.claim, (event.claim.node, identity_of(event.claim))
        held = self._table.get(claim.node) or self._failed.get(claim.node)
        if held is None or identity_of(held) == subject[1]:
            return
        self._keep(event, now)
        if self._calm_until.get(subject, now) > now or len(self._running) >= MAX_CONTESTS:
            yield _warn(problems.OTHER_IDENTITY, event, identity_of(held))
            return
        _put(self._calm_until, subject, now + CALM, 2 * MAX_CONTESTS)
        serial = next(self._serials)
        self._running[serial] = contest = _Contest(claim, held, event.source, now + PATIENCE)
        yield ReadTable(claim.address, _Asked(serial, holder=False))
        if contest.is_elsewhere:
            asked = _Asked(serial, holder=True)
            yield Ping(held.address, claim.node, asked)
            yield Ping(held.address, claim.node, asked, stream=True)
        yield from self._expect()

    def _weigh(self, serial: int, now: float) -> Actions:
        contest = self._running[serial]
        verdict = self._verdict(contest, is_over=now >= contest.until)
        if verdict is None:
            yield from self._expect()
            return
        del self._running[serial]
        claim, held = contest.claim, contest.held
        event = ClaimDenied(claim, held, Denial.ANOTHER, contest.source)
        if not verdict:
            yield _warn(problems.OTHER_IDENTITY, event, identity_of(held))
            return
        self._waiting.pop((claim.node, identity_of(claim)), None)
        if had := identity_of(held):
            _put(self._former, claim.node, had, MAX_FORMER)
        yield _warn(problems.IDENTITY_CHANGED, event, identity_of(held))
        yield ApplyAlive(claim, admitted=True)

    def _verdict(self, contest: _Contest, *, is_over: bool) -> bool | None:
        """Tell whether the claim is let in; None while that is open."""
        claim = contest.claim
        returns = self._former.get(claim.node) == identity_of(claim)
        if contest.shown is None:
            is_open = returns or not (contest.is_elsewhere and contest.answers)
            return None if is_open and not is_over else False
        if not contest.shown:
            return False  # hollow
        if returns or not contest.is_elsewhere:
            return True
        if contest.answers:
            return False
        if contest.pings and not is_over:
            return None
        return not self._is_there(claim.node)

    def _is_there(self, name: str) -> bool:
        """Tell whether a member that is silent just now has answered us before, and lives."""
        held = self._table.get(name)
        return held is not None and held.live and name not in self._table.proofs.unproven

    def _expect(self) -> Actions:
        ends = [contest.until for contest in self._running.values()]
        yield SetTimer(Timer.CONTEST, min(ends, default=None))

    def _keep(self, event: ClaimDenied, now: float) -> None:
        """Let a claim wait for what may let it in later."""
        subject = (event.claim.node, identity_of(event.claim))
        _put(self._waiting, subject, (event, now + WAITS), MAX_CONTESTS)

    def _note(self, event: ClaimDenied, now: float) -> None:
        self.count += 1
        name, known = event.claim.node, self._denied.get(event.claim.node)
        told = identity_of(event.claim)
        denied = Denied(known.count + 1 if known else 1, told, event.source, now)
        _put(self._denied, name, denied, MAX_CONTESTS)


def named(identity: bytes | None) -> str:
    """Return how people call an identity."""
    return fingerprint(identity) if identity else "none"


def _is_same(record: Record, claim: Alive) -> bool:
    """Tell whether somebody's own record is what was claimed, whatever its incarnation is."""
    return (
        record.name == claim.node
        and record.state == RecordState.ALIVE
        and (short_form(record.addr), record.port) == (short_form(claim.addr), claim.port)
        and identity_of(record) == identity_of(claim)
    )


def _warn(problem: Problem, event: ClaimDenied, held: bytes | None) -> Warn:
    data = {
        "member": event.claim.node,
        "claimed": named(identity_of(event.claim)),
        "held": named(held),
        "address": event.source,
    }
    return Warn(problem, event.claim.node, data, always=True)


def _put(kept: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    """Keep a value as the newest, and not more than so many."""
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)
