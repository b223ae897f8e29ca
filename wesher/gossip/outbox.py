"""What the gossip wants done by its owner: packets to send, streams to open, events to hear."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from wesher.base.errors import ProtocolError, UndecryptableError
from wesher.base.frozen import frozen
from wesher.base.timers import Timers
from wesher.gossip.addresses import Address
from wesher.gossip.broadcasts import Broadcasts
from wesher.gossip.codec import encode
from wesher.gossip.events import DropReason, Event, PacketDropped
from wesher.gossip.members import Member, Members
from wesher.gossip.messages import ErrorReply, Message
from wesher.gossip.stats import Stats
from wesher.gossip.timers import Timer
from wesher.gossip.timing import transmit_limit
from wesher.gossip.wire import Wire

CHECKSUM_SINCE = 5  # the protocol version whose speakers are sent checksums
MAX_EVENTS = 1000  # undrained; beyond it, what strangers can cause goes unreported


@frozen
class Packet:
    """A datagram to send."""

    data: bytes
    to: Address


@frozen
class StreamRequest:
    """A TCP exchange to make: connect, write `data`, hand what comes back to `receive_reply`.

    All of it within `timeout` seconds; whatever goes wrong is reported with `stream_failed`.
    """

    id: int
    to: Address
    data: bytes
    timeout: float


@frozen
class Answer:
    """How a stream that we opened ended: with a message, or with an error."""

    message: Message | None = None
    error: str = ""
    undecryptable: bool = False


AnswerHandler = Callable[[Answer, float], None]
_Output = TypeVar("_Output")


class Outbox:
    """Collects outputs until they are drained, and knows who waits for which stream's answer."""

    def __init__(
        self,
        wire: Wire,
        members: Members,
        broadcasts: Broadcasts,
        timers: Timers,
        retransmit_mult: int,
    ) -> None:
        self._wire = wire
        self._members = members
        self._broadcasts = broadcasts
        self._timers = timers
        self._retransmit_mult = retransmit_mult
        self.stats = Stats()
        self._packets: deque[Packet] = deque()
        self._streams: deque[StreamRequest] = deque()
        self._events: list[Event] = []
        self._waiting: dict[int, AnswerHandler] = {}
        self._last_id = 0
        self._answering = False
        self._news_sent = False

    @property
    def budget(self) -> int:
        """Bytes of news that fit in a packet of their own."""
        return self._wire.budget

    def send(self, message: Message, to: Address) -> None:
        """Send `message` and, mostly, as much news as fits behind it."""
        parts = [encode(message)]
        if not self._news_sent:
            self._news_sent = self._answering
            parts += self.take_broadcasts(self.budget - len(parts[0]))
        # memberlist looks for a member named like the IP; there is one if all are named so.
        self._put(parts, to, self._members.get(to.ip))

    @contextmanager
    def answering_a_packet(self) -> Iterator[None]:
        """Let news go with the first message sent meanwhile only.

        Otherwise one packet of many pings would use up the transmissions of all that waits.
        """
        self._answering = True
        yield
        self._answering = self._news_sent = False

    def send_parts(self, parts: Sequence[bytes], member: Member) -> None:
        """Send encoded messages, and nothing else, to a known member."""
        self._put(parts, member.address, member)

    def take_broadcasts(self, space: int) -> list[bytes]:
        """Return broadcasts to send in `space` bytes, counted as transmitted."""
        limit = transmit_limit(self._retransmit_mult, len(self._members))
        return self._broadcasts.take(space, limit)

    def _put(self, parts: Sequence[bytes], to: Address, member: Member | None) -> None:
        for part in parts:
            self.stats.count_sent(part)
        checksum = member is not None and member.newest_protocol >= CHECKSUM_SINCE
        self._packets.append(Packet(self._wire.seal_packet(parts, checksum=checksum), to))

    def next_id(self) -> int:
        """Return a number that no stream and no ping of ours has had."""
        self._last_id += 1
        return self._last_id

    def open_stream(
        self, to: Address, message: Message, now: float, timeout: float, on_answer: AnswerHandler
    ) -> StreamRequest:
        """Ask for an exchange; `on_answer` is called once, within `timeout` seconds."""
        encoded = encode(message)
        self.stats.count_sent(encoded)
        frame = self._wire.seal_frame(encoded)
        number = self.next_id()
        request = StreamRequest(number, to, frame, timeout)
        self._streams.append(request)
        self._waiting[number] = on_answer
        self._timers.set(
            (Timer.STREAM, number),
            now + timeout,
            lambda now: self.finish(number, Answer(error="timed out"), now),
        )
        return request

    def receive_reply(self, request_id: int, data: bytes, now: float) -> None:
        """Take the whole reply of a stream."""
        try:
            message = self._wire.open_frame(data, reply=True)
        except ProtocolError as error:
            undecryptable = isinstance(error, UndecryptableError)
            answer = Answer(error=str(error), undecryptable=undecryptable)
        else:
            self.stats.count_received(message)
            answer = Answer(message)
        if isinstance(answer.message, ErrorReply):
            answer = Answer(error=answer.message.error)
        self.finish(request_id, answer, now)

    def finish(self, request_id: int, answer: Answer, now: float) -> None:
        """End a stream; nothing happens if it has ended already."""
        on_answer = self._waiting.pop(request_id, None)
        self._timers.cancel((Timer.STREAM, request_id))
        if on_answer is not None:
            on_answer(answer, now)

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
        return _drain(self._packets)

    def streams(self) -> Iterator[StreamRequest]:
        """Give out the streams to open, once."""
        return _drain(self._streams)

    def events(self) -> list[Event]:
        """Give out the events, once."""
        events, self._events = self._events, []
        return events


def _drain(queue: deque[_Output]) -> Iterator[_Output]:
    while queue:
        yield queue.popleft()
