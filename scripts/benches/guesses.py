"""What 100,000 guesses of a token cost an agent, and how fast a host comes in after them."""

import json
import sys
import time
from pathlib import Path

from scripts.benches.measuring import Options, Result, say
from tests.testbed.lab.daemons import Daemon, Mesh
from tests.testbed.lab.gossip_lookup import CLUSTER_PORT
from tests.testbed.lab.netns import Lab, wait_for

GUESSES = 100_000
_PROGRAM = str(Path(__file__).with_name("guess.py"))
_PATIENCE = 60.0  # seconds
_SETTLING, _WATCHED = 5.0, 30.0  # seconds
_GUESS_PATIENCE = 1800.0  # seconds for all of them


def measure(options: Options) -> Result:
    """Guess ids that nobody has, then secrets for one that there is; then a third host joins."""
    with Lab(3) as lab:
        mesh = Mesh(lab, command=options.command)
        mesh.seed.start()
        wait_for(mesh.seed.overlay_address, _PATIENCE, "the agent")
        made = json.loads(mesh.seed.host.run(*options.command, "invite", "--json"))
        idle = _idle(mesh.seed)
        unknown = _guess(mesh, "", idle)
        known = _guess(mesh, made["id"], idle)
        joined = _join(mesh.daemons[2], made["token"])
        refused = json.loads(mesh.seed.host.run(*options.command, "invite", "list", "--json"))
        return {
            "guesses": GUESSES,
            "idle_cpu_percent": round(100 * idle, 2),
            "unknown": unknown,
            "known": known,
            "join_seconds": joined,
            "counts": {name: count for name, count in refused["counts"].items() if count},
        }


def _idle(daemon: Daemon) -> float:
    """Return the part of a processor that an agent takes of which nobody wants anything."""
    time.sleep(_SETTLING)
    before = daemon.process.cpu_seconds()
    time.sleep(_WATCHED)
    return (daemon.process.cpu_seconds() - before) / _WATCHED


def _guess(mesh: Mesh, name: str, idle: float) -> Result:
    """Return what so many guesses have cost, besides what the agent takes when it is idle."""
    process, attacker = mesh.seed.process, mesh.daemons[1].host
    say(f"{GUESSES} guesses of {'a secret' if name else 'an id'}")
    cpu, memory, began = process.cpu_seconds(), process.resident_mb(), time.monotonic()
    argv = (sys.executable, _PROGRAM, mesh.seed.host.address, str(CLUSTER_PORT), str(GUESSES))
    answered = attacker.run(*argv, name, timeout=_GUESS_PATIENCE)
    seconds = time.monotonic() - began
    return {
        "seconds": round(seconds, 1),
        "answered": int(answered),
        "cpu_seconds": round(process.cpu_seconds() - cpu - idle * seconds, 2),
        "mb_more": round(process.resident_mb() - memory, 1),
    }


def _join(daemon: Daemon, token: str) -> float:
    began = time.monotonic()
    daemon.start("join", token)
    wait_for(lambda: daemon.has_peers(1), _PATIENCE, "the third host")
    return round(time.monotonic() - began, 2)
