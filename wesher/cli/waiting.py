"""What a command waits for, on a terminal only, and gone once it has come."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from wesher.base.errors import printable
from wesher.system.terminal import Screen, shortened

_ERASE = "\r\x1b[K"  # the line that the cursor is in (ECMA-48, 8.3.41)


class Waiting:
    """One line at the end of what is shown, that comes and goes."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._shown = False

    def begins(self, what: str) -> None:
        """Say what is waited for now, unless that could not be erased."""
        if self._screen.erases:
            text = shortened(f"waiting for {printable(what)}", (self._screen.columns or 80) - 1)
            self._write(_ERASE + text)
            self._shown = True

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
    """Be able to say what is waited for; nothing of it is left at the end."""
    one = Waiting(screen)
    try:
        yield one
    finally:
        one.ends()
