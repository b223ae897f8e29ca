"""Reading frames from streams, and who has to go when they hold too much memory."""

import asyncio
from collections import Counter
from collections.abc import Callable

from wesher.base.errors import ProtocolError

MAX_BUFFERED = 32 << 20  # bytes of unfinished frames, all streams together
CHUNK = 64 << 10  # bytes


class Frames:
    """The frames that are being read.

    When they hold too much together, the source that holds most loses its oldest: so whoever
    floods us harms nobody else.
    """

    def __init__(self) -> None:
        self._unfinished: dict[asyncio.StreamReader, tuple[str, bytearray]] = {}
        self._buffered = 0

    async def read(
        self,
        reader: asyncio.StreamReader,
        source: str,
        missing: Callable[[bytearray], int],
        begin_time: float,
    ) -> bytes:
        """Read until nothing of a frame is `missing`, its first bytes within `begin_time` seconds.

        Raises TimeoutError if these do not come, IncompleteReadError when the stream ends before
        the frame does, ProtocolError when it had to go.
        """
        frame = bytearray()
        self._unfinished[reader] = source, frame
        try:
            while (wanted := missing(frame)) > 0:
                async with asyncio.timeout(None if frame else begin_time):
                    chunk = await reader.read(min(wanted, CHUNK))
                if not chunk:
                    raise asyncio.IncompleteReadError(bytes(frame[:16]), len(frame) + wanted)
                frame += chunk
                self._count(len(chunk))
            return bytes(frame)
        finally:
            self._forget(reader)

    def _count(self, size: int) -> None:
        self._buffered += size
        while self._buffered > MAX_BUFFERED:
            self._give_one_up()

    def _give_one_up(self) -> None:
        held: Counter[str] = Counter()
        for source, frame in self._unfinished.values():
            held[source] += len(frame)
        [(greediest, _)] = held.most_common(1)
        oldest = next(
            reader
            for reader, (source, frame) in self._unfinished.items()
            if source == greediest and frame
        )
        oldest.set_exception(ProtocolError("too many bytes in unfinished streams"))
        self._forget(oldest)

    def _forget(self, reader: asyncio.StreamReader) -> None:
        _, frame = self._unfinished.pop(reader, ("", b""))
        self._buffered -= len(frame)
