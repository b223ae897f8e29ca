"""How long one more node takes to be in a settled mesh, and to reach another through it."""

import shutil
import statistics
import time

from scripts.benches.measuring import Options, Result, say, summary
from tests.testbed.lab.daemons import Mesh
from tests.testbed.lab.netns import Lab, wait_for
from tests.testbed.lab.traffic import FirstPing, overlay_address

_TIMEOUT = 90  # seconds


def measure(options: Options) -> Result:
    """From the start of the last agent until `wg show` of all nodes is complete, several times.

    `first_ping` is when the newcomer hears the first reply of a member, through the overlay.
    """
    with Lab(options.nodes) as lab:
        mesh = Mesh(lab, command=options.command)
        *settled, newcomer = mesh.daemons
        for daemon in settled:
            mesh.start_one(daemon)
        mesh.wait_until_complete(_TIMEOUT, settled)
        target = overlay_address(settled[0])
        seconds, first_pings = [], []
        for run in range(1, options.runs + 1):
            time.sleep(2)
            with FirstPing(newcomer.host, target) as ping:
                started = time.monotonic()
                mesh.start_one(newcomer)
                mesh.wait_until_complete(_TIMEOUT)
                seconds.append(time.monotonic() - started)
                first_pings.append(ping.wait(_TIMEOUT) - started)
            say(f"run {run}: {seconds[-1]:.2f} s, first ping {first_pings[-1]:.2f} s")
            newcomer.stop()
            shutil.rmtree(newcomer.state, ignore_errors=True)
            wait_for(
                lambda: all(len(daemon.peers()) == len(settled) - 1 for daemon in settled),
                _TIMEOUT,
                "the newcomer to be gone everywhere",
            )
    return summary(options.nodes, seconds) | {
        "first_pings": [round(value, 2) for value in first_pings],
        "first_ping": round(statistics.median(first_pings), 2),
    }
