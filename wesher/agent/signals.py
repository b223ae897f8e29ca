"""How an agent is told to stop, from its first moment to its last."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


class Stop(Enum):
    """What an agent is to do before it ends."""

    LEAVE = "leave the cluster and take everything down"
    HAND_OVER = "leave everything in place for the next agent"


_MEANING: dict[int, Stop] = {
    signal.SIGINT: Stop.LEAVE,
    signal.SIGTERM: Stop.LEAVE,
    signal.SIGUSR1: Stop.HAND_OVER,
}
_STANDARD_STREAMS = (0, 1, 2)


def end_at_once() -> None:
    """Let a signal to stop just end this process: it has not made anything yet."""
    for number in _MEANING:
        signal.signal(number, lambda _number, _frame: os._exit(0))


def catch(
    loop: "asyncio.AbstractEventLoop", stop: Callable[[Stop], None], reload: Callable[[], None]
) -> None:
    """Call `stop` or `reload` in `loop` at every signal; without effect once the loop is closed.

    A hangup stops an agent on a terminal that was not started by nohup. To one without a terminal,
    a service, it means to reload.
    """
    on_terminal = any(os.isatty(stream) for stream in _STANDARD_STREAMS)
    meaning = _MEANING | ({signal.SIGHUP: Stop.LEAVE} if on_terminal else {})

    def heed(number: int, _frame: FrameType | None) -> None:
        how = meaning.get(number)
        with suppress(RuntimeError):  # closed: we have stopped already
            loop.call_soon_threadsafe(*((stop, how) if how else (reload,)))

    # Not by the loop, which would restore the signals' deadly meaning when it closes.
    for number in (*_MEANING, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN or number in _MEANING:
            signal.signal(number, heed)


def ignore() -> None:
    """Ignore signals to stop: everything is done, and the process about to end."""
    for number in (*_MEANING, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
