"""What members tell each other of a change of the cluster key: one document, and how it is written.

Documents form a join-semilattice, so everybody comes to hold the same one, in whatever order and
however often they are heard. Of two changes the one with the larger number, then key, wins as a
whole. Of one change the later step, the shorter grace, and each mark that either has.

The grace is told as what is left of it, in whole seconds rounded up, as each host has its own
clock: nobody ends it sooner for having heard it often.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from math import ceil

import msgpack

from wesher.base.errors import ProtocolError
from wesher.base.frozen import frozen, replace
from wesher.base.naming import FINGERPRINT_SIZE, fingerprint, split_fingerprints
from wesher.mesh.base.user_state import FIRST_BYTE

VERSION = 2  # the second byte, see user_state
KEY_SIZE = 32  # bytes; wesher makes and takes no others
MAX_NUMBER = 2**32 - 1
MAX_GRACE = 30 * 86_400  # seconds
LEAP = 1000
"""How far the number of a document may be above that of the one we hold: whoever has the cluster
key could otherwise use all of them up at once."""

MAX_TOLD = 7  # fingerprints of retired keys: all that a ring can hold besides
_MAX_RETIRED = MAX_TOLD * FINGERPRINT_SIZE  # bytes
_MAX_SIZE = 2 + 1 + 5 + 2 + KEY_SIZE + 1 + 5 + 1 + 2 + _MAX_RETIRED  # bytes
_MARKS = ("by_hand", "without_unable", "without_failed")
"""Bit for bit, from the lowest."""


class Step(IntEnum):
    """What is to be done with the new key: a step is taken when all have taken the one before."""

    INSTALL = 1
    """Open with it."""
    USE = 2
    """Seal with it."""
    RETIRE = 3
    """Hold no other."""

    @property
    def next(self) -> "Step":
        """The step after this one; after the last there is none, and it is that."""
        return Step(min(self + 1, Step.RETIRE))


@frozen(hidden=("key",))
class Rotation:
    """The change to `key`, the `number`th of this mesh; others may be retired from `retire_at` on.

    That is an instant of the node's clock. Of one `by_hand` an operator orders each step. The last
    step of one `without_unable` does not wait for members that cannot follow, and `without_failed`
    for who is away: they are locked out. `retired` are fingerprints of keys that some member gave
    up in the last step, sorted: for newcomers who were given more than the new key.
    """

    number: int
    key: bytes
    step: Step
    retire_at: float
    by_hand: bool = False
    without_unable: bool = False
    without_failed: bool = False
    retired: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """That of the new key."""
        return fingerprint(self.key)

    def joined(self, other: "Rotation | None") -> "Rotation":
        """Return what is to be held of the two."""
        if other is None:
            return self
        mine, theirs = (self.number, self.key), (other.number, other.key)
        if mine != theirs:
            return max(self, other, key=lambda one: (one.number, one.key))
        return replace(
            self,
            step=max(self.step, other.step),
            retire_at=min(self.retire_at, other.retire_at),
            **{mark: getattr(self, mark) or getattr(other, mark) for mark in _MARKS},
        ).retiring(other.retired)

    def retiring(self, fingerprints: Iterable[str]) -> "Rotation":
        """Return it with more keys that were given up."""
        retired = sorted({*self.retired, *fingerprints} - {self.fingerprint})
        return replace(self, retired=tuple(retired[:MAX_TOLD]))

    def is_news_to(self, other: "Rotation | None") -> bool:
        """Tell whether it says more than the other, but for how much of the grace is left."""
        return other is None or replace(self, retire_at=other.retire_at) != other


@frozen(hidden=("key",))
class BeginChange:
    """Begin to change the whole mesh to this key, whatever stands in the way if that is `forced`.

    The others are retired after `grace` seconds; or, `by_hand`, each step is ordered.
    """

    key: bytes
    grace: float
    by_hand: bool = False
    forced: bool = False


@frozen
class TakeStep:
    """Take the next step of a change, or its last one before the grace is over.

    One that is `forced` waits for nobody.
    """

    step: Step
    forced: bool = False


@frozen(hidden=("keys",))
class HoldConfigured:
    """Hold these keys, which are those of a changed configuration, the primary one first."""

    keys: tuple[bytes, ...]


@frozen
class KeysSaved:
    """What SaveKeys asked for with this number was done."""

    number: int


KeyOrder = BeginChange | TakeStep | HoldConfigured | KeysSaved
"""What a node's owner can want of the cluster keys."""


def encode_rotation(rotation: Rotation, now: float) -> bytes:
    """Return the bytes that tell others."""
    left = min(MAX_GRACE, max(0, ceil(rotation.retire_at - now)))
    marks = sum(1 << bit for bit, mark in enumerate(_MARKS) if getattr(rotation, mark))
    retired = b"".join(map(bytes.fromhex, rotation.retired))
    fields = (rotation.number, rotation.key, int(rotation.step), left, marks, retired)
    packed: bytes = msgpack.packb(fields)
    return bytes([FIRST_BYTE, VERSION]) + packed


def decode_rotation(payload: bytes, now: float) -> Rotation | None:
    """Read what somebody told; None when it is about something else.

    Raises ProtocolError when it is damaged in any way.
    """
    if payload[:2] != bytes([FIRST_BYTE, VERSION]):
        return None
    if len(payload) > _MAX_SIZE:
        raise ProtocolError(f"{len(payload)} bytes of a change of the cluster key")
    try:
        fields = msgpack.unpackb(payload[2:])
    except (ValueError, TypeError) as error:
        raise ProtocolError(f"malformed change of the cluster key: {error}") from error
    match fields:
        case [int(number), bytes(key), int(step), int(left), int(marks), bytes(retired)] if (
            1 <= number <= MAX_NUMBER
            and len(key) == KEY_SIZE
            and step in _STEPS
            and 0 <= left <= MAX_GRACE
            and 0 <= marks < 1 << len(_MARKS)
            and not any(isinstance(one, bool) for one in fields)
            and len(retired) in range(0, _MAX_RETIRED + 1, FINGERPRINT_SIZE)
        ):
            by_hand, unable, failed = (bool(marks >> bit & 1) for bit in range(len(_MARKS)))
            rotation = Rotation(number, key, _STEPS[step], now + left, by_hand, unable, failed)
            return rotation.retiring(split_fingerprints(retired))
    raise ProtocolError("malformed change of the cluster key")


_STEPS: Mapping[int, Step] = {int(step): step for step in Step}
