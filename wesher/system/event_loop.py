"""What an event loop cannot do: wait for blocking work, and count the time that the host slept."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Args = ParamSpec("Args")
Result = TypeVar("Result")

LEAST_SUSPENSION = 1.0  # seconds; less is none


async def in_thread(
    function: Callable[Args, Result], *args: Args.args, **kwargs: Args.kwargs
) -> Result:
    """Run `function` in a daemon thread and return its result, or raise its exception.

    `asyncio.to_thread` joins its threads when the program ends, so one hung name look-up would
    delay the exit; these threads are abandoned. Cancelling ends the wait, not the work.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is None:
            outcome.set_result(result)  # type: ignore[arg-type]  # a Result whenever error is None
        else:
            outcome.set_exception(error)

    def work() -> None:
        result, error = None, None
        try:
            result = function(*args, **kwargs)
        except BaseException as caught:  # whatever it is, it belongs to the waiting caller
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name=f"in_thread {function!r}", daemon=True).start()
    return await outcome


class Suspension:
    """Notices that the host was suspended, by the clock that counts such time."""

    def __init__(self) -> None:
        self._ahead = _ahead()

    def seconds(self) -> float:
        """Return how long the host was suspended since the last call, 0 for not at all."""
        ahead = _ahead()
        if ahead - self._ahead < LEAST_SUSPENSION:
            return 0.0
        before, self._ahead = self._ahead, ahead
        return ahead - before


def _ahead() -> float:
    """Return the seconds that the host was suspended since it started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
