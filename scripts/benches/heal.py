"""How soon a mesh is one again after its network was cut into two halves."""

import contextlib
import itertools
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from scripts.benches.measuring import Options, Result, say
from tests.testbed.lab.daemons import Daemon, Mesh
from tests.testbed.lab.netns import Lab, LabError, wait_for
from tests.testbed.lab.partitions import mend, split
from tests.testbed.lab.tables import given_up, hold_alive
from tests.testbed.lab.traffic import Flow

_NODES = 6
_LABS = 3  # at a time: the kernel's neighbour table is one for all
_RATE = 20  # packets per second of each flow
_FIRST_PORT = 9001  # of the flows between the halves
_TIMEOUT = 90  # seconds
_SILENCE = 5.0  # seconds before the network returns in which nothing may have crossed


@dataclass(frozen=True)
class Healing:
    """What one partition came to; seconds are since the network's return."""

    reunited: float
    crossing: float
    lost_inside: int


def measure(options: Options) -> Result:
    """Cut six nodes into halves for a while, several times; each time in a new mesh."""
    with ThreadPoolExecutor(min(_LABS, options.runs)) as labs:
        runs = list(labs.map(lambda run: _heal_once(options, run), range(1, options.runs + 1)))
    reunited = [run.reunited for run in runs]
    crossing = [run.crossing for run in runs]
    return {
        "partition_seconds": options.partition,
        "reunited_seconds": [round(seconds, 2) for seconds in reunited],
        "reunited_median": round(statistics.median(reunited), 2),
        "reunited_worst": round(max(reunited), 2),
        "crossing_seconds": [round(seconds, 2) for seconds in crossing],
        "crossing_worst": round(max(crossing), 2),
        "lost_inside": sum(run.lost_inside for run in runs),
    }


def _heal_once(options: Options, run: int) -> Healing:
    with Lab(_NODES) as lab:
        mesh = Mesh(lab, command=options.command)
        mesh.start()
        mesh.wait_until_complete(_TIMEOUT)
        near, far = mesh.daemons[: _NODES // 2], mesh.daemons[_NODES // 2 :]
        wait_for(lambda: hold_alive(mesh, mesh.daemons), _TIMEOUT, "all to hold all alive")
        wait_for(lambda: all(one.overlay_address() for one in mesh.daemons), _TIMEOUT, "addresses")
        inside, across = _inside((near, far)), _across(near, far)
        with _running([*inside, *across]):
            _first_packets(across, since=0)
            split(lab, [daemon.host for daemon in far])
            time.sleep(options.partition)
            _check_apart(mesh, near, far, across)
            mended = time.monotonic()
            mend(lab)
            reunited = wait_for(lambda: hold_alive(mesh, mesh.daemons), _TIMEOUT, "the reunion")
            crossing = _first_packets(across, since=mended)
        lost = sum(len(flow.lost()) for flow in inside)
    say(f"run {run}: reunited after {reunited:.2f} s, crossing after {crossing:.2f} s, lost {lost}")
    return Healing(reunited, crossing, lost)


def _inside(halves: Sequence[Sequence[Daemon]]) -> list[Flow]:
    """Flows around each half."""
    pairs = [(half[n - 1], half[n]) for half in halves for n in range(len(half))]
    return [Flow(*pair, rate=_RATE) for pair in pairs]


def _across(near: Sequence[Daemon], far: Sequence[Daemon]) -> list[Flow]:
    """Flows both ways between any two of different halves."""
    pairs = [*itertools.product(near, far), *itertools.product(far, near)]
    return [Flow(*pair, port=_FIRST_PORT + n, rate=_RATE) for n, pair in enumerate(pairs)]


@contextlib.contextmanager
def _running(flows: Sequence[Flow]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for flow in flows:
            stack.enter_context(flow)
        yield
        for flow in flows:
            flow.stop()  # all at once, so that the end of each is not waited for in turn


def _check_apart(
    mesh: Mesh, near: Sequence[Daemon], far: Sequence[Daemon], across: Iterable[Flow]
) -> None:
    """See that there was something to heal."""
    since = time.monotonic() - _SILENCE
    if any(flow.first_after(since) for flow in across):
        raise LabError("packets crossed although the network was cut")
    if not (given_up(mesh, far, by=near) and given_up(mesh, near, by=far)):
        raise LabError("the halves have not given each other up yet: cut them for longer")


def _first_packets(flows: Sequence[Flow], since: float) -> float:
    """Wait for a packet of every flow, and return how many seconds after `since` the last came."""

    def firsts() -> list[float | None]:
        return [flow.first_after(since) for flow in flows]

    wait_for(lambda: all(firsts()), _TIMEOUT, "packets to cross")
    return max(at for at in firsts() if at is not None) - since
