"""What happened, to be read by whoever looks for a failure and compared between two runs."""

from collections import deque
from collections.abc import Callable
from hashlib import sha256

_BATCH = 1000  # lines that are hashed together
_KEPT = 500  # lines of history; of the full one, ten times as many


class Violation(AssertionError):
    """A rule that a run has broken."""


class Trace:
    """The lines of one run: all of them go into its digest, the newest are its history.

    Packets and streams are in the history only of a `full` trace: there are too many of them.
    """

    def __init__(self, now: Callable[[], float], *, full: bool) -> None:
        self._now = now
        self._full = full
        self._hash = sha256()
        self._unhashed: list[str] = []
        self._history: deque[str] = deque(maxlen=_KEPT * 10 if full else _KEPT)

    def note(self, text: str) -> None:
        """Add what a reader of a short history wants to know."""
        self._history.append(f"{self._now():12.4f}  {text}")
        self._hashed(text)

    def detail(self, text: str) -> None:
        """Add what only a full history tells."""
        if self._full:
            self._history.append(f"{self._now():12.4f}  {text}")
        self._hashed(text)

    def _hashed(self, text: str) -> None:
        self._unhashed.append(f"{self._now()!r} {text}\n")
        if len(self._unhashed) >= _BATCH:
            self._hash_all()

    def _hash_all(self) -> None:
        self._hash.update("".join(self._unhashed).encode(errors="backslashreplace"))
        self._unhashed.clear()

    def history(self, last: int = 40) -> list[str]:
        """Return the newest lines, the oldest of them first."""
        return list(self._history)[-last:]

    def digest(self) -> str:
        """Return what two runs have in common only if they are the same, byte for byte."""
        self._hash_all()
        return self._hash.hexdigest()
