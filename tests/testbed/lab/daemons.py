"""Real agents on the hosts of a lab."""

import base64
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from tests.testbed.lab.gossip_lookup import look
from tests.testbed.lab.interfaces import SeenPeer, seen_peers
from tests.testbed.lab.netns import Host, Lab, LabError, Process, wait_for
from wesher.gossip import Record

WESHER = [sys.executable, str(Path(__file__).resolve().parents[3] / "wesher.py")]
_INTERFACE = "wgoverlay"


def new_key() -> str:
    """Make a cluster key as `--cluster-key` wants it."""
    return base64.b64encode(os.urandom(32)).decode()


class Daemon:
    """One agent: its host, its state, and the process while it runs."""

    def __init__(
        self,
        lab: Lab,
        host: Host,
        *,
        interface: str = _INTERFACE,
        command: Sequence[str] = WESHER,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.host = host
        self.interface = interface
        self.command = list(command)
        self.env = dict(env or {})
        self.state = host.path("/var/lib/wesher")
        self.state_file = self.state / f"{interface}.json"
        self.output = host.directory / f"{interface}.log"
        self._kernel = lab.kernel_wireguard
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        """The running process; LabError when there is none."""
        if self._process is None:
            raise LabError(f"no agent was started on {self.host.name}")
        return self._process

    def start(self, *flags: str) -> None:
        """Run the agent with these flags, and its interface's name if it is not the usual one."""
        own = [] if self.interface == _INTERFACE else ["--interface", self.interface]
        self._process = self.host.spawn([*self.command, *own, *flags], self.output, self.env)

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 30) -> int:
        """Send a signal and return the exit status."""
        self.process.signal(number)
        return self.process.wait(timeout)

    def exit_status(self, timeout: float = 30) -> int:
        """Wait for an agent that is expected to give up by itself."""
        return self.process.wait(timeout)

    def lives(self) -> bool:
        """Whether it runs; LabError when it ended although nobody stopped it."""
        if not self.process.running:
            raise LabError(f"the agent on {self.host.name} ended with {self.process.wait(0)}")
        return True

    def log(self) -> str:
        """Everything it has printed, over all its starts."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def peers(self) -> dict[str, SeenPeer]:
        """The peers of its interface by public key."""
        return seen_peers(self.host, self.interface, kernel=self._kernel)

    def has_peers(self, number: int) -> bool:
        """Tell whether it runs, with so many peers."""
        return self.lives() and len(self.peers()) == number

    def overlay_address(self) -> str | None:
        """The address of its interface, without the prefix length."""
        listed = self.host.run("ip", "-brief", "address", "show", self.interface, check=False)
        fields = listed.split()
        return fields[2].partition("/")[0] if len(fields) > 2 else None

    def hosts_lines(self) -> dict[str, str]:
        """Map the names in the lines its hosts file carries for this interface to addresses."""
        text = self.host.path("/etc/hosts").read_text(errors="replace")
        ours = [line for line in text.splitlines() if line.endswith(f"interface {self.interface}")]
        return {line.split()[1]: line.split()[0] for line in ours}

    def has_hosts_lines(self, number: int) -> bool:
        """Tell whether its hosts file carries so many lines for this interface."""
        return len(self.hosts_lines()) == number


class Mesh:
    """Agents on several hosts that share one cluster key."""

    def __init__(
        self, lab: Lab, hosts: Sequence[Host] | None = None, command: Sequence[str] = WESHER
    ) -> None:
        self.lab = lab
        self.key = new_key()
        self.daemons = [Daemon(lab, host, command=command) for host in hosts or lab.hosts]

    @property
    def seed(self) -> Daemon:
        """The one everybody else joins."""
        return self.daemons[0]

    def start(self, *flags: str) -> float:
        """Start all at once; return when the last one was, on the monotonic clock."""
        for daemon in self.daemons:
            self.start_one(daemon, *flags)
        return time.monotonic()

    def start_one(self, daemon: Daemon, *flags: str) -> None:
        """Start one; the seed joins nobody."""
        join = [] if daemon is self.seed else ["--join", self.seed.host.address]
        daemon.start("--cluster-key", self.key, *join, *flags)

    def wait_until_complete(self, timeout: float, daemons: Sequence[Daemon] | None = None) -> None:
        """Return once `wg show` of every daemon lists every other.

        One daemon is asked at a time, so that asking costs next to nothing.
        """
        waiting = list(daemons or self.daemons)
        wanted = len(waiting) - 1
        deadline = time.monotonic() + timeout
        for daemon in waiting:
            wait_for(
                partial(daemon.has_peers, wanted),
                deadline - time.monotonic(),
                f"{wanted} peers on {daemon.host.name}",
            )
        # Who comes back may show peers of before for a moment.
        wait_for(
            lambda: _adds_up([set(daemon.peers()) for daemon in waiting]),
            deadline - time.monotonic(),
            "all to have the same peers, but for themselves",
        )

    def settle(self, timeout: float = 60) -> None:
        """Return once peers, hosts files and state files of all have everybody in them."""
        self.wait_until_complete(timeout)
        self.wait_for_hosts_lines(timeout)
        for daemon in self.daemons:
            wait_for(partial(self._saved, daemon), timeout, "state to be saved")

    def _saved(self, daemon: Daemon) -> bool:
        saved = daemon.state_file.read_text() if daemon.state_file.exists() else ""
        others = (other for other in self.daemons if other is not daemon)
        return all(f'"{other.host.address}"' in saved for other in others)

    def wait_for_hosts_lines(self, timeout: float) -> None:
        """Return once every daemon's hosts file names every other."""
        for daemon in self.daemons:
            wait_for(
                partial(daemon.has_hosts_lines, len(self.daemons) - 1),
                timeout,
                f"/etc/hosts entries on {daemon.host.name}",
            )

    def look(self, daemon: Daemon) -> dict[str, Record]:
        """The agent's own table of members by name; empty while it does not answer."""
        return look(self.seed.host, daemon.host, base64.b64decode(self.key))

    def stop(self) -> None:
        """Stop all within the same moment, and wait for them."""
        for daemon in self.daemons:
            daemon.process.signal(signal.SIGTERM)
        for daemon in self.daemons:
            daemon.process.wait(30)


def ping(daemon: Daemon, target: str, timeout: int = 20) -> bool:
    """Send an echo request a second until one is answered, and say whether one was."""
    return daemon.host.succeeds("ping", "-n", "-c", "1", "-w", str(timeout), target)


def join_all(daemons: Sequence[Daemon]) -> str:
    """Render `--join` for all of them."""
    return ",".join(daemon.host.address for daemon in daemons)


def parse_command(text: str | None) -> list[str]:
    """Read `--command "…"`, whose program may be a path from here; wesher when there is none."""
    if not text:
        return WESHER
    program, *flags = shlex.split(text)
    return [os.path.abspath(program) if os.sep in program else program, *flags]


def _adds_up(seen: Sequence[set[str]]) -> bool:
    """Whether every key is known to all but its owner; equal counts alone could hide a mix-up."""
    everyone = set().union(*seen)
    missing = [everyone - keys for keys in seen]
    return len(seen) == 1 or (len(everyone) == len(seen) and set().union(*missing) == everyone)


MeshOf = Callable[[int], Mesh]
"""Makes a mesh of so many agents, none of them started yet."""
RecordSeconds = Callable[[str, float, float], None]
"""Notes how long something took, and its limit."""
