"""What the gossip wants done by its owner, and the news that wait to go with it.

The core does nothing itself: it leaves packets to send and events to hear in the `Outbox`, and its
owner drains them after each input; streams to open are in `streams`.

News travel in two ways (spec/memberlist.md, 4.6): by packets of their own, which `dissemination`
sends, and behind every message that is sent anyway, in what room is left there. Both take them from
`Broadcasts`, and each time counts. After retransmit_mult * log10(members) times, enough to reach
everybody, a piece of news is forgotten. There is one at most for each subject: the newest.

`Broadcasts` keeps them in more than one order:

* by subject, for a newer one to find the one that it replaces;
* sorted as they are to be sent: those sent least often, then the longest (short ones fill what room
  is left), then the newest. So what a packet takes is found without looking at all that waits;
* `_fresh` and `_told_once`, in the order of their arrival: what is still to be gossiped at once,
  in two rounds that do not count (decision 10).
"""

from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count
from math import inf
from typing import NamedTuple, TypeVar

from wesher.base.addresses import Address
from wesher.base.frozen import frozen
from wesher.gossip.codec import MessageType, encode
from wesher.gossip.events import DropReason, Event, PacketDropped
from wesher.gossip.members import Member, Members
from wesher.gossip.messages import (
    Ack,
    Alive,
    Dead,
    ErrorReply,
    IndirectPing,
    Message,
    Nack,
    Ping,
    PushPull,
    Suspect,
    UserMessage,
)
from wesher.gossip.settings import transmit_limit
from wesher.gossip.wire import BUDGET, Wire

CHECKSUM_SINCE = 5  # the protocol version whose speakers are sent checksums
MAX_EVENTS = 1000  # undrained; beyond it, what strangers can cause goes unreported
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


_TYPES: dict[type[Message], MessageType] = {
    Ping: MessageType.PING,
    IndirectPing: MessageType.INDIRECT_PING,
    Ack: MessageType.ACK,
    Nack: MessageType.NACK,
    Suspect: MessageType.SUSPECT,
    Alive: MessageType.ALIVE,
    Dead: MessageType.DEAD,
    PushPull: MessageType.PUSH_PULL,
    UserMessage: MessageType.USER,
    ErrorReply: MessageType.ERROR,
}


class Stats:
    """Messages by kind, those in packets and those in streams together; joins and so on.

    `joins` counts members that joined or returned;
    `suspicions` are those of others that began here, whoever was the first to accuse.
    """

    def __init__(self) -> None:
        self._received: Counter[type[Message]] = Counter()
        self._sent: Counter[int] = Counter()
        self.joins = 0
        self.suspicions = 0
        self.refutations = 0

    def count_received(self, messages: Iterable[Message]) -> None:
        """Count messages that arrived."""
        for message in messages:
            self._received[type(message)] += 1

    def count_sent(self, encoded: Iterable[bytes]) -> None:
        """Count messages that leave; the first byte of each tells its kind."""
        for part in encoded:
            self._sent[part[0]] += 1

    @property
    def received(self) -> Counter[MessageType]:
        """How many messages of each kind arrived."""
        return Counter({_TYPES[kind]: count for kind, count in self._received.items()})

    @property
    def sent(self) -> Counter[MessageType]:
        """How many messages of each kind left."""
        return Counter({MessageType(kind): count for kind, count in self._sent.items()})


@frozen
class Packet:
    """A datagram to send."""

    data: bytes
    to: Address


_Output = TypeVar("_Output")


class Outbox:
    """Collects outputs until they are drained, and numbers what we ask."""

    def __init__(
        self,
        wire: Wire,
        members: Members,
        broadcasts: Broadcasts,
        retransmit_mult: int,
    ) -> None:
        self._wire = wire
        self._members = members
        self._broadcasts = broadcasts
        self._retransmit_mult = retransmit_mult
        self.stats = Stats()
        self._packets: deque[Packet] = deque()
        self._events: list[Event] = []
        self._last_id = 0
        self._carriers = inf  # messages that news may still go with
        self.asked_with: bytes | None = None
        """The key of the packet that is just taken in; an answer to it is encrypted with it."""

    def send(self, message: Message, to: Address, *, key: bytes | None = None) -> None:
        """Send `message` and, mostly, as much news as fits behind it; `key` is for an answer."""
        parts = [encode(message)]
        if self._carriers:
            self._carriers -= 1
            parts += self.take_broadcasts(BUDGET - len(parts[0]))
        # memberlist looks for a member named like the IP; there is one if all are named so.
        self._put(parts, to, self._members.get(to.ip), key)

    def begin_answer(self, key: bytes | None) -> None:
        """Let news go with the first message only that is sent until `end_answer`.

        Otherwise one packet of many pings would use up the transmissions of all that waits. The
        `key` has opened that packet.
        """
        self._carriers, self.asked_with = 1, key

    def end_answer(self) -> None:
        """Let news go with every message again."""
        self._carriers, self.asked_with = inf, None

    def send_parts(self, parts: Sequence[bytes], member: Member) -> None:
        """Send encoded messages, and nothing else, to a known member."""
        self._put(parts, member.address, member, None)

    def take_broadcasts(self, space: int) -> list[bytes]:
        """Return broadcasts to send in `space` bytes, counted as transmitted."""
        limit = transmit_limit(self._retransmit_mult, len(self._members))
        return self._broadcasts.take(space, limit)

    def _put(
        self, parts: Sequence[bytes], to: Address, member: Member | None, key: bytes | None
    ) -> None:
        self.stats.count_sent(parts)
        checksum = member is not None and member.newest_protocol >= CHECKSUM_SINCE
        key = key or self._wire.keyring.key_for(to)
        data = self._wire.seal_packet(parts, checksum=checksum, key=key)
        self._packets.append(Packet(data, to))

    def next_id(self) -> int:
        """Return a number that no stream and no ping of ours has had."""
        self._last_id += 1
        return self._last_id

    def emit(self, event: Event) -> None:
        """Tell the owner."""
        self._events.append(event)

    def emit_bounded(self, event: Event) -> None:
        """Tell the owner what others can cause at will, unless it has too much to hear already."""
        if len(self._events) < MAX_EVENTS:
            self.emit(event)

    def drop(
        self, source: Address, reason: DropReason, detail: str, *, stream: bool = False
    ) -> None:
        """Tell the owner that something from `source` was thrown away."""
        self.emit_bounded(PacketDropped(source, reason, detail, stream))

    def packets(self) -> Iterator[Packet]:
        """Give out the packets to send, once."""
        return drain(self._packets)

    def events(self) -> list[Event]:
        """Give out the events, once."""
        events, self._events = self._events, []
        return events


def drain(queue: deque[_Output]) -> Iterator[_Output]:
    """Give out what waits, once."""
    while queue:
        yield queue.popleft()
