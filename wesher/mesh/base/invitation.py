"""An invitation as the agent that made it keeps it."""

from enum import Enum

from wesher.base.frozen import frozen

MOST_TTL = 30 * 24 * 3600  # seconds: a token is for a host to come, no key to be kept
MOST_USES = 1000  # hosts; a mesh is not meant for more


class Standing(Enum):
    """What an invitation is good for at a moment."""

    OPEN = "open"
    USED = "used up"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


@frozen
class Use:
    """A host that was let in: who it says it is, where from, and when, in seconds since 1970.

    `proof` tells whether a later request is the same host's, whose answer was lost. `identity` is
    the fingerprint that people know the host by.
    """

    name: str
    ip: str
    at: int
    proof: bytes
    identity: str


@frozen(hidden=("key",))
class Invitation:
    """A right to redeem a token so many times; instants are in seconds since 1970.

    `key` is derived from the secret of the token, which nobody keeps. `withdrawn_at` is None until
    an operator withdraws it.
    """

    id: str
    key: bytes
    made_at: int
    expires_at: int
    uses: int
    used: tuple[Use, ...] = ()
    withdrawn_at: int | None = None

    @property
    def left(self) -> int:
        """How many hosts it still lets in."""
        return max(0, self.uses - len(self.used))

    def standing(self, now: float) -> Standing:
        """Return what it is good for; whichever ended it first does not matter to anybody."""
        if self.withdrawn_at is not None:
            return Standing.WITHDRAWN
        if now >= self.expires_at:
            return Standing.EXPIRED
        return Standing.OPEN if self.left else Standing.USED

    def ended_at(self, now: float) -> int | None:
        """Return since when it lets nobody in any more; None while it still does."""
        match self.standing(now):
            case Standing.OPEN:
                return None
            case Standing.USED:
                return self.used[-1].at
            case _:
                ends = (self.withdrawn_at, self.expires_at)
                return min(at for at in ends if at is not None)
