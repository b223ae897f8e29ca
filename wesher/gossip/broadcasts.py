"""The news waiting to be gossiped (spec/memberlist.md, 4.6)."""

from bisect import bisect_left, insort
from itertools import chain, count
from typing import NamedTuple

PART_OVERHEAD = 2  # bytes, the length of a part in a compound message
SMALLEST_NEWS = 28 + PART_OVERHEAD  # bytes, what the shortest name's suspect message takes
EAGER_LIMIT = 64
"""How many news may wait for their eager rounds. More come only from a push/pull, so that others
know them already: the oldest are then gossiped at the normal pace only."""


class _Broadcast(NamedTuple):
    """Its order is that of sending: fewest transmissions, then longest, then newest."""

    transmissions: int
    minus_size: int
    minus_serial: int
    subject: str
    message: bytes


class Broadcasts:
    """At most one pending message per subject: the newest.

    Each is sent until its transmit limit; and in two eager rounds besides, which do not count.
    """

    def __init__(self, local_name: str, *, eager: bool) -> None:
        self._local_name = local_name
        self._eager = eager
        self._serials = count(1)
        self._by_subject: dict[str, _Broadcast] = {}
        self._order: list[_Broadcast] = []
        self._fresh: dict[str, bytes] = {}
        self._told_once: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._order)

    @property
    def eager_waiting(self) -> bool:
        """Tell whether a broadcast has an eager round left."""
        return bool(self._fresh or self._told_once)

    def queue(self, subject: str, message: bytes, *, at_once: bool = True) -> None:
        """Add an encoded message about `subject`; it replaces the one that waits.

        Only what is to be known `at_once`, or replaces such a message, has eager rounds.
        """
        at_once |= subject in self._fresh or subject in self._told_once
        self.drop(subject)
        broadcast = _Broadcast(0, -len(message), -next(self._serials), subject, message)
        self._by_subject[subject] = broadcast
        insort(self._order, broadcast)
        if self._eager and at_once:
            self._make_room()
            self._fresh[subject] = message

    def drop(self, subject: str) -> None:
        """Forget what waits about `subject`."""
        old = self._by_subject.pop(subject, None)
        if old is not None:
            del self._order[bisect_left(self._order, old)]
        self._told_once.pop(subject, None)
        self._fresh.pop(subject, None)

    def drop_others(self) -> None:
        """Forget all news but those about ourselves: we were asleep, and they are old."""
        for broadcast in [one for one in self._order if one.subject != self._local_name]:
            self._order.remove(broadcast)
            del self._by_subject[broadcast.subject]
        for waiting in (self._fresh, self._told_once):
            for subject in [one for one in waiting if one != self._local_name]:
                del waiting[subject]

    def _make_room(self) -> None:
        """Give up the oldest eager rounds if there are too many, but not those about ourselves."""
        if len(self._fresh) + len(self._told_once) < EAGER_LIMIT:
            return
        waiting = chain(self._told_once, self._fresh)
        oldest = next(subject for subject in waiting if subject != self._local_name)
        self._told_once.pop(oldest, None)
        self._fresh.pop(oldest, None)

    def take(self, space: int, limit: int) -> list[bytes]:
        """Return what to send in `space` bytes, counting a transmission of each.

        A broadcast is forgotten with its transmission number `limit`.
        """
        chosen = self._choose(space)
        taken = [self._order.pop(index) for index in reversed(chosen)]
        for broadcast in taken:
            again = _Broadcast(broadcast.transmissions + 1, *broadcast[1:])
            if again.transmissions >= limit:
                del self._by_subject[broadcast.subject]
            else:
                self._by_subject[broadcast.subject] = again
                insort(self._order, again)
        return [broadcast.message for broadcast in reversed(taken)]

    def _choose(self, space: int) -> list[int]:
        chosen: list[int] = []
        index = 0
        while index < len(self._order) and space > PART_OVERHEAD:
            transmissions, minus_size = self._order[index][:2]
            if PART_OVERHEAD - minus_size <= space:
                chosen.append(index)
                space -= PART_OVERHEAD - minus_size
                index += 1
            else:
                index = bisect_left(self._order, (transmissions, PART_OVERHEAD - space), index)
        return chosen

    def take_eagerly(self, space: int) -> list[bytes]:
        """Return what to send in `space` bytes of an eager round: first rounds, then the newest."""
        first = _fitting(self._fresh, space)
        space -= sum(len(self._fresh[subject]) + PART_OVERHEAD for subject in first)
        second = _fitting(self._told_once, space)
        messages = [self._told_once.pop(subject) for subject in second]
        for subject in first:
            self._told_once[subject] = self._fresh.pop(subject)
            messages.append(self._told_once[subject])
        return messages


def _fitting(waiting: dict[str, bytes], space: int) -> list[str]:
    chosen = []
    for subject, message in reversed(waiting.items()):
        if space < SMALLEST_NEWS:
            break
        if len(message) + PART_OVERHEAD <= space:
            chosen.append(subject)
            space -= len(message) + PART_OVERHEAD
    return chosen
