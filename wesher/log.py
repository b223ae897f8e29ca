"""The log: loguru to standard error, for a terminal or for the journal."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from wesher.printable import printable

if TYPE_CHECKING:
    from loguru import Message, Record

_LEVELS = {"debug": "DEBUG", "info": "INFO", "warn": "WARNING", "error": "ERROR"}
_PRIORITIES = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}  # sd-daemon(3)


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
        format="{message}" if journal else "{time:HH:mm:ss} {level: <7} {message}",
        # Tracebacks with local variables would show keys.
        diagnose=False,
        backtrace=False,
    )


def tell(line: str) -> None:
    """Print one line for whoever started us; that nobody reads it any more is no failure."""
    try:
        print(line, flush=True)
    except OSError:
        # What could not be written would be tried again, and complained about, at exit.
        with Path(os.devnull).open("wb") as nobody:
            os.dup2(nobody.fileno(), sys.stdout.fileno())


def _disarm(record: "Record") -> None:
    record["message"] = printable(record["message"])


def _write_to_terminal(message: "Message") -> None:
    sys.stderr.write(message)


def _write_to_journal(message: "Message") -> None:
    priority = _PRIORITIES.get(message.record["level"].name, 6)
    sys.stderr.write("".join(f"<{priority}>{line}\n" for line in message.splitlines()))
