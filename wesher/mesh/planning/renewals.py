"""When to renew the WireGuard sessions with members that run the Go program.

At every join, update or leave of anybody it replaces all of its peers, and with them its sessions.
WireGuard on our side knows nothing of that: it sends into the old session, and gives up on it after
15 s without an answer. When the Go program does so cannot be seen, and before is too early.
"""

from wesher.gossip import MemberFailed, MemberJoined, MemberLeft, MemberUpdated

DELAYS = (0.3, 1.0, 2.5)  # seconds after the news: the Go program has it before us, or some later
_REWRITING = (MemberJoined, MemberUpdated, MemberFailed, MemberLeft)


class Renewals:
    """Says when renewals are due, and counts them; news that comes meanwhile shares them."""

    def __init__(self) -> None:
        self.count = 0
        self._last = float("-inf")
        self._due: float | None = None

    def note(self, event: object, now: float) -> None:
        """Take an event of the gossip."""
        if isinstance(event, _REWRITING):
            self.expect(now)

    def expect(self, now: float) -> None:
        """Hear of something that makes the Go program replace its peers."""
        self._last = now
        first = now + DELAYS[0]
        self._due = first if self._due is None else min(first, self._due)

    def due(self, now: float) -> float | None:
        """Return when the next renewal is due, None for never; what nobody needed is passed."""
        if self._due is not None and self._due < now:
            self._due = next((at for at in self._times() if at >= now), None)
        return self._due

    def renew(self, now: float) -> None:
        """Count the renewal that is due."""
        self.count += 1
        self._due = next((at for at in self._times() if at > now), None)

    def _times(self) -> list[float]:
        return [self._last + delay for delay in DELAYS]
