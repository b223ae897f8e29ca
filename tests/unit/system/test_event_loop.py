"""Blocking work runs beside the event loop, and a suspended host knows how long it slept."""

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from wesher.system.event_loop import LEAST_SUSPENSION, Suspension, in_thread


def test_the_result_comes_back_to_the_caller() -> None:
    result = asyncio.run(in_thread(divmod, 7, 2))

    assert result == (3, 1)


def test_an_exception_comes_back_to_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(in_thread(divmod, 7, 0))


def test_a_cancelled_wait_ends_while_the_work_goes_on() -> None:
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


def test_hanging_work_does_not_delay_the_exit() -> None:
    program = """
import asyncio, time
from wesher.system.event_loop import in_thread
async def main():
    waiting = asyncio.create_task(in_thread(time.sleep, 60))
    await asyncio.sleep(0)
asyncio.run(main())
"""

    ended = subprocess.run([sys.executable, "-c", program], timeout=10, check=False)

    assert ended.returncode == 0


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> dict[int, float]:
    """Clocks that tests move by hand."""
    shown = {time.CLOCK_BOOTTIME: 1000.0, time.CLOCK_MONOTONIC: 900.0}
    monkeypatch.setattr(time, "clock_gettime", shown.__getitem__)
    return shown


def test_a_host_that_runs_was_not_suspended(clocks: dict[int, float]) -> None:
    suspension = Suspension()

    for clock in clocks:
        clocks[clock] += 50.0

    assert suspension.seconds() == 0.0


def test_time_that_only_one_clock_counts_was_slept_and_is_told_once(
    clocks: dict[int, float],
) -> None:
    suspension = Suspension()
    clocks[time.CLOCK_BOOTTIME] += 600.0

    told = suspension.seconds(), suspension.seconds()

    assert told == (600.0, 0.0)


def test_little_differences_are_none_but_do_not_get_lost(clocks: dict[int, float]) -> None:
    suspension = Suspension()
    clocks[time.CLOCK_BOOTTIME] += LEAST_SUSPENSION / 2
    first = suspension.seconds()
    clocks[time.CLOCK_BOOTTIME] += LEAST_SUSPENSION / 2

    assert (first, suspension.seconds()) == (0.0, LEAST_SUSPENSION)


def test_the_clocks_of_this_host_can_be_read() -> None:
    assert Suspension().seconds() == 0.0
