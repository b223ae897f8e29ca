"""Blocking work runs beside the event loop and never delays the end of the program."""

import asyncio
import subprocess
import sys
import threading

import pytest

from wesher.system.threads import in_thread


def test_the_result_comes_back_to_the_caller():
    result = asyncio.run(in_thread(divmod, 7, 2))

    assert result == (3, 1)


def test_an_exception_comes_back_to_the_caller():
    with pytest.raises(ZeroDivisionError):
        asyncio.run(in_thread(divmod, 7, 0))


def test_a_cancelled_wait_ends_while_the_work_goes_on():
    release, finished = threading.Event(), threading.Event()

    def work() -> None:
        release.wait()
        finished.set()

    async def main() -> None:
        async with asyncio.timeout(0.01):
            await in_thread(work)

    with pytest.raises(TimeoutError):
        asyncio.run(main())

    assert not finished.is_set()
    release.set()
    assert finished.wait(5)


def test_hanging_work_does_not_delay_the_exit():
    program = """
import asyncio, time
from wesher.system.threads import in_thread
async def main():
    waiting = asyncio.create_task(in_thread(time.sleep, 60))
    await asyncio.sleep(0)
asyncio.run(main())
"""

    ended = subprocess.run([sys.executable, "-c", program], timeout=10, check=False)

    assert ended.returncode == 0
