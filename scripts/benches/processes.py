"""How many processes that change anything one membership change costs."""

import base64
import os
import time
from collections.abc import Callable
from pathlib import Path

from scripts.benches.crowd import Crowd
from scripts.benches.measuring import Options, Result, say
from tests.testbed.lab.daemons import Daemon, new_key
from tests.testbed.lab.netns import Lab, wait_for

_FAKES = Path(__file__).resolve().parents[2] / "tests" / "testbed" / "fakes"
_SIZES = (10, 100, 1000)
_CALM = 2.0  # seconds without a call, after which an agent has settled


def measure(options: Options) -> Result:
    """Count `wg` and `ip` calls with fake tools in meshes of several sizes, by joining and leaving.

    The members are gossip's only; the counts are the larger of those for a join and a leave.
    """
    counts = {peers: _count(options, peers) for peers in _SIZES}
    return {
        tool: {str(peers): counted[tool] for peers, counted in counts.items()}
        for tool in ("wg", "ip")
    }


def _count(options: Options, peers: int) -> dict[str, int]:
    key = new_key()
    with Lab(2) as lab, Crowd(lab.hosts[1], base64.b64decode(key), peers) as crowd:
        fakes = lab.directory / "fakes"
        fakes.mkdir()
        env = {"PATH": f"{_FAKES}:{os.environ['PATH']}", "FAKES": str(fakes)}
        daemon = Daemon(lab, lab.hosts[0], command=options.command, env=env)
        daemon.start(
            *("--cluster-key", key, "--join", lab.hosts[1].address),
            *("--bind-addr", lab.hosts[0].address),
        )
        calls = _Calls(fakes / "calls")
        wait_for(lambda: f"crowd{peers - 1}" in daemon.hosts_lines(), 60, f"{peers} peers")
        calls.settle()
        joined = calls.of(lambda: crowd.add_one(daemon.host))
        left = calls.of(lambda: crowd.remove_one(daemon.host))
    say(f"{peers} peers: a join costs {joined}, a leave {left}")
    return {tool: max(joined[tool], left[tool]) for tool in joined}


class _Calls:
    """The calls that the fake tools wrote down."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def settle(self) -> None:
        """Wait until there are no more."""
        known = -1
        while known != (now := len(self._lines())):
            known = now
            time.sleep(_CALM)

    def of(self, change: Callable[[], None]) -> dict[str, int]:
        """Count those that change anything, by tool, from a change until it is settled."""
        before = len(self._lines())
        change()
        wait_for(lambda: self._changing(before), 10, "a tool to be called")
        self.settle()
        tools = [line.split()[0] for line in self._changing(before)]
        return {tool: tools.count(tool) for tool in ("wg", "ip")}

    def _changing(self, since: int) -> list[str]:
        return [line for line in self._lines()[since:] if not _only_reads(line)]

    def _lines(self) -> list[str]:
        return self._path.read_text().splitlines()


def _only_reads(call: str) -> bool:
    return call.startswith("wg show ") or (call.startswith("ip ") and "-json" in call.split())
