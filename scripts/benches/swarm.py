"""What many nodes cost that have real sockets, in a few processes, on loopback addresses."""

import os
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from ipaddress import IPv4Address
from multiprocessing import get_context
from typing import Any

from scripts.benches.measuring import Options, Result, say
from scripts.benches.swarm_part import Part, Spent, run
from tests.testbed.lab.netns import LabError

PROCESSES = 4
SETTLING = 60.0  # seconds after everybody knows all, so that nobody has news left to tell
QUIET = 30.0  # seconds that are measured then
_TIMEOUT = 180  # seconds
_LOOPBACK = int(IPv4Address("127.0.0.0"))


def measure(options: Options, *, settling: float = SETTLING, quiet: float = QUIET) -> Result:
    """From the start of the nodes until each has a Plan with all; and what they cost in peace."""
    seconds = []
    for number in range(1, options.runs + 1):
        with Swarm(options.nodes) as swarm:
            seconds.append(swarm.converge())
            say(f"run {number}: {seconds[-1]:.2f} s")
            if number == options.runs:
                cpu, packets = swarm.spend(settling, quiet)
    return {
        "nodes": options.nodes,
        "converge_seconds": round(statistics.median(seconds), 2),
        "cpu_seconds_per_node_minute": round(cpu * 60, 4),
        "packets_per_node_second": round(packets, 2),
    }


class Swarm(AbstractContextManager["Swarm"]):
    """The processes; they end with the context, whatever happened in it."""

    def __init__(self, nodes: int, *, answers: bool = False) -> None:
        self._nodes = nodes
        # Swarms that run beside each other keep apart.
        self.first = IPv4Address(_LOOPBACK + (1 + os.getpid() % 250 << 16) + 1)
        context = get_context("spawn")
        self.key = os.urandom(32)
        self._ends: list[Any] = []
        self._processes = []
        for share in range(min(PROCESSES, nodes)):
            ours, theirs = context.Pipe()
            numbers = range(share, nodes, PROCESSES)
            part = Part(self.first, numbers, nodes, self.key, answers)
            process = context.Process(target=run, args=(part, theirs), daemon=True)
            process.start()
            theirs.close()  # so that its end is noticed
            self._ends.append(ours)
            self._processes.append(process)

    def __enter__(self) -> "Swarm":
        self._hear()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.join()

    def converge(self) -> float:
        """Start all nodes at once; return after how many seconds the last one knew all."""
        started = time.monotonic()
        self._tell(True)
        known_at: list[float] = self._hear()
        return max(known_at) - started

    def spend(self, settling: float, quiet: float) -> tuple[float, float]:
        """Return the CPU seconds and packets of a node per second of `quiet`."""
        time.sleep(settling)
        before, started = self._spent(), time.monotonic()
        time.sleep(quiet)
        after, seconds = self._spent(), time.monotonic() - started
        return (
            _total(lambda spent: spent.cpu_seconds, before, after) / self._nodes / seconds,
            _total(lambda spent: spent.packets, before, after) / self._nodes / seconds,
        )

    def _spent(self) -> list[Spent]:
        self._tell(True)
        return self._hear()

    def _tell(self, word: bool) -> None:
        for end in self._ends:
            end.send(word)

    def _hear(self) -> list[Any]:
        deadline = time.monotonic() + _TIMEOUT
        for end in self._ends:
            if not end.poll(max(0, deadline - time.monotonic())):
                raise LabError(f"{self._nodes} nodes did not find each other in {_TIMEOUT} s")
        try:
            return [end.recv() for end in self._ends]
        except EOFError as error:
            raise LabError("a process of the swarm has ended early") from error


def _total(of: Callable[[Spent], float], before: list[Spent], after: list[Spent]) -> float:
    return sum(map(of, after)) - sum(map(of, before))
