"""Who holds an overlay address, a key or a name that several members claim.

Who had it and is there keeps it (`seniority`). Of claims that appear together every node that knows
the same ones finds the same holder, whatever it heard first.
"""

from collections.abc import Callable, Container, Hashable, Iterable
from typing import TypeVar

from wesher.base.frozen import frozen
from wesher.mesh.base.plan import IPAddress
from wesher.mesh.base.seniority import Seniority
from wesher.mesh.planning.validation import LocalMember, ValidMember

T = TypeVar("T", bound=Hashable)

Claimant = LocalMember | ValidMember


@frozen
class Conflict:
    """Two members claim one overlay address; `winner` holds it, for good if it is `fixed`.

    Then neither can move.
    """

    address: IPAddress
    winner: str
    loser: str
    fixed: bool = False


class Claims:
    """Settles who holds what several claim; `live` are the names of those who are there.

    What each claims has been noted by `seniority`. If it `protects` those with an identity, they
    give way to no newcomer of the original.
    """

    def __init__(
        self, live: Container[str], seniority: Seniority, *, protects: bool = False
    ) -> None:
        self._live = live
        self._seniority = seniority
        self._protects = protects

    def is_live(self, name: str) -> bool:
        """Tell whether a member is there."""
        return name in self._live

    def address_holders(self, claimants: Iterable[Claimant]) -> dict[IPAddress, Claimant]:
        """Return who holds each claimed overlay address.

        Members of the original cannot move, so ours make room for them however late they come,
        unless they are protected: anybody can pass for one.
        """

        def beats(one: Claimant, holder: Claimant) -> bool:
            is_protected = self._protects and (one.has_identity or holder.has_identity)
            if (one.original or holder.original) and not is_protected:
                return self._rank(one) < self._rank(holder)
            return self._beats(one, holder, one.overlay_addr)

        return _holders(((one.overlay_addr, one) for one in claimants), beats)

    def key_holders(self, claimants: Iterable[Claimant]) -> dict[str, Claimant]:
        """Return who holds each claimed key."""
        return _holders(
            ((one.public_key, one) for one in claimants),
            lambda one, holder: self._beats(one, holder, one.public_key),
        )

    def name_holder(self, name: str, claimants: Iterable[Claimant]) -> Claimant:
        """Return which of these, at least one, the name in lower case means."""
        holders = _holders(
            ((name, one) for one in claimants),
            lambda one, holder: self._beats(one, holder, name),
        )
        return holders[name]

    def _beats(self, one: Claimant, holder: Claimant, thing: Hashable) -> bool:
        if (one.name in self._live) is (holder.name in self._live):
            order = self._seniority.order(one.name, holder.name, thing)
            if order:
                return order < 0
        return self._rank(one) < self._rank(holder)

    def _rank(self, one: Claimant) -> tuple[bool, bool, bool, bool, str]:
        """Return the order among claims to one thing: the smallest holds it."""
        return one.name not in self._live, not one.immovable, one.late, not one.kept, one.name


def _holders(
    claims: Iterable[tuple[T, Claimant]], beats: Callable[[Claimant, Claimant], bool]
) -> dict[T, Claimant]:
    holders: dict[T, Claimant] = {}
    for thing, claimant in claims:
        holder = holders.setdefault(thing, claimant)
        if holder is not claimant and beats(claimant, holder):
            holders[thing] = claimant
    return holders
