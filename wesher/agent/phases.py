"""What an agent is about, what ends that, and how it is told so by signals.

A start brings everything together, step by step, while nobody hears of us; then we run. Whatever
ends that, the rest is one of three: *leaving*, the others are told, and then everything is undone;
*undoing* alone, because nobody has heard of us or what they know is not ours to take back; or
*keeping*, everything on this host stays in place for the next start. An interface that was here
before stays when a start fails: whoever finds it in use again must not find it gone.

docs/architecture.md shows the diagram, made from here by scripts/generate. Light on purpose: every
run of the program begins here, with signals that just end it.
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


class Phase(Enum):
    """Where an agent is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    LEAVING = "leaving"
    """The others are told, for a second at most."""
    UNDOING = "undoing"
    """Sockets are closed, then goes what is ours on this host."""
    KEEPING = "keeping"
    """Sockets are closed, and nothing else is touched."""


class Move(Enum):
    """What brings an agent from one phase to the next."""

    READY = "all is there"
    LEAVE = "told to leave"
    HAND_OVER = "told to hand over"
    FAIL = "failed, with an interface it made"
    FAIL_ADOPTED = "failed, without one it made"
    BREAK = "a bug"
    DEPARTED = "told, or no time left"


MOVES = {
    (Phase.STARTING, Move.READY): Phase.RUNNING,
    (Phase.STARTING, Move.LEAVE): Phase.UNDOING,
    (Phase.STARTING, Move.HAND_OVER): Phase.KEEPING,
    (Phase.STARTING, Move.FAIL): Phase.UNDOING,
    (Phase.STARTING, Move.FAIL_ADOPTED): Phase.KEEPING,
    (Phase.STARTING, Move.BREAK): Phase.KEEPING,
    (Phase.RUNNING, Move.LEAVE): Phase.LEAVING,
    (Phase.RUNNING, Move.HAND_OVER): Phase.KEEPING,
    (Phase.RUNNING, Move.FAIL): Phase.UNDOING,  # in silence: our name may be somebody else's
    (Phase.RUNNING, Move.FAIL_ADOPTED): Phase.KEEPING,
    (Phase.RUNNING, Move.BREAK): Phase.KEEPING,  # as after a crash
    (Phase.LEAVING, Move.DEPARTED): Phase.UNDOING,
}
"""Every legal move; any other is a bug, and raises KeyError."""

_MEANING: dict[int, Move] = {
    signal.SIGINT: Move.LEAVE,
    signal.SIGTERM: Move.LEAVE,
    signal.SIGUSR1: Move.HAND_OVER,
}
_STANDARD_STREAMS = (0, 1, 2)


def end_at_signals() -> None:
    """Let a signal to stop just end this process: it has not made anything yet."""
    for number in _MEANING:
        signal.signal(number, lambda _number, _frame: os._exit(0))


def catch_signals(
    loop: "asyncio.AbstractEventLoop", stop: Callable[[Move], None], reload: Callable[[], None]
) -> None:
    """Call `stop` or `reload` in `loop` at every signal; without effect once the loop is closed.

    A hangup stops an agent on a terminal that was not started by nohup. To one without a terminal,
    a service, it means to reload.
    """
    on_terminal = any(os.isatty(stream) for stream in _STANDARD_STREAMS)
    meaning = _MEANING | ({signal.SIGHUP: Move.LEAVE} if on_terminal else {})

    def heed(number: int, _frame: FrameType | None) -> None:
        move = meaning.get(number)
        with suppress(RuntimeError):  # closed: we have stopped already
            loop.call_soon_threadsafe(*((stop, move) if move else (reload,)))

    # Not by the loop, which would restore the signals' deadly meaning when it closes.
    for number in (*_MEANING, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN or number in _MEANING:
            signal.signal(number, heed)


def ignore_signals() -> None:
    """Ignore signals to stop: everything is done, and the process about to end."""
    for number in (*_MEANING, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
