"""Whole agents as processes, each on a fake host of its own, talking over loopback addresses."""

import base64
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from tests.testbed.tools import Tools
from wesher.base.errors import WesherError
from wesher.system.control_client import ask

WESHER = (sys.executable, str(Path(__file__).resolve().parents[2] / "wesher.py"))
NAME = "wgoverlay"
STOP_LIMIT = 6.0  # seconds; two are promised, but machines are busy. A tool may hang for ten
PATIENCE = 40.0  # seconds that a test waits for anything


class Host:
    """A fake host: its tools, its files, and a loopback address for its underlay."""

    def __init__(self, directory: Path, address: str) -> None:
        directory.mkdir(parents=True)
        self.directory = directory
        self.address = address
        self.tools = Tools(directory / "fakes")
        self.state = directory / "state"
        self.run = directory / "run"
        self.hosts_file = directory / "hosts"
        self.hosts_file.write_text("127.0.0.1 localhost\n")

    @property
    def paths(self) -> list[str]:
        """The flags that keep an agent inside this host."""
        return [f"--run-dir={self.run}", f"--hosts-file={self.hosts_file}"]

    def hosts_lines(self, interface: str = NAME) -> dict[str, str]:
        """Map the names on our lines of the hosts file to addresses."""
        lines = self.hosts_file.read_text().splitlines()
        ours = [line.split() for line in lines if line.endswith(f"interface {interface}")]
        return {words[1]: words[0] for words in ours}

    def peers(self, interface: str = NAME) -> dict[str, tuple[str, str]]:
        """Map the allowed-ips of each peer to its public key and endpoint."""
        link = self.tools.host["links"].get(interface, {"peers": {}})
        return {
            ",".join(peer["allowed"]): (key, peer["endpoint"])
            for key, peer in link["peers"].items()
        }

    def routes(self, interface: str = NAME) -> list[str]:
        """Return the destinations of the routes through the interface."""
        routes = self.tools.host["routes"].values()
        return [route["dst"] for route in routes if route["dev"] == interface]

    def has_interface(self, interface: str = NAME) -> bool:
        """Tell whether the interface exists."""
        return interface in self.tools.host["links"]

    def is_clean(self, interface: str = NAME) -> bool:
        """Tell whether nothing of an agent is left: no interface, route or /etc/hosts entry."""
        return not (
            self.has_interface(interface) or self.routes(interface) or self.hosts_lines(interface)
        )


class Agent:
    """One agent, perhaps started several times; `name` is its node name."""

    def __init__(self, host: Host, name: str, interface: str = NAME) -> None:
        self.host = host
        self.name = name
        self.interface = interface
        self._process: subprocess.Popen[bytes] | None = None
        self._output = host.directory / f"{interface}.out"
        self._errors = host.directory / f"{interface}.err"
        self.terminal: int | None = None
        self._screen = b""
        self._empty()

    def start(
        self,
        *flags: str,
        wrapper: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        given: str | None = None,
        terminal: bool = False,
    ) -> "Agent":
        """Run the agent with these flags, its own place and quick gossip; `given` is its stdin."""
        argv = [*wrapper, *WESHER, *self.flags, *flags]
        self.launch(argv, env=env, given=given, terminal=terminal)
        return self

    @property
    def flags(self) -> list[str]:
        """The flags that give it its own name and place, and quick gossip."""
        return [
            f"--node-name={self.name}",
            f"--bind-addr={self.host.address}",
            f"--interface={self.interface}",
            f"--state-dir={self.host.state}",
            "--timing=local",
            *self.host.paths,
        ]

    def launch(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        given: str | None = None,
        terminal: bool = False,
    ) -> None:
        """Run any command on this host, with its output where the agent's would be."""
        environment = {**self.host.tools.env, **(env or {})}
        self._empty()
        if terminal:
            self._start_on_terminal(argv, environment)
            return
        stdin = self.host.directory / "stdin"
        stdin.write_text(given or "")
        with stdin.open() as source, self._output.open("wb") as out, self._errors.open("wb") as err:
            self._process = subprocess.Popen(
                argv, env=environment, stdin=source, stdout=out, stderr=err
            )

    def _empty(self) -> None:
        self._output.write_bytes(b"")
        self._errors.write_bytes(b"")

    def _start_on_terminal(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Give it a terminal of its own, that sends SIGHUP when it closes."""
        self.terminal, slave = pty.openpty()
        self._screen = b""
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *argv],
            cwd=self.host.directory,
            env=env,
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process
        return self._process

    @property
    def output(self) -> str:
        """What it has written to standard output so far."""
        return self._output.read_text(errors="replace")

    @property
    def errors(self) -> str:
        """What it has written to standard error so far: messages and the log."""
        return self._errors.read_text(errors="replace")

    def says(self, text: str) -> None:
        """Wait until `text` is in its `errors`: a thread writes them, soon after the event."""
        wait_for(lambda: text in self.errors, f"{self.name} to say {text!r}")

    @property
    def complaints(self) -> str:
        """Its `errors`, but for the word that the machine had stood still for seconds."""
        lines = self.errors.splitlines(keepends=True)
        return "".join(
            line for line in lines if "this host was suspended or stalled for" not in line
        )

    def screen(self) -> str:
        """What its terminal shows."""
        assert self.terminal is not None
        while select.select([self.terminal], [], [], 0)[0]:
            try:
                self._screen += os.read(self.terminal, 65536)
            except OSError:  # nobody has the other end open any more
                break
        return self._screen.decode().replace("\r\n", "\n")

    def close_terminal(self) -> None:
        """Hang up."""
        if self.terminal is not None:
            os.close(self.terminal)
            self.terminal = None

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for its end; returns the exit code, negative for a signal that killed it."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None:
            if self.terminal is not None:
                self.screen()  # or its writes would block
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name} did not end within {timeout:.1f} s")
            time.sleep(0.005)
        return self.process.returncode

    def stop(self, number: signal.Signals = signal.SIGTERM, limit: float = STOP_LIMIT) -> int:
        """Send a signal; returns the exit code, which must come within `limit` seconds."""
        began = time.monotonic()
        self.tell(number)
        code = self.wait(limit)
        print(f"{self.name} ended {time.monotonic() - began:.2f} s after {number.name}")
        return code

    def lives(self) -> bool:
        """Tell whether it runs; AssertionError when it ended although nobody stopped it."""
        code = self.process.poll()
        assert code is None, f"{self.name} ended with {code}: {self.errors}"
        return True

    def is_up(self) -> bool:
        """Tell whether its interface has an address."""
        return self.lives() and self.overlay_address is not None

    @property
    def overlay_address(self) -> str | None:
        """The address of its interface, None while it has none."""
        link = self.host.tools.host["links"].get(self.interface, {"addresses": []})
        return next((one.partition("/")[0] for one in link["addresses"]), None)

    @property
    def state(self) -> dict[str, Any]:
        """What it has saved, an empty one so far if it has not; it does so last of all."""
        file = self.host.state / f"{self.interface}.json"
        state: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        return state

    @property
    def saved_members(self) -> dict[str, dict[str, Any]]:
        """What its state says of the others by their names; those that left are among them."""
        return {node["Name"]: node for node in self.state.get("Nodes", [])}

    def has_saved(self, names: set[str]) -> bool:
        """Tell whether its state has exactly these others."""
        return self.saved_members.keys() == names

    @property
    def reconciles(self) -> int:
        """How many reconciles it has ended since its start; none as long as it does not answer."""
        try:
            account = ask(self.host.run, self.interface, "account")
        except WesherError:
            return 0
        count: int = account["reconciles"]["count"]
        return count

    def knows(self, *others: "Agent") -> bool:
        """Tell whether exactly these others have a hosts entry here; the state is saved later."""
        lines = self.host.hosts_lines(self.interface)
        return self.lives() and set(lines) == {other.name for other in others}

    def kill(self) -> None:
        """End it if it still runs, and its terminal."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self.close_terminal()


def new_key() -> str:
    """Make a cluster key as `--cluster-key` wants it."""
    return base64.b64encode(os.urandom(32)).decode()


class AgentOf(Protocol):
    """Makes agents, none of them started yet, each on a host of its own unless told one."""

    def __call__(self, name: str, host: Host | None = None, interface: str = NAME) -> Agent: ...


def wait_for(condition: Callable[..., bool], what: str, timeout: float = PATIENCE) -> None:
    """Return once `condition` holds; AssertionError naming `what` when it does not come true."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:.0f} s: {what}")
        time.sleep(0.03)


def wait_until_met(*agents: Agent, timeout: float = PATIENCE) -> None:
    """Return once each of these agents knows exactly the others."""
    for agent in agents:
        others = [other for other in agents if other is not agent]
        wait_for(partial(agent.knows, *others), f"{agent.name} knows the others", timeout)


def wait_until_saved(*agents: Agent, timeout: float = PATIENCE) -> None:
    """Return once these agents know each other and will after a crash: their states say so."""
    wait_until_met(*agents, timeout=timeout)
    for agent in agents:
        others = {other.name for other in agents if other is not agent}
        wait_for(partial(agent.has_saved, others), "the state", timeout)


def hanging_tools(agent: Agent) -> list[str]:
    """Name the fake tools that hang at the moment on an agent's host."""
    ours = f"FAKES={agent.host.tools.directory}".encode()
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = file.read_bytes().split(b"\0")
        except OSError:
            continue
        if ours in variables:
            found += [one[14:].decode() for one in variables if one.startswith(b"FAKES_HANGING=")]
    return found
