"""Whom a name is believed to be: what `--trust` says, as a value that gossip asks of each claim.

A claim that is not old news is asked of before it has any effect (gossip/intake.py). What is denied
changes nothing, and our owner hears of it: `identity_contests` finds out who is there, and may let
it in.

* `live`: who has a name and answers keeps it. Another identity may have it when nobody answers for
  the old one, and it does itself. Members without identity (the original, older versions) are
  believed as ever, but never at the cost of one with an identity.
* `pinned`: besides, the first identity that is seen under a name has it for good, until an operator
  says otherwise; who has none is let in with `pinned,unsigned` only.
* `open`: whatever is claimed with the cluster key is believed, as the original does.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Literal

from wesher.base.frozen import EMPTY, frozen
from wesher.gossip import Alive, Member
from wesher.mesh.base.signing import FORGED, identity_of

Trust = Literal["live", "pinned", "pinned,unsigned", "open"]


class Denial(Enum):
    """Why a claim is not believed."""

    FORGED = "its signature is not of the key that it names"
    ANOTHER = "another identity has the name"
    NOT_PINNED = "the name is pinned to another identity"
    UNSIGNED = "it has no identity"


@frozen
class Admission:
    """What is believed of whom; `failed` are identities of members that gossip has forgotten.

    `pins` are the identities that names are pinned to.
    """

    trust: Trust
    failed: Mapping[str, bytes] = EMPTY
    pins: Mapping[str, bytes] = EMPTY

    def objection(self, claim: Alive, held: Member | None) -> Denial | None:
        """Return why a claim is not to be believed, if we hold this of its name."""
        if self.trust == "open":
            return None
        identity = identity_of(claim)
        if identity == FORGED:
            return Denial.FORGED
        if self.trust != "live" and (denial := self._unpinned(claim.node, identity)):
            return denial
        return Denial.ANOTHER if self._is_anothers(identity, claim, held) else None

    def _unpinned(self, name: str, identity: bytes | None) -> Denial | None:
        pin = self.pins.get(name)
        if identity is None and (pin or self.trust == "pinned"):
            return Denial.UNSIGNED
        return Denial.NOT_PINNED if pin not in {None, identity} else None

    def _is_anothers(self, identity: bytes | None, claim: Alive, held: Member | None) -> bool:
        """Tell whether another has the name: one that proved who it is, or one that lives."""
        has = (identity_of(held) or None) if held else self.failed.get(claim.node)
        is_kept = has is not None or (held is not None and held.live)
        return is_kept and has != identity
