"""How quickly an agent with a thousand members answers its operator, and what asking costs."""

import base64
import resource
import statistics
import time

from scripts.benches.crowd import Crowd
from scripts.benches.measuring import Options, Result, say
from tests.testbed.lab.daemons import Daemon, new_key
from tests.testbed.lab.netns import Lab, wait_for

_MEMBERS = 1000
_PATIENCE = 60  # seconds


def measure(options: Options) -> Result:
    """Seconds of `wesher status` as text and as JSON, and the CPU that a small command takes."""
    with Lab(2) as lab:
        seed, host = lab.hosts
        key = new_key()
        daemon = Daemon(lab, host, command=options.command)
        with Crowd(seed, base64.b64decode(key), _MEMBERS):
            daemon.start("--cluster-key", key, "--join", seed.address)
            wait_for(lambda: len(daemon.peers()) == _MEMBERS, _PATIENCE, "a thousand peers")
            wait_for(lambda: len(daemon.hosts_lines()) == _MEMBERS, _PATIENCE, "/etc/hosts entries")
            text = [_run(daemon, "status") for _ in range(options.runs)]
            document = [_run(daemon, "status", "--json") for _ in range(options.runs)]
            small = [_run(daemon, "key", "show", "--force") for _ in range(options.runs)]
    return {
        "members": _MEMBERS,
        "status_seconds": _summary([seconds for seconds, _ in text]),
        "status_cpu_seconds": _summary([cpu for _, cpu in text]),
        "status_json_seconds": _summary([seconds for seconds, _ in document]),
        "startup_cpu_seconds": _summary([cpu for _, cpu in small]),
    }


def _run(daemon: Daemon, *words: str) -> tuple[float, float]:
    """Return the seconds that a command took, and those of CPU."""
    cpu, started = _children_cpu(), time.monotonic()
    output = daemon.host.run(*daemon.command, *words)
    took = time.monotonic() - started, _children_cpu() - cpu
    say(f"{' '.join(words)}: {len(output)} bytes in {took[0]:.3f} s, {took[1]:.3f} s of CPU")
    return took


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _summary(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 3), "worst": round(max(values), 3)}
