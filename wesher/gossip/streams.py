"""Streams that we open: one request, one reply, by TCP; and with which of our keys.

With several keys nobody tells us which of them a host has that we do not know yet, or that was away
while the key was changed. So a request that could not be read is made again with another key, while
its time lasts: with the one that the complaint bears, as that is the other's primary one; or, when
none of ours opens it, with the next of ours. A host that has none of them costs as many connections
as we have keys, and is told of as before.
"""

from collections import deque
from collections.abc import Callable, Iterator

from wesher.base.addresses import Address
from wesher.base.errors import ProtocolError, UndecryptableError
from wesher.base.frozen import frozen, replace
from wesher.base.timers import Timers
from wesher.gossip.codec import encode
from wesher.gossip.events import NotRead
from wesher.gossip.messages import ErrorReply, Message
from wesher.gossip.outbox import Outbox, drain
from wesher.gossip.settings import Timer
from wesher.gossip.wire import Wire


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


@frozen(hidden=("message", "tried"))
class _Asked:
    """A stream that waits: with whom, what was asked, and who waits for the answer.

    `tried` are the keys that have sealed it, the last one last; `frame` is what that made of it.
    """

    to: Address
    message: bytes
    tried: tuple[bytes, ...]
    frame: bytes
    until: float
    on_answer: AnswerHandler


class Streams:
    """The streams to open, and who waits for what comes of them."""

    def __init__(self, wire: Wire, timers: Timers, outbox: Outbox) -> None:
        self._wire = wire
        self._timers = timers
        self._outbox = outbox
        self._requests: deque[StreamRequest] = deque()
        self._waiting: dict[int, _Asked] = {}

    def open(
        self, to: Address, message: Message, now: float, timeout: float, on_answer: AnswerHandler
    ) -> int:
        """Ask for an exchange and return its number; `on_answer` is called once, in time."""
        number, encoded = self._outbox.next_id(), encode(message)
        asked = _Asked(to, encoded, (), b"", now + timeout, on_answer)
        self._send(number, asked, self._wire.keyring.key_for(to), now)
        self._timers.set(
            (Timer.STREAM, number),
            now + timeout,
            lambda now: self.finish(number, Answer(error="timed out"), now),
        )
        return number

    def _send(self, number: int, asked: _Asked, key: bytes, now: float) -> None:
        self._outbox.stats.count_sent([asked.message])
        frame = self._wire.seal_frame(asked.message, key)
        self._waiting[number] = replace(asked, tried=(*asked.tried, key), frame=frame)
        self._requests.append(StreamRequest(number, asked.to, frame, asked.until - now))

    def is_own(self, number: int, frame: bytes) -> bool:
        """Tell whether these bytes, which have arrived, are the request of this stream."""
        asked = self._waiting.get(number)
        return asked is not None and asked.frame == frame

    def receive_reply(self, number: int, data: bytes, now: float) -> None:
        """Take the whole reply of a stream."""
        key = None
        try:
            message, key = self._wire.open_reply(data)
        except ProtocolError as error:
            undecryptable = isinstance(error, UndecryptableError)
            answer = Answer(error=str(error), undecryptable=undecryptable)
        else:
            self._outbox.stats.count_received([message])
            answer = Answer(message)
        if isinstance(answer.message, ErrorReply):
            answer = Answer(error=answer.message.error)
        if not (answer.error and self._ask_again(number, answer, key, now)):
            self.finish(number, answer, now)

    def _ask_again(self, number: int, answer: Answer, key: bytes | None, now: float) -> bool:
        """Ask with another key, if that is what it lacks; `key` has opened the complaint."""
        asked = self._waiting.get(number)
        if asked is None or not (key or answer.undecryptable) or key == asked.tried[-1]:
            return False
        ring = self._wire.keyring.keys
        if key and asked.tried == ring[:1]:
            self._outbox.emit_bounded(NotRead(asked.to))
        untried = [one for one in ([key] if key else ring) if one not in asked.tried]
        if untried and now < asked.until:
            self._send(number, asked, untried[0], now)
            return True
        return False

    def finish(self, number: int, answer: Answer, now: float) -> None:
        """End a stream; nothing happens if it has ended already."""
        asked = self._waiting.pop(number, None)
        self._timers.cancel((Timer.STREAM, number))
        if asked is not None:
            asked.on_answer(answer, now)

    def requests(self) -> Iterator[StreamRequest]:
        """Give out the streams to open, once."""
        return drain(self._requests)
