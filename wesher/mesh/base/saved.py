"""What of a node outlives its process: who was there, who is gone, and what we were.

Instants are in seconds by the clock of whoever holds the value: the node's own, or since 1970 in
the state file. `shifted` turns one into the other.
"""

from typing import TypeVar

from wesher.base.addresses import Address
from wesher.base.frozen import frozen, replace
from wesher.mesh.base.pins import Pin
from wesher.mesh.base.plan import IPAddress
from wesher.mesh.base.rotation import Rotation

ALIKE = 180.0  # seconds that two accounts of one departure may be apart: ages travel rounded


@frozen
class SavedMember:
    """A member as the state file keeps it; one that left is a contact address and nothing else.

    `failed_at` is an instant, None when the member was alive. The port of `address` is 0 where a
    file of the Go program, which saves none, has not been told ours yet.
    """

    name: str
    address: Address
    meta: bytes | None = None
    left: bool = False
    incarnation: int = 0
    failed_at: float | None = None


@frozen
class Tombstone:
    """`name` left with this incarnation, or was forgotten by an operator, at `made_at`."""

    name: str
    incarnation: int
    made_at: float

    def outdates(self, other: "Tombstone") -> bool:
        """Tell whether this is about a later departure than `other`, of the same member."""
        if self.made_at > other.made_at + ALIKE:
            return True
        return self.made_at > other.made_at - ALIKE and self.incarnation > other.incarnation


@frozen
class Former:
    """An overlay address that we have left, at an instant."""

    overlay_addr: IPAddress
    left_at: float


@frozen
class Self:
    """What a host is called, its underlay address, and its WireGuard key in base64."""

    name: str
    ip: str
    public_key: str


@frozen
class SavedKeys:
    """The last change of the cluster key, if there was one, and whether it is over here.

    `retired` are the fingerprints of keys that changes have retired, the newest last.
    """

    rotation: Rotation | None = None
    over: bool = False
    retired: tuple[str, ...] = ()

    def shifted(self, seconds: float) -> "SavedKeys":
        """Return this by a clock that is so far ahead."""
        rotation = self.rotation and later(self.rotation, "retire_at", seconds)
        return replace(self, rotation=rotation)


_NO_CHANGE = SavedKeys()


@frozen
class Saved:
    """What outlives the process, besides the cluster key; `incarnation` is the last one we had.

    `fixed` says that the overlay address is from `--overlay-addr`, `former` which one we had
    before, if we had to leave it or were given another, `this_host` what we were then. `pins` are
    the identities that names are for.
    """

    overlay_addr: IPAddress | None = None
    incarnation: int = 0
    members: tuple[SavedMember, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()
    fixed: bool = False
    former: Former | None = None
    this_host: Self | None = None
    keys: SavedKeys = _NO_CHANGE
    pins: tuple[Pin, ...] = ()

    def shifted(self, seconds: float) -> "Saved":
        """Return this by a clock that is so far ahead."""
        return replace(
            self,
            members=tuple(later(one, "failed_at", seconds) for one in self.members),
            tombstones=tuple(later(one, "made_at", seconds) for one in self.tombstones),
            former=self.former and later(self.former, "left_at", seconds),
            keys=self.keys.shifted(seconds),
        )


T = TypeVar("T")


def later(value: T, field: str, seconds: float) -> T:
    """Return a value with the instant in `field`, if it has one, by a clock so far ahead."""
    instant = getattr(value, field)
    return replace(value, **{field: instant + seconds}) if instant is not None else value
