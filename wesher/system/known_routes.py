"""This host's routes as they were last read: a reconcile need not read them all again."""

import math
import time
from collections.abc import Callable

from wesher.system.network import Network, Scope, read_links, read_marked, read_network

PAUSE = 50.0  # times as long as reading all routes took we do not read them again: 2 % of a CPU
TRUST = 5000.0  # times as long until they are read again though nobody told of a change
LONGEST_TRUST = 3600.0  # seconds


class KnownRoutes:
    """Reads the host's network, of the routes only what may have changed.

    That is known as long as somebody follows the kernel and tells of changes: until `follow`, and
    after `lose`, every `read` reads all.
    """

    def __init__(
        self, scope: Scope | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._scope = scope
        self._clock = clock
        self._followed = False
        self._known = Network()
        self._read_at = -math.inf
        self._took = 0.0
        # Changes that were told of, and how many of them had been when the routes were read.
        self._told = self._told_of_ours = 1
        self._seen = self._seen_of_ours = 0

    def follow(self) -> None:
        """Say that from now on changes are told; the next `read` reads all."""
        self._followed = True
        self._read_at = -math.inf
        self.change()

    def lose(self) -> None:
        """Say that nobody tells of changes any more."""
        self._followed = False

    def change(self) -> None:
        """Say that any routes may have changed."""
        self._told += 1
        self._told_of_ours += 1

    def change_ours(self) -> None:
        """Say that routes of ours may have changed."""
        self._told_of_ours += 1

    @property
    def due_in(self) -> float | None:
        """Seconds until routes of others that changed are read again, None if none have."""
        if not self._followed or self._seen == self._told:
            return None
        return max(0.0, self._read_at + PAUSE * self._took - self._clock())

    async def read(self) -> Network:
        """Read interfaces and addresses, and the routes that may have changed.

        Raises CommandError when `ip` fails.
        """
        if self._all_due():
            self._known = await self._read_all()
        elif self._seen_of_ours < self._told_of_ours:
            self._known = await self._read_ours()
        else:
            self._known = await read_links(self._known)
        return self._known

    def _all_due(self) -> bool:
        trust = min(TRUST * self._took, LONGEST_TRUST)
        return not self._followed or self.due_in == 0 or self._clock() - self._read_at >= trust

    async def _read_all(self) -> Network:
        # What is told while we read is read the next time, and what fails has seen nothing.
        told, told_of_ours, began = self._told, self._told_of_ours, self._clock()
        network = await read_network(self._scope)
        self._seen, self._seen_of_ours = told, told_of_ours
        self._read_at = self._clock()
        self._took = self._read_at - began
        return network

    async def _read_ours(self) -> Network:
        told_of_ours = self._told_of_ours
        network = await read_marked(self._known)
        self._seen_of_ours = told_of_ours
        return network
