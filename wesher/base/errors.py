"""Every exception wesher raises on purpose; each message is one line for the operator.

What others put into such a line is made `printable` by whoever shows it.
"""

from collections.abc import Iterable, Sequence
from importlib import import_module


class WesherError(Exception):
    """Base of all our errors."""


class ConfigError(WesherError):
    """A wrong option or configuration: exit code 2."""


class StartError(WesherError):
    """Something that could not be done, with what to do about it: exit code 1."""


class NoAgentError(WesherError):
    """No agent runs that could be asked: exit code 3."""


class AgentError(WesherError):
    """A running agent could not, or would not, do what it was asked: exit code 1."""


class BusyError(AgentError):
    """The agent has too many clients at the moment: worth another try."""


class NotRootError(AgentError):
    """The agent's socket is root's."""


class ProtocolError(WesherError):
    """Bytes from the network that break the protocol: dropped and counted, never fatal."""


class LimitError(ProtocolError):
    """Bytes that ask for more than we are willing to spend on them."""


class UndecryptableError(ProtocolError):
    """Bytes that none of our cluster keys opens: the sender has another key, or none."""


class CommandError(WesherError):
    """A system tool exited with a status we did not expect, was killed, or does not exist.

    `status` is None when the time limit ended it.
    """

    def __init__(self, argv: Sequence[str], status: int | None, stderr: str) -> None:
        self.argv = tuple(argv)
        self.status = status
        self.stderr = stderr.strip()
        outcome = "timed out" if status is None else f"exited {status}"
        super().__init__(f"`{' '.join(argv)}` {outcome}: {self.stderr or 'no message'}")


class TransientCommandError(CommandError):
    """A failure that may pass: worth another try when the command is idempotent."""


class MissingToolError(CommandError):
    """The program is not installed, or vanished; trying again at once cannot help."""

    def __init__(self, argv: Sequence[str]) -> None:
        super().__init__(argv, 127, f"{argv[0]} not found")


def nearest(word: str, known: Iterable[str], *, least: float = 0.6) -> str | None:
    """Return which word somebody may have meant; `least` is how like it must be, 1 for the same."""
    near: list[str] = import_module("difflib").get_close_matches(word, list(known), 1, least)
    return near[0] if near else None


def printable(text: str) -> str:
    """Return `text` with everything escaped that could forge a line or drive a terminal."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
