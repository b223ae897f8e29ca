"""Run test layers beside each other, and tell what each of them cost.

Usage: layers.py LANE...     a lane is layers, joined by `+`, that one process runs in turn

Most layers wait far more than they compute. Those that only compute (`YIELDING`) yield to them,
since agents must answer in time. One that waits longest of all (`SPLIT`), in worlds that know
nothing of each other, is dealt out to several processes by its files.
"""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

YIELDING = {"sim"}
YIELDING_TIMEOUT = 600  # seconds that one of their tests may take
SPLIT = {"lab": 2}  # processes


class Lane:
    """Some layers that run, in a process of their own."""

    def __init__(self, name: str, paths: list[str]) -> None:
        yielding = YIELDING.issuperset(name.split("+"))
        patience = [f"--timeout={YIELDING_TIMEOUT}"] if yielding else []
        self._argv = [sys.executable, "-m", "pytest", "-q", *patience, *paths]
        self._name = name
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the process
        self._started = time.monotonic()
        niceness = ["nice", "-n", "5"] if yielding else []
        self.process = subprocess.Popen(
            [*niceness, *self._argv], stdout=self._output, stderr=subprocess.STDOUT
        )

    def report(self, usage: resource.struct_rusage, *, failed: bool) -> str:
        """Print what it said; return what it cost, in words."""
        self._output.seek(0)
        print(f"== {self._name}\n{self._output.read()}", end="", flush=True)
        seconds, cpu = time.monotonic() - self._started, usage.ru_utime + usage.ru_stime
        return f"{self._name} {seconds:.0f} s, CPU {cpu:.0f} s{' (FAILED)' if failed else ''}"


def lanes_of(names: str) -> list[Lane]:
    """Start the layers that are named, in a process of their own, or each its part of one."""
    parts = SPLIT.get(names, 1)
    if parts == 1:
        return [Lane(names, [f"tests/{layer}" for layer in names.split("+")])]
    files = sorted(str(file) for file in Path("tests", names).glob("test_*.py"))
    return [Lane(f"{names} {at + 1}/{parts}", files[at::parts]) for at in range(parts)]


def interrupt(pids: Iterable[int]) -> None:
    """Do to these processes what Ctrl-C does."""
    for pid in pids:
        os.kill(pid, signal.SIGINT)


def main(lanes: list[str]) -> int:
    """Run all lanes to their ends; returns 1 if one failed."""
    running: dict[int, Lane] = {}
    # Ctrl-C reaches the layers, too, which end in order and are waited for; other signals do not.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: interrupt(running))
    for lane in [lane for names in lanes for lane in lanes_of(names)]:
        running[lane.process.pid] = lane
    costs, failures = [], 0
    while running:
        pid, status, usage = os.wait4(-1, 0)
        costs.append(running.pop(pid).report(usage, failed=bool(status)))
        failures += bool(status)
    print(f"== {'; '.join(costs)}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
