"""Writing to where somebody may have stopped reading, without ever waiting for him.

A terminal in Ctrl-S, a pager, a log shipper that hangs: a write to it lasts for ever. So a thread
of its own writes, and what it cannot keep up with is dropped and counted. It writes to the
descriptor itself: a stream's lock, held by a thread that waits, would abort the interpreter at its
end.
"""

import os
import threading
from collections import deque
from contextlib import suppress

MAX_WAITING = 1000  # texts; a debug log of many seconds
LOST = "{count} lines of the log were lost: nobody read them\n"


class Writer:
    """Writes texts to a descriptor, in order, as fast as they are read there."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: deque[str] = deque()
        self._changed = threading.Condition()
        self._lost = 0
        self._idle = True
        threading.Thread(target=self._run, name=f"writer {descriptor}", daemon=True).start()

    def write(self, text: str) -> None:
        """Have `text` written; never blocks."""
        with self._changed:
            if len(self._waiting) >= MAX_WAITING:
                self._lost += 1
                return
            self._waiting.append(text)
            self._idle = False
            self._changed.notify_all()

    def flush(self, limit: float) -> bool:
        """Wait until all is written, `limit` seconds at most; tells whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._idle, limit)

    def _run(self) -> None:
        while True:
            text = self._next()
            with suppress(OSError):  # nobody reads it any more: no failure of ours
                _write_all(self._descriptor, text.encode(errors="backslashreplace"))

    def _next(self) -> str:
        """Wait for something to write; what was lost is told as soon as the rest is written."""
        with self._changed:
            self._idle = not self._waiting and not self._lost
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._lost)
            if self._waiting:
                return self._waiting.popleft()
            count, self._lost = self._lost, 0
            return LOST.format(count=count)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
