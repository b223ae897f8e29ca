"""Who holds an overlay address or a key that several members claim.

Every node that knows the same claims finds the same holder, whatever it heard first.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from wesher.mesh.plan import IPAddress

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Claim:
    """One member's claim to its address and key, and what decides between several.

    `immovable` members cannot choose another address (Go peers, `--overlay-addr`); who is `late`
    has taken one that another of these had. `kept` says that the address is from before the
    member's start, or fixed and not late.
    """

    name: str
    overlay_addr: IPAddress
    public_key: str
    live: bool
    immovable: bool
    kept: bool
    late: bool = False

    @property
    def rank(self) -> tuple[bool, bool, bool, bool, str]:
        """Order among claims to one thing: the smallest holds it."""
        return not self.live, not self.immovable, self.late, not self.kept, self.name


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two members claim one overlay address; `winner` holds it, for good if it is `fixed`.

    Then neither can move.
    """

    address: IPAddress
    winner: str
    loser: str
    fixed: bool = False


def address_holders(claims: Iterable[Claim]) -> dict[IPAddress, Claim]:
    """Return who holds each claimed overlay address."""
    return _holders((claim.overlay_addr, claim) for claim in claims)


def key_holders(claims: Iterable[Claim]) -> dict[str, Claim]:
    """Return who holds each claimed key."""
    return _holders((claim.public_key, claim) for claim in claims)


def name_holders(claims: Iterable[Claim]) -> dict[str, Claim]:
    """Return whom each name means, in lower case: resolvers do not tell the cases apart."""
    return _holders((claim.name.lower(), claim) for claim in claims)


def _holders(claims: Iterable[tuple[T, Claim]]) -> dict[T, Claim]:
    holders: dict[T, Claim] = {}
    for thing, claim in claims:
        holder = holders.setdefault(thing, claim)
        if holder is not claim and claim.rank < holder.rank:
            holders[thing] = claim
    return holders
