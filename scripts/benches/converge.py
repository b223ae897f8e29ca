"""How long a mesh takes to form when all its nodes start at once."""

import statistics
import time

from scripts.benches.measuring import Options, Result, say, summary
from tests.testbed.lab.daemons import Mesh
from tests.testbed.lab.netns import Lab

_TIMEOUT = 180  # seconds


def measure(options: Options) -> Result:
    """From the start of the last agent until `wg show` of every node lists every other."""
    runs = [_form_once(options, run) for run in range(1, options.runs + 1)]
    result = summary(options.nodes, [seconds for seconds, _ in runs])
    result["cpu_seconds_per_node"] = round(statistics.median(cpu for _, cpu in runs), 3)
    return result


def _form_once(options: Options, run: int) -> tuple[float, float]:
    with Lab(options.nodes) as lab:
        mesh = Mesh(lab, command=options.command)
        started = mesh.start()
        mesh.wait_until_complete(_TIMEOUT)
        seconds = time.monotonic() - started
        cpu = statistics.mean(daemon.process.cpu_seconds() for daemon in mesh.daemons)
    say(f"run {run}: {seconds:.2f} s, {cpu:.2f} s of CPU per node")
    return seconds, cpu
