"""What one agent costs: its start, its imports, its memory."""

import compileall
import socket
import statistics
import subprocess
import sys
from pathlib import Path

from scripts.benches.measuring import Options, Result, say
from tests.testbed.lab.daemons import WESHER, Daemon, Mesh, new_key
from tests.testbed.lab.netns import Lab, LabError

_ROOT = Path(__file__).resolve().parents[2]
_CLUSTER_PORT = 7946
_TIME = "import time; at = time.perf_counter(); {}; print((time.perf_counter() - at) * 1000)"
_ALL = _TIME.format("import wesher.agent.agent, wesher.cli.agent")
_FLOOR = _TIME.format("import asyncio, sh, cryptography, tomli, loguru, tenacity, msgpack")


def measure(options: Options) -> Result:
    """CPU seconds until the first packet, milliseconds of imports, megabytes in a mesh of ten.

    `floor_ms` is what asyncio and the packages that are fixed take by themselves.
    """
    compileall.compile_dir(_ROOT / "wesher", quiet=2)  # as where it is installed
    cpu = [_first_packet(options) for _ in range(options.runs)]
    return {
        "cpu_seconds": round(statistics.median(cpu), 3),
        "import_ms": _import_ms(options, _ALL),
        "floor_ms": _import_ms(options, _FLOOR),
        "resident_mb": round(_resident_mb(options), 1),
    }


def _first_packet(options: Options) -> float:
    """CPU time of the agent and its tools when the seed it joins first hears from it."""
    with Lab(2) as lab:
        seed, joiner = lab.hosts
        daemon = Daemon(lab, joiner, command=options.command)
        with seed.socket(socket.SOCK_STREAM) as listening:
            listening.bind((seed.address, _CLUSTER_PORT))
            listening.listen()
            listening.settimeout(30)
            daemon.start("--cluster-key", new_key(), "--join", seed.address)
            try:
                listening.accept()[0].close()
            except TimeoutError:
                raise LabError(f"the agent contacted nobody: {daemon.log()[-500:]}") from None
            cpu = daemon.process.cpu_seconds()
    say(f"first packet after {cpu:.2f} s of CPU")
    return cpu


def _import_ms(options: Options, program: str) -> float | None:
    """Milliseconds that this program finds its imports to take; unknown for other agents."""
    if options.command != WESHER:
        return None
    times = [
        float(subprocess.check_output([sys.executable, "-c", program], cwd=_ROOT))
        for _ in range(options.runs)
    ]
    return round(statistics.median(times), 1)


def _resident_mb(options: Options) -> float:
    """Resident memory of the largest agent in a settled mesh."""
    with Lab(options.nodes) as lab:
        mesh = Mesh(lab, command=options.command)
        mesh.start()
        mesh.wait_until_complete(120)
        return max(daemon.process.resident_mb() for daemon in mesh.daemons)
