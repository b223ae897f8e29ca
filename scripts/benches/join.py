"""How long one more node takes to be in a settled mesh."""

import shutil
import time

from scripts.benches.measuring import Options, Result, say, summary
from tests.testbed.lab.daemons import Mesh
from tests.testbed.lab.netns import Lab, wait_for

_TIMEOUT = 90  # seconds


def measure(options: Options) -> Result:
    """From the start of the last agent until `wg show` of all nodes is complete, several times."""
    with Lab(options.nodes) as lab:
        mesh = Mesh(lab, command=options.command)
        *settled, newcomer = mesh.daemons
        for daemon in settled:
            mesh.start_one(daemon)
        mesh.wait_until_complete(_TIMEOUT, settled)
        seconds = []
        for run in range(1, options.runs + 1):
            time.sleep(2)
            started = time.monotonic()
            mesh.start_one(newcomer)
            mesh.wait_until_complete(_TIMEOUT)
            seconds.append(time.monotonic() - started)
            say(f"run {run}: {seconds[-1]:.2f} s")
            newcomer.stop()
            shutil.rmtree(newcomer.state, ignore_errors=True)
            wait_for(
                lambda: all(len(daemon.peers()) == len(settled) - 1 for daemon in settled),
                _TIMEOUT,
                "the newcomer to be gone everywhere",
            )
    return summary(options.nodes, seconds)
