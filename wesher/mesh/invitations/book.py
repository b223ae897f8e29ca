"""The invitations of one agent, and the rules of redeeming them.

A book is a value: whoever changes it gets another, saves that, and only then goes by it; so what
was let in has been counted before it knows a key, whatever the disk does.

One that has ended is remembered for a week, to say why it lets nobody in. A host may ask again as
long as the invitation is not withdrawn or expired: its answer may have been lost. That it is the
same host its ephemeral key shows, which nobody else can use: who has recorded the first request
and sends it again gets an answer that only that host can open.
"""

from collections.abc import Collection, Iterable

from wesher.base.frozen import frozen, replace
from wesher.mesh.base.invitation import Invitation, Standing, Use
from wesher.mesh.invitations.messages import Reason

MAX_OPEN = 64  # invitations at a time: each is one more that could be lost somewhere
MAX_KEPT = 256  # in all
KEPT = 7 * 24 * 3600  # seconds that one is remembered after its end

_WHY = {
    Standing.USED: Reason.USED,
    Standing.EXPIRED: Reason.EXPIRED,
    Standing.WITHDRAWN: Reason.WITHDRAWN,
}


@frozen
class Book:
    """All invitations, the oldest first."""

    invitations: tuple[Invitation, ...] = ()

    def find(self, name: str) -> Invitation | None:
        """Return the invitation with this id."""
        return next((one for one in self.invitations if one.id == name), None)

    def open(self, now: float) -> tuple[Invitation, ...]:
        """Return those that still let somebody in."""
        return tuple(one for one in self.invitations if one.standing(now) is Standing.OPEN)

    def issued(self, invitation: Invitation, now: float) -> "Book":
        """Return the book with one more; ValueError when too many are open."""
        if len(self.open(now)) >= MAX_OPEN:
            raise ValueError(f"{MAX_OPEN} invitations are open: withdraw some")
        kept = self.remembered(now).invitations
        room = MAX_KEPT - 1
        over = len(kept) - room
        ended = [one.id for one in kept if one.standing(now) is not Standing.OPEN]
        dropped = set(ended[: max(0, over)])
        return Book((*(one for one in kept if one.id not in dropped), invitation))

    def remembered(self, now: float) -> "Book":
        """Return the book without those that ended long ago."""
        ends = ((one, one.ended_at(now)) for one in self.invitations)
        return Book(tuple(one for one, end in ends if end is None or now - end < KEPT))

    def redeemed(self, name: str, use: Use) -> "Book":
        """Return the book with one use more of this invitation."""
        return self._with(
            replace(one, used=(*one.used, use)) for one in self.invitations if one.id == name
        )

    def withdrawn(self, names: Collection[str], now: float) -> "Book":
        """Return the book with these invitations withdrawn."""
        return self._with(
            replace(one, withdrawn_at=int(now)) for one in self.invitations if one.id in names
        )

    def _with(self, changed: Iterable[Invitation]) -> "Book":
        by_name = {one.id: one for one in changed}
        return Book(tuple(by_name.get(one.id, one) for one in self.invitations))


def verdict(invitation: Invitation, proof: bytes, now: float) -> Reason | None:
    """Return why the host with this proof is not let in; None when it is, perhaps again."""
    standing = invitation.standing(now)
    if standing is Standing.USED and is_repeated(invitation, proof):
        return None
    return _WHY.get(standing)


def is_repeated(invitation: Invitation, proof: bytes) -> bool:
    """Tell whether this host has been let in before, so that it costs no use now."""
    return any(use.proof == proof for use in invitation.used)
