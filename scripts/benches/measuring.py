"""What the measurements share."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.testbed.lab.netns import LabError

Result = dict[str, object]


@dataclass(frozen=True)
class Options:
    """What `scripts/bench` was asked for; `command` is the agent without flags."""

    nodes: int
    runs: int
    command: list[str]
    partition: float = 130.0  # seconds


def summary(nodes: int, seconds: Sequence[float]) -> Result:
    """Return the keys that every repeated timing has, in seconds."""
    return {
        "nodes": nodes,
        "seconds": [round(value, 2) for value in seconds],
        "median": round(statistics.median(seconds), 2),
        "worst": round(max(seconds), 2),
    }


def say(text: str) -> None:
    """Show that something is going on."""
    print(text, flush=True)


def sleep_until(instant: float) -> None:
    """Sleep until an instant of the monotonic clock."""
    time.sleep(max(0.0, instant - time.monotonic()))


def explained(error: LabError, log: str) -> LabError:
    """Add the end of an agent's log to an error."""
    return LabError("\n".join([str(error), *log.splitlines()[-5:]]))
