"""How long `wesher map` takes in a mesh of nodes with real sockets: ask, put together, and show."""

import base64
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from scripts.benches.measuring import Options, Result, say
from scripts.benches.swarm import Swarm
from scripts.benches.swarm_part import PORT
from tests.testbed.pretended import pretended_agent
from wesher.base.naming import fingerprint
from wesher.mesh.base.questions import MemberAnswer, Reach, Tunnel, answer_as_map

LIMIT = 60  # seconds


def measure(options: Options) -> Result:
    """Seconds of the whole command, as text and as JSON; every member is asked by TCP."""
    with Swarm(options.nodes, answers=True) as swarm, tempfile.TemporaryDirectory() as directory:
        say(f"{options.nodes} nodes met after {swarm.converge():.1f} s")
        addresses = {f"node{at}": str(swarm.first + at) for at in range(options.nodes)}
        with pretended_agent(Path(directory), _agent(addresses, swarm.key)):
            command = [*options.command, "map", f"--run-dir={directory}"]
            text = [_seconds(command) for _ in range(options.runs)]
            document = [_seconds([*command, "--json"]) for _ in range(options.runs)]
    return {
        "nodes": options.nodes,
        "map_seconds": round(statistics.median(text), 2),
        "map_json_seconds": round(statistics.median(document), 2),
        "worst_seconds": round(max(*text, *document), 2),
    }


def _agent(addresses: dict[str, str], key: bytes) -> dict[str, Any]:
    """Answer as the agent of node0 would, which knows where the others are."""
    usual = {"state": "alive", "implementation": "wesher", "answers": True, "version": "1.0.0"}
    usual |= {"overlay_address": None, "key_fingerprint": fingerprint(key)}
    members = [
        {"name": name, "address": f"{address}:{PORT}", **usual}
        for name, address in addresses.items()
    ]
    tunnels = [Tunnel(name, Reach.ANSWERED, "alive", 9.0, 0.001) for name in addresses]
    told = answer_as_map(MemberAnswer("node0", "1.0.0", tunnels=tunnels[1:], events=[]))
    keys = [{"key": base64.b64encode(key).decode(), "fingerprint": fingerprint(key)}]
    return {
        "status": lambda _: {"node": members[0], "members": members[1:]},
        "key": lambda _: {"keys": keys},
        "tell": lambda _: told,
    }


def _seconds(command: list[str]) -> float:
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    took = time.monotonic() - started
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    say(f"{len(done.stdout)} bytes in {took:.2f} s")
    return took
