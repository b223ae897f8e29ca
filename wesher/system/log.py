"""The log: loguru to standard error, for a terminal or for the journal."""

import atexit
import os
import sys
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from wesher.base.errors import printable
from wesher.system.terminal import screen_of, wrapped

if TYPE_CHECKING:
    from loguru import Message, Record

_STDOUT, _STDERR = 1, 2
_FORMAT = "{time:HH:mm:ss} {level: <7} {message}"
_INDENT = 17  # columns before the message
_FLUSH_TIME = 0.3  # seconds that the end of a process waits for whoever reads
_writers: dict[int, "Writer"] = {}
"""Who writes for us to standard output and standard error, once `detach` has been called."""

_LEVELS = {"debug": "DEBUG", "info": "INFO", "warn": "WARNING", "error": "ERROR"}
_PRIORITIES = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}  # sd-daemon(3)

MAX_WAITING = 1000  # texts; a debug log of many seconds
LOST = "{count} lines of the log were lost: nobody read them\n"


def detach() -> None:
    """Never wait, from now on, for whoever reads our output: we must not stand still.

    What nobody reads is dropped, and how much that was is said when somebody reads again.
    """
    if not _writers:
        _writers.update({number: Writer(number) for number in (_STDOUT, _STDERR)})
        atexit.register(flush)


def flush() -> None:
    """Give whoever reads our output a moment for the rest of it."""
    for writer in _writers.values():
        writer.flush(_FLUSH_TIME)


def set_up(level: str) -> None:
    """Send the log to standard error from `level` (debug, info, warn, error) up.

    Under systemd each line carries its priority and no time of its own.
    """
    journal = "JOURNAL_STREAM" in os.environ
    logger.remove()
    logger.configure(patcher=_disarm)
    logger.add(
        _write_to_journal if journal else _write_to_terminal,
        level=_LEVELS[level],
        format="{message}" if journal else _FORMAT,
        # Tracebacks with local variables would show keys.
        diagnose=False,
        backtrace=False,
    )


def tell(line: str) -> None:
    """Print one line for whoever started us; that nobody reads it any more is no failure."""
    if writer := _writers.get(_STDOUT):
        writer.write(f"{line}\n")
        return
    try:
        print(line, flush=True)
    except OSError:
        # What could not be written would be tried again, and complained about, at exit.
        with Path(os.devnull).open("wb") as nobody:
            os.dup2(nobody.fileno(), sys.stdout.fileno())


def complain(line: str) -> None:
    """Print one line to standard error, whatever the level of the log; it may be gone."""
    with suppress(OSError):
        _write(f"{line}\n")


def _disarm(record: "Record") -> None:
    record["message"] = printable(record["message"])


def _write_to_terminal(message: "Message") -> None:
    """Write a line, on a terminal with what is too long for it below the text's beginning."""
    first, newline, rest = message.partition("\n")
    lines = wrapped(first, screen_of(sys.stderr).columns, _INDENT)
    _write("\n".join(lines) + newline + rest)


def _write_to_journal(message: "Message") -> None:
    priority = _PRIORITIES.get(message.record["level"].name, 6)
    _write("".join(f"<{priority}>{line}\n" for line in message.splitlines()))


def _write(text: str) -> None:
    if writer := _writers.get(_STDERR):
        writer.write(text)
    else:
        sys.stderr.write(text)


class Writer:
    """Writes texts to a descriptor, in order, as fast as they are read there; nobody waits for it.

    A terminal in Ctrl-S, a pager, a log shipper that hangs: a write to it lasts for ever. So a
    thread of its own writes, and what it cannot keep up with is dropped and counted. It writes to
    the descriptor itself: a stream's lock, held by a thread that waits, would abort the interpreter
    at its end.
    """

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
