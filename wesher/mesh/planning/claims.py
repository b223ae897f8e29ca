"""Who holds an overlay address, a key or a name that several members claim.

Who had it and is there keeps it (`seniority`). Of claims that appear together every node that knows
the same ones finds the same holder, whatever it heard first.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from wesher.base.frozen import frozen
from wesher.mesh.base.plan import IPAddress
from wesher.mesh.base.seniority import Seniority

T = TypeVar("T", bound=Hashable)


@frozen
class Claim:
    """One member's claim to its address and key, and what decides between several.

    `immovable` members cannot choose another address (Go peers, `--overlay-addr`); who is `late`
    has taken one that another of these had. `kept` says that the address is from before the
    member's start, or fixed and not late. `original` members run the Go program.
    """

    name: str
    overlay_addr: IPAddress
    public_key: str
    live: bool
    immovable: bool
    kept: bool
    late: bool = False
    original: bool = False

    @property
    def rank(self) -> tuple[bool, bool, bool, bool, str]:
        """Order among claims to one thing: the smallest holds it."""
        return not self.live, not self.immovable, self.late, not self.kept, self.name


@frozen
class Conflict:
    """Two members claim one overlay address; `winner` holds it, for good if it is `fixed`.

    Then neither can move.
    """

    address: IPAddress
    winner: str
    loser: str
    fixed: bool = False


def address_holders(claims: Iterable[Claim], seniority: Seniority) -> dict[IPAddress, Claim]:
    """Return who holds each claimed overlay address.

    Members of the original cannot move, so ours make room for them however late they come.
    """

    def beats(claim: Claim, holder: Claim) -> bool:
        if claim.original or holder.original:
            return claim.rank < holder.rank
        return _beats(claim, holder, claim.overlay_addr, seniority)

    return _holders(((claim.overlay_addr, claim) for claim in claims), beats)


def key_holders(claims: Iterable[Claim], seniority: Seniority) -> dict[str, Claim]:
    """Return who holds each claimed key."""
    return _holders(
        ((claim.public_key, claim) for claim in claims),
        lambda claim, holder: _beats(claim, holder, claim.public_key, seniority),
    )


def name_holder(name: str, claims: Iterable[Claim], seniority: Seniority) -> Claim:
    """Return which of these, at least one, the name in lower case means."""
    holders = _holders(
        ((name, claim) for claim in claims),
        lambda claim, holder: _beats(claim, holder, name, seniority),
    )
    return holders[name]


def _beats(claim: Claim, holder: Claim, thing: Hashable, seniority: Seniority) -> bool:
    if claim.live is holder.live:
        order = seniority.order(claim.name, holder.name, thing)
        if order:
            return order < 0
    return claim.rank < holder.rank


def _holders(
    claims: Iterable[tuple[T, Claim]], beats: Callable[[Claim, Claim], bool]
) -> dict[T, Claim]:
    holders: dict[T, Claim] = {}
    for thing, claim in claims:
        holder = holders.setdefault(thing, claim)
        if holder is not claim and beats(claim, holder):
            holders[thing] = claim
    return holders
