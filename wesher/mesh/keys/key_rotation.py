"""Changing the cluster key while the mesh runs: one command on one host, and all members follow.

A new key is installed everywhere, then used everywhere, then the old ones are retired. What is to
be done travels as a document (`base/rotation.py`): as a user message, and with every table, for who
was not there. Whoever hears it does its part at once, saves that, and only then says so in its Ext:
nothing has been confirmed that a crash could undo.

No host leads. Whoever sees that all have confirmed the step before tells of the next one, so the
host on which the command was given may die at any time; that many tell of it at once does no harm,
as documents join. A newcomer hears the document with its first table and is waited for like others.
Who dies is waited for until it is held failed, and then only before old keys are retired
(`confirmations.py`). The last step, which cannot be taken back, is taken by each host only when all
its own members use the new key, whatever it is told: a newcomer does not know who is missing.

Two changes at once become one everywhere: the winner starts at its own step, and the loser's key
goes on opening until the winner's are the only ones. Someone who joins with a retired key is no
member any more, so the grace is how long a host may be away.

A document outlives its change: its number keeps an older one, in whatever backup, from coming back.
"""

from collections.abc import Collection, Iterator, Sequence

from wesher.base import problems
from wesher.base.errors import ProtocolError
from wesher.base.frozen import frozen, replace
from wesher.base.naming import fingerprint
from wesher.gossip import Keyring, Members
from wesher.gossip.keyring import MAX_KEYS
from wesher.mesh.base.actions import (
    Actions,
    AnnounceKeys,
    Broadcast,
    HoldKeys,
    KnowKeys,
    SendWithTables,
    SetTimer,
    Timer,
    Warn,
    inform,
)
from wesher.mesh.base.events import SaveKeys
from wesher.mesh.base.metadata import key_fingerprints
from wesher.mesh.base.rotation import (
    LEAP,
    MAX_GRACE,
    MAX_NUMBER,
    BeginChange,
    HoldConfigured,
    KeyOrder,
    KeysSaved,
    Rotation,
    Step,
    TakeStep,
    decode_rotation,
    encode_rotation,
)
from wesher.mesh.base.saved import SavedKeys
from wesher.mesh.keys.confirmations import Confirmations, Waiting
from wesher.mesh.members import FailedMembers

GAP = 0.1  # seconds between two looks at who has confirmed,
GAP_PER_MEMBER = 0.0001  # and so much more for each member
REFRESH = 60.0  # seconds after which what is left of the grace is told anew
MAX_RETIRED = 16  # fingerprints kept of keys that no configuration may bring back

_DONE = {
    Step.INSTALL: "cluster key {key} is installed here, by change {number} of this mesh's key",
    Step.USE: "cluster key {key} is used from now on",
    Step.RETIRE: "cluster key {key} is the only one from now on",
}
_SUBJECT = "\0"  # of its broadcast: no member has this name, and no tombstone this subject


@frozen
class KeyStatus:
    """The fingerprints of our keys, the primary one's first, and the other members that hold each.

    `rotation` is the last change of the key that we know, over or not. Its next step waits for
    `waiting`, and `grace` is how many seconds its last one waits at least. The `unable` members
    cannot follow any change. `retired` are fingerprints.
    """

    fingerprints: tuple[str, ...]
    holders: dict[str, list[str]]
    rotation: Rotation | None
    over: bool
    waiting: tuple[Waiting, ...]
    grace: float
    unable: tuple[str, ...]
    retired: tuple[str, ...]


class KeyRotation:
    """Our part in changing the cluster key; `table` and `keyring` are gossip's."""

    def __init__(
        self, keyring: Keyring, saved: SavedKeys, table: Members, failed: FailedMembers
    ) -> None:
        self._keyring = keyring
        self._table = table
        self._failed = failed
        self._rotation = saved.rotation
        self._retired = saved.retired
        self._over = saved.over
        self._serial = self._unsaved = 0  # number of the last thing to save, and of what is not yet
        self._looked_at = float("-inf")
        self._planned: float | None = None

    # State

    @property
    def saved(self) -> SavedKeys:
        """What to keep for the next start."""
        return SavedKeys(self._rotation, self._over, self._retired)

    @property
    def under_way(self) -> bool:
        """Whether a change has begun that is not over here."""
        return self._rotation is not None and not self._over

    def status(self, now: float) -> KeyStatus:
        """Return what there is to tell of the keys."""
        confirmed, rotation = self._confirmations(), self._rotation
        return KeyStatus(
            fingerprints=self._keyring.fingerprints,
            holders=confirmed.holders(),
            rotation=rotation,
            over=not self.under_way,
            waiting=tuple(self._waiting(confirmed)) if rotation and self.under_way else (),
            grace=max(0.0, rotation.retire_at - now) if rotation else 0.0,
            unable=tuple(member.name for member in confirmed.unable()),
            retired=self._retired,
        )

    def _confirmations(self) -> Confirmations:
        return Confirmations(self._keyring, self._table.others(), self._failed)

    def _waiting(self, confirmed: Confirmations) -> Iterator[Waiting]:
        """Yield for whom the next step waits."""
        rotation = self._rotation
        assert rotation, "nobody waits for what has not begun"
        return confirmed.waiting(rotation, rotation.step.next)

    # Orders

    def obey(self, order: KeyOrder, now: float) -> Actions:
        """Do what an operator, or our owner, wants; ValueError says what stands in the way."""
        match order:
            case BeginChange():
                return self._begin(order, now)
            case TakeStep():
                return self._take(order, now)
            case HoldConfigured(keys):
                return self._hold_configured(keys, now)
            case KeysSaved(number):
                return self._are_saved(number, now)

    def _begin(self, order: BeginChange, now: float) -> Actions:
        last = self._rotation
        if not 0 <= order.grace <= MAX_GRACE:
            raise ValueError(f"the grace is at most {MAX_GRACE // 86_400} days")
        if not order.forced:
            self._object(last)
        if len(self._keyring.keys) >= MAX_KEYS or (last and last.number >= MAX_NUMBER):
            raise ValueError(f"{MAX_KEYS} keys are held already: `wesher key remove` retires them")
        number, unable = last.number + 1 if last else 1, any(self._confirmations().unable())
        begun = Rotation(number, order.key, Step.INSTALL, now + order.grace, order.by_hand, unable)
        return self._adopt(begun, now)

    def _object(self, last: Rotation | None) -> None:
        confirmed = self._confirmations()
        if unable := sorted(member.name for member in confirmed.unable()):
            raise ValueError(
                f"{', '.join(unable)} cannot change the key while they run, as Go or an older "
                "wesher: with --force they drop out when the old key is retired, and must be "
                "restarted with the new one"
            )
        if last and self.under_way and (last.by_hand or any(self._waiting(confirmed))):
            raise ValueError(
                f"the change to key {last.fingerprint} is still under way, see `wesher key status`;"
                " with --force another begins, whose key all have in the end"
            )

    def _take(self, order: TakeStep, now: float) -> Actions:
        rotation = self._rotation
        if rotation is None or not self.under_way:
            raise ValueError("no change of the cluster key is under way: see `wesher key install`")
        step = order.step
        if step > rotation.step + 1:
            raise ValueError(f"key {rotation.fingerprint} is not used yet: first `wesher key use`")
        if step <= rotation.step:
            raise ValueError(
                f"that was done: key {rotation.fingerprint} is at the step {rotation.step.name}"
            )
        waiting = [f"{one.member} {one.reason}" for one in self._waiting(self._confirmations())]
        if waiting and not order.forced:
            raise ValueError(f"it waits, with --force it does not: {'; '.join(waiting)}")
        marks = {"without_unable": True, "without_failed": True} if waiting else {}
        return self._adopt(replace(rotation, step=step, **marks), now)

    def _hold_configured(self, keys: tuple[bytes, ...], now: float) -> Actions:
        """Hold the keys of a changed configuration, beside the new one of a change under way."""
        rotation = self._rotation
        if rotation and rotation.step is Step.RETIRE:
            self._over = True  # the configuration is newer
        if rotation and self.under_way and rotation.key not in keys:
            keys = (*keys[:1], rotation.key, *keys[1 : MAX_KEYS - 1])
        return self._hold(keys, now)

    def _are_saved(self, number: int, now: float) -> Actions:
        """Take note that keys are on the disk: now others may rely on them."""
        if number == self._unsaved:
            self._unsaved = 0
            yield AnnounceKeys(self._keyring.fingerprints)
            yield from self.mind(now)

    # What happens

    def start(self, now: float) -> Actions:
        """Go on with what an earlier start has saved."""
        yield from self._tell(now)
        yield from self.mind(now)

    def heard(self, payload: bytes, now: float, *, new_here: bool) -> Actions:
        """Take in what somebody told; who is `new_here` believes any number.

        Raises ProtocolError, before anything else, when it is damaged or cannot be.
        """
        rotation = decode_rotation(payload, now)
        if rotation is None:
            return
        known = self._rotation.number if self._rotation else 0
        if rotation.number > known + LEAP and not new_here:
            raise ProtocolError(f"change {rotation.number} of the cluster key, after {known}")
        yield from self._adopt(rotation, now)

    def mind(self, now: float) -> Actions:
        """Take note that members, or what they say, may have changed: look at them soon."""
        if self._keyring.several or self.under_way:
            yield from self._look_at(max(now, self._looked_at + self._gap()))

    def shift(self, seconds: float) -> None:
        """Count the grace as so much shorter: the clock stood still meanwhile."""
        if self._rotation:
            retire_at = self._rotation.retire_at - seconds
            self._rotation = replace(self._rotation, retire_at=retire_at)

    def look(self, now: float) -> Actions:
        """See who holds what, and take the next step if it waits for nobody."""
        self._looked_at, self._planned = now, None
        confirmed = self._confirmations()
        yield KnowKeys(dict(confirmed.sealing()))
        rotation = self._rotation
        if rotation is None or not self.under_way:
            yield from self._name_those_without(self._keyring.fingerprints[0])
            return
        if self._table.local is not None and not self._unsaved:
            yield from self._step(rotation, confirmed, now)
        if self._rotation is not rotation or self._over:
            return
        yield from self._tell(now)
        grace = rotation.retire_at if rotation.retire_at > now else float("inf")
        yield from self._look_at(min(now + REFRESH, grace))

    def _name_those_without(self, primary: str) -> Actions:
        """Tell of members that a change by configuration has forgotten."""
        for member in self._table.others():
            told = key_fingerprints(member)
            if told and primary not in told:
                yield Warn(problems.NOT_READ, member.address.ip, {"address": member.address.ip})

    def _step(self, rotation: Rotation, confirmed: Confirmations, now: float) -> Actions:
        if any(self._waiting(confirmed)):
            return
        if rotation.step is Step.RETIRE:
            yield from self._retire(rotation, now)
        elif rotation.by_hand or (rotation.step is Step.USE and now < rotation.retire_at):
            return
        else:
            yield from self._adopt(replace(rotation, step=rotation.step.next), now)

    def _retire(self, rotation: Rotation, now: float) -> Actions:
        """Hold the new key only."""
        self._over = True
        yield inform(_DONE[Step.RETIRE], key=rotation.fingerprint)
        yield from self._adopt(rotation.retiring(self._keyring.fingerprints), now)
        yield from self._give_up(self._keyring.fingerprints[1:], now)

    def _give_up(self, fingerprints: Collection[str], now: float) -> Actions:
        """Hold these keys no longer, and remember that it is so."""
        keys = self._keyring.keys
        kept = [key for key in keys if fingerprint(key) not in fingerprints] or keys[:1]
        before = (one for one in self._retired if one not in fingerprints)
        self._retired = (*before, *fingerprints)[-MAX_RETIRED:]
        yield from self._hold(kept, now)

    def _was_over(self, before: Rotation | None, rotation: Rotation) -> bool:
        """Tell whether a change that we hear of was over before we came: we were given its key."""
        over = before is None and rotation.step is Step.RETIRE
        return over and rotation.key in self._keyring.keys

    def _look_at(self, at: float) -> Actions:
        if self._planned is None or at < self._planned:
            self._planned = at
            yield SetTimer(Timer.KEYS, at)

    def _gap(self) -> float:
        return GAP + GAP_PER_MEMBER * len(self._table)

    # Documents

    def _adopt(self, told: Rotation, now: float) -> Actions:
        """Hold what follows from a document, and tell others if it is news."""
        before, rotation = self._rotation, told.joined(self._rotation)
        if rotation == before:
            return
        self._rotation = rotation
        if not rotation.is_news_to(before):
            return
        yield from self._tell(now)
        yield Broadcast(_SUBJECT, encode_rotation(rotation, now))
        if before is None or (before.number, before.key) != (rotation.number, rotation.key):
            self._over = self._was_over(before, rotation)
        if self._over:
            # What a newcomer was given besides may be of a later configuration.
            yield from self._give_up(rotation.retired, now)
            return
        if rotation.step is not Step.RETIRE:
            yield inform(_DONE[rotation.step], key=rotation.fingerprint, number=rotation.number)
        yield from self._hold(_ring(self._keyring.keys, rotation), now)

    def _tell(self, now: float) -> Actions:
        if self._rotation:
            yield SendWithTables("key rotation", encode_rotation(self._rotation, now))

    def _hold(self, keys: Sequence[bytes], now: float) -> Actions:
        """Hold these keys from now on, and say so once that has been saved."""
        if tuple(keys) != self._keyring.keys:
            yield HoldKeys(tuple(keys))
        yield from self._save()
        yield from self._look_at(now)

    def _save(self) -> Actions:
        self._serial += 1
        self._unsaved = self._serial
        yield SaveKeys(self._serial)


def _ring(keys: Sequence[bytes], rotation: Rotation) -> tuple[bytes, ...]:
    """Return the keys to hold at a step; of too many, whose were lost on the way, the last goes."""
    new, others = rotation.key, tuple(key for key in keys if key != rotation.key)
    if rotation.step is Step.INSTALL and keys[0] != new:
        return (others[0], new, *others[1:])[:MAX_KEYS]
    return (new, *others)[:MAX_KEYS]
