"""Who is gone for good, and since when: so that nobody's stale table brings them back.

Tombstones travel as user state and user messages of our own, which Go peers ignore, and never as
member records, which would kill a Go node that has started again.
"""

from collections.abc import Iterable, Iterator

import msgpack

from wesher.base.errors import ProtocolError
from wesher.base.naming import MAX_NAME
from wesher.gossip.messages import MAX_INCARNATION
from wesher.mesh.base.saved import Tombstone, later
from wesher.mesh.base.user_state import FIRST_BYTE

VERSION = 1  # the second byte, see user_state
MAX_TOMBSTONES = 1000  # the oldest are dropped
MAX_AGE = 2**32 - 1  # seconds

_MAX_SIZE = 2 + 5 + MAX_TOMBSTONES * (1 + 3 + MAX_NAME + 5 + 5)  # bytes


def encode_tombstones(tombstones: Iterable[Tombstone], now: float) -> bytes:
    """Return the bytes that tell others; ages instead of instants, as each has its own clock."""
    entries = [
        (one.name, one.incarnation, min(MAX_AGE, max(0, round(now - one.made_at))))
        for one in tombstones
    ]
    packed: bytes = msgpack.packb(entries, unicode_errors="surrogateescape")
    return bytes([FIRST_BYTE, VERSION]) + packed


def decode_tombstones(payload: bytes, now: float) -> list[Tombstone]:
    """Read what somebody told; nothing when it is another application's, or of a later version.

    Raises ProtocolError when it is damaged in any way.
    """
    if payload[:2] != bytes([FIRST_BYTE, VERSION]):
        return []
    if len(payload) > _MAX_SIZE:
        raise ProtocolError(f"{len(payload)} bytes of tombstones")
    try:
        entries = msgpack.unpackb(
            payload[2:], unicode_errors="surrogateescape", max_array_len=MAX_TOMBSTONES
        )
    except (ValueError, TypeError) as error:
        raise ProtocolError(f"malformed tombstones: {error}") from error
    if not isinstance(entries, list):
        raise ProtocolError("tombstones are no list")
    return [_decode(entry, now) for entry in entries]


def _decode(entry: object, now: float) -> Tombstone:
    match entry:
        case [str(name), int(incarnation), int(age)] if (
            0 < len(name.encode(errors="surrogateescape")) <= MAX_NAME
            and 0 <= incarnation <= MAX_INCARNATION
            and 0 <= age <= MAX_AGE
            and not isinstance(incarnation, bool)
            and not isinstance(age, bool)
        ):
            return Tombstone(name, incarnation, now - age)
    raise ProtocolError("malformed tombstone")


class Tombstones:
    """The newest tombstone of each name, the oldest first; void ones are told to nobody.

    A tombstone becomes void when its member turns out to be there: it is kept to know it again when
    somebody who was cut off tells of it once more.
    """

    def __init__(self) -> None:
        self._valid: dict[str, Tombstone] = {}
        self._void: dict[str, Tombstone] = {}

    def __len__(self) -> int:
        return len(self._valid)

    def __iter__(self) -> Iterator[Tombstone]:
        return iter(self._valid.values())

    def get(self, name: str) -> Tombstone | None:
        """Return the tombstone of a member that is gone."""
        return self._valid.get(name)

    def is_news(self, tombstone: Tombstone) -> bool:
        """Tell whether it is about a departure we have not heard of yet."""
        known = self._valid.get(tombstone.name) or self._void.get(tombstone.name)
        return known is None or tombstone.outdates(known)

    def add(self, tombstone: Tombstone) -> None:
        """Take a tombstone in, instead of any earlier one."""
        self._void.pop(tombstone.name, None)
        _put(self._valid, tombstone)

    def void(self, name: str) -> None:
        """Note that a member is there after all."""
        if tombstone := self._valid.pop(name, None):
            _put(self._void, tombstone)

    def reject(self, tombstone: Tombstone) -> None:
        """Note that a tombstone that was never taken in is void."""
        _put(self._void, tombstone)

    def shift(self, seconds: float) -> None:
        """Make all so much older: the clock stood still meanwhile."""
        for kept in (self._valid, self._void):
            for name, one in kept.items():
                kept[name] = later(one, "made_at", -seconds)

    def expire(self, oldest: float) -> list[str]:
        """Forget those made before `oldest`; returns whose they were."""
        over = [one.name for one in self if one.made_at <= oldest]
        for name in over:
            del self._valid[name]
        self._void = {name: one for name, one in self._void.items() if one.made_at > oldest}
        return over


def _put(kept: dict[str, Tombstone], tombstone: Tombstone) -> None:
    kept.pop(tombstone.name, None)
    kept[tombstone.name] = tombstone
    if len(kept) > MAX_TOMBSTONES:
        del kept[min(kept.values(), key=lambda one: one.made_at).name]
