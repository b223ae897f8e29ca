"""What a terminal is like and how lines are put on it: width, colours, wrapping, and waiting.

Anything else than a terminal, a pipe for instance, has no width and no colours.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from importlib import import_module
from typing import NoReturn, TextIO

from wesher.base.errors import printable
from wesher.base.frozen import frozen

USUAL_COLUMNS, USUAL_LINES = 80, 24  # where a terminal tells no size, as a serial line
LEAST_WRAPPED = 20  # columns for the text beside its indent; with less it is left to the terminal
ELLIPSIS = "…"
_ERASE = "\r\x1b[K"  # the line that the cursor is in (ECMA-48, 8.3.41)
_ENDING = (signal.SIGINT, signal.SIGTERM)


class Style(Enum):
    """How a text stands out, where there are colours; the value is that of SGR (ECMA-48, 8.3.117).

    Of the sixteen colours that every theme makes readable.
    """

    BAD = "1;31"
    DOUBTFUL = "33"
    HEAD = "1"


@frozen
class Span:
    """A part of a line in one style."""

    text: str
    style: Style | None = None


Line = str | tuple[Span, ...]


@frozen
class Screen:
    """Where lines go to; `columns` is None where lines may have any length.

    `erases` says that what was shown can be taken back.
    """

    columns: int | None = None
    colours: bool = False
    erases: bool = False


ANYWHERE = Screen()
"""A pipe, a file: neither width nor colours."""


def screen_of(stream: TextIO) -> Screen:
    """Return what a stream writes to, as the environment wants it."""
    if not stream.isatty():
        return ANYWHERE
    columns, _ = size_of(stream)
    dumb = os.environ.get("TERM", "dumb") == "dumb"
    return Screen(columns, not dumb and not os.environ.get("NO_COLOR"), not dumb)


def size_of(stream: TextIO) -> tuple[int, int]:
    """Return columns and lines of the terminal that a stream writes to."""
    try:
        told = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return USUAL_COLUMNS, USUAL_LINES
    return told.columns or USUAL_COLUMNS, told.lines or USUAL_LINES


def cells(text: str) -> int:
    """Return how many columns a terminal needs for a text: East Asian letters take two."""
    if text.isascii():
        return len(text)
    known = import_module("unicodedata")
    return sum(
        0 if known.combining(one) else 2 if known.east_asian_width(one) in "WF" else 1
        for one in text
    )


def shortened(text: str, columns: int) -> str:
    """Return a text of at most `columns`, without its middle if need be: both its ends tell."""
    if cells(text) <= columns:
        return text
    if columns < 3:
        return ELLIPSIS[:columns]
    head, tail = text, text
    while cells(head) > columns - 1 - (columns - 1) // 3:
        head = head[:-1]
    while cells(tail) > (columns - 1) // 3:
        tail = tail[1:]
    return f"{head}{ELLIPSIS}{tail}"


def wrapped(text: str, columns: int | None, indent: int) -> list[str]:
    """Return the lines of a text: those after the first begin with `indent` spaces.

    Words that are longer than a line are broken; nothing else is lost, nor is the first indent.
    """
    if columns is None or cells(text) <= columns or columns - indent < LEAST_WRAPPED:
        return [text]
    first, *rest = _folded(text[indent:], columns - indent)
    return [text[:indent] + first, *(" " * indent + line for line in rest)]


def _folded(text: str, columns: int) -> Iterator[str]:
    line = ""
    for word in text.split(" "):
        if line and cells(line) + 1 + cells(word) > columns:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
        while cells(line) > columns:
            fits = next(at for at in range(len(line), 0, -1) if cells(line[:at]) <= columns)
            yield line[:fits]
            line = line[fits:]
    yield line


def painted(line: Line, *, colours: bool) -> str:
    """Return a line for a terminal; what could drive one is escaped, but for its styles."""
    if isinstance(line, str):
        return printable(line)
    return "".join(_paint(one, colours) for one in line)


def _paint(span: Span, colours: bool) -> str:
    text = printable(span.text)
    return f"\x1b[{span.style.value}m{text}\x1b[0m" if colours and span.style else text


class Waiting:
    """One line at the end of what is shown, that comes and goes."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._shown = False

    def begins(self, what: str) -> None:
        """Say what is waited for now, unless that could not be erased."""
        if self._screen.erases:
            text = shortened(f"waiting for {printable(what)}", (self._screen.columns or 80) - 1)
            self._shown = True  # before it is: a signal may come any time after
            self._write(_ERASE + text)

    def ends(self) -> None:
        """Erase it."""
        if self._shown:
            self._write(_ERASE)
            self._shown = False

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


@contextmanager
def waiting(screen: Screen) -> Iterator[Waiting]:
    """Be able to say what is waited for; nothing of it is left, whatever ends the command."""
    one = Waiting(screen)

    def end(number: int, _frame: object) -> NoReturn:
        one.ends()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
        raise SystemExit(number)  # not reached, but where the signal is blocked

    usual = [(number, signal.signal(number, end)) for number in _ENDING] if screen.erases else []
    try:
        yield one
    finally:
        one.ends()
        for number, handler in usual:
            signal.signal(number, handler)
