"""Hosts on one wire, made of namespaces: the ground of demo, bench and the lab tests.

Everything lives inside one PID namespace whose first process takes its commands from a pipe that
we hold. When we close it, or die in whatever way, the kernel ends all processes in there, and with
them go their network and mount namespaces, interfaces and mounts. Nothing has a name outside, so
nothing can be left behind.
"""

import contextlib
import ctypes
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar

_HOST_PROGRAM = Path(__file__).with_name("host.sh")
_DIRECTORY_PREFIX = "wesher-lab-"
_CLONE_NEWNET = 0x40000000
# Found here, since what runs inside may be given another PATH.
_NSENTER = shutil.which("nsenter") or "nsenter"
_TICKS = os.sysconf("SC_CLK_TCK")


class LabError(Exception):
    """The lab could not do what it was asked to, or waited for something in vain."""


def why_no_lab() -> str | None:
    """Say what this machine lacks to run a lab, or None."""
    if os.geteuid() != 0:
        return "needs root"
    missing = [tool for tool in ("unshare", "nsenter", "ip", "wg") if shutil.which(tool) is None]
    if missing:
        return f"needs {', '.join(missing)}"
    probe = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], check=False)
    return "may not create namespaces" if probe.returncode else None


def wait_for(condition: Callable[..., object], timeout: float, what: str) -> float:
    """Poll until `condition` holds; return the seconds it took, or raise LabError."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > timeout:
            raise LabError(f"waited {timeout:g} s in vain for {what}")
        time.sleep(0.02)
    return time.monotonic() - started


class Process:
    """A program that runs inside a host, seen from outside."""

    def __init__(self, entering: subprocess.Popen[bytes]) -> None:
        self._entering = entering
        self.pid = _only_child(entering)
        self.started_at = time.monotonic()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; one that comes too late is not an error."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
                if number is signal.SIGCONT:  # nsenter has stopped together with its child
                    os.kill(self._entering.pid, number)

    @property
    def running(self) -> bool:
        return self._entering.poll() is None

    def wait(self, timeout: float) -> int:
        """Return its exit status, negative for the signal that killed it."""
        try:
            return self._entering.wait(timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"process {self.pid} did not end within {timeout:g} s") from None

    def cpu_seconds(self) -> float:
        """User and system time so far, of the process and of the children it waited for."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(ticks) for ticks in fields[11:15]) / _TICKS

    def resident_mb(self, what: str = "VmRSS") -> float:
        """Resident memory, in units of 1,000,000 bytes; VmHWM is the most there ever was."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        kilobytes = next(line for line in status.splitlines() if line.startswith(what))
        return int(kilobytes.split()[1]) * 1024 / 1e6


class Host:
    """One machine of the lab: its own network, host name, /run and /etc."""

    def __init__(self, number: int, name: str, pid: int, directory: Path) -> None:
        self.number = number
        self.name = name
        self.address = f"192.168.77.{number}"
        self.directory = directory
        self.processes: list[Process] = []
        self._pid = pid

    def path(self, absolute: str) -> Path:
        """Where a file of this host is found from outside; symbolic links are not followed well."""
        return Path(f"/proc/{self._pid}/root{absolute}")

    def run(self, *argv: str, stdin: str = "", timeout: float = 20, check: bool = True) -> str:
        """Run a program to its end and return its standard output."""
        done = subprocess.run(
            self._enter(argv),
            check=False,
            input=stdin,
            timeout=timeout,
            capture_output=True,
            text=True,
        )
        if check and done.returncode:
            raise LabError(f"`{shlex.join(argv)}` on {self.name} failed: {done.stderr.strip()}")
        return done.stdout

    def succeeds(self, *argv: str, timeout: float = 20) -> bool:
        """Run a program and say whether it ended with exit code 0."""
        done = subprocess.run(
            self._enter(argv),
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
        )
        return done.returncode == 0

    def spawn(
        self, argv: Sequence[str], output: Path, env: Mapping[str, str] | None = None
    ) -> Process:
        """Start a program whose output is appended to a file."""
        with output.open("ab") as log:
            entering = subprocess.Popen(
                self._enter(argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**_clean_environment(), **(env or {})},
                start_new_session=True,
            )
        self.processes.append(Process(entering))
        return self.processes[-1]

    def socket(self, kind: int, family: int = socket.AF_INET, protocol: int = 0) -> socket.socket:
        """Open a socket that lives in this host's network."""
        opened: list[socket.socket] = []

        def open_inside() -> None:
            with Path(f"/proc/{self._pid}/ns/net").open() as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            opened.append(socket.socket(family, kind, protocol))

        # setns changes the calling thread only, which ends right here.
        thread = threading.Thread(target=open_inside)
        thread.start()
        thread.join()
        return opened[0]

    @property
    def entry(self) -> str:
        """What a person types to get a shell on this host."""
        return shlex.join(self._enter(["bash"]))

    def _enter(self, argv: Sequence[str]) -> list[str]:
        return [_NSENTER, "-t", str(self._pid), "-p", "-m", "-r", "-n", "-u", "--", *argv]


class Lab:
    """Some hosts on one bridge; a context manager."""

    before_close: ClassVar[list[Callable[["Lab"], None]]] = []
    """Called with every lab while its hosts still are as its user left them."""

    def __init__(self, hosts: int = 0) -> None:
        _remove_leftover_directories()
        self.directory = Path(tempfile.mkdtemp(prefix=f"{_DIRECTORY_PREFIX}{os.getpid()}-"))
        self.hosts: list[Host] = []
        self._errors = self.directory / "errors"
        self._room = self._open_room()
        self._root = _only_child(self._room)
        try:
            self.kernel_wireguard = self._has_kernel_wireguard()
            self.add(hosts)
        except LabError:
            self.close()
            raise

    def __enter__(self) -> "Lab":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every process in the lab, and with them everything else."""
        if self._room.poll() is None:
            for look in self.before_close:
                look(self)
        assert self._room.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._room.stdin.close()
        try:
            self._room.wait(5)
        except subprocess.TimeoutExpired:
            self._room.kill()
            self._room.wait()
        assert self._room.stdout is not None
        self._room.stdout.close()
        for process in (process for host in self.hosts for process in host.processes):
            process.wait(5)
        shutil.rmtree(self.directory, ignore_errors=True)

    def add(self, count: int) -> list[Host]:
        """Put that many further hosts on the bridge, named node1, node2, …"""
        numbers = range(len(self.hosts) + 1, len(self.hosts) + count + 1)
        for number in numbers:
            program = shlex.join(
                ["bash", str(_HOST_PROGRAM), str(number), f"node{number}", str(numbers.stop - 1)]
            )
            self._tell(f"unshare --net --mount --uts {program} &")
        pids = self._wait_until_ready(count)
        plug = "\n".join(f"link set host{number} master bridge up" for number in numbers)
        self.run("ip", "-batch", "-", stdin=plug)
        added = [self._host(number, pids[number]) for number in numbers]
        self.hosts += added
        return added

    def run(self, *argv: str, stdin: str = "") -> str:
        """Run a program where the bridge is."""
        enter = [_NSENTER, "-t", str(self._root), "-p", "-m", "-r", "-n", "--", *argv]
        done = subprocess.run(
            enter, check=False, input=stdin, timeout=20, capture_output=True, text=True
        )
        if done.returncode:
            raise LabError(f"`{shlex.join(argv)}` failed: {done.stderr.strip()}")
        return done.stdout

    def cut(self, host: Host) -> None:
        """Pull the host's cable."""
        self.run("ip", "link", "set", f"host{host.number}", "down")

    def heal(self, host: Host) -> None:
        """Put the host's cable back."""
        self.run("ip", "link", "set", f"host{host.number}", "up")

    def _open_room(self) -> subprocess.Popen[bytes]:
        separate = ["--pid", "--fork", "--kill-child", "--mount-proc", "--net", "--uts"]
        with self._errors.open("wb") as errors:
            return subprocess.Popen(
                ["unshare", *separate, "bash", "-s"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )

    def _has_kernel_wireguard(self) -> bool:
        self._tell("ip link add bridge type bridge && ip link set bridge up")
        self._tell("ip address add 192.168.77.254/24 dev bridge")
        self._tell("ip link add probe type wireguard 2>/dev/null; echo wireguard $?")
        return self._hear(10) == "wireguard 0"

    def _tell(self, command: str) -> None:
        assert self._room.stdin is not None
        # One that has ended already is noticed, with its reason, when its answer is missing.
        with contextlib.suppress(BrokenPipeError):
            self._room.stdin.write(f"{command}\n".encode())
            self._room.stdin.flush()

    def _hear(self, timeout: float) -> str:
        assert self._room.stdout is not None
        readable, _, _ = select.select([self._room.stdout], [], [], timeout)
        line = os.read(self._room.stdout.fileno(), 65536).decode() if readable else ""
        if not line:
            raise LabError(f"no lab: {self._errors.read_text().strip() or 'no answer'}")
        return line.rstrip("\n")

    def _wait_until_ready(self, count: int) -> dict[int, int]:
        """Map the number of each new host to its process, as we see it."""
        inner: dict[int, int] = {}
        while len(inner) < count:
            for line in self._hear(20).splitlines():
                _, number, pid = line.split()
                inner[int(pid)] = int(number)
        outer = {_inner_pid(pid): pid for pid in _children(self._root)}
        return {number: outer[pid] for pid, number in inner.items()}

    def _host(self, number: int, pid: int) -> Host:
        name = f"node{number}"
        directory = self.directory / name
        directory.mkdir()
        return Host(number, name, pid, directory)


def _clean_environment() -> dict[str, str]:
    """Our environment without settings meant for an agent of the person who runs the lab."""
    return {name: value for name, value in os.environ.items() if not name.startswith("WESHER_")}


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _only_child(parent: subprocess.Popen[bytes]) -> int:
    """The program that `nsenter` or `unshare` forked; its own pid if it already ended."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and parent.poll() is None:
        if found := _children(parent.pid):
            return found[0]
        time.sleep(0.0005)
    return parent.pid


def _inner_pid(pid: int) -> int:
    """The number a process has in its own PID namespace."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("NSpid"))
    return int(line.split()[-1])


def _remove_leftover_directories() -> None:
    """Remove what labs left whose process was killed."""
    for directory in Path(tempfile.gettempdir()).glob(f"{_DIRECTORY_PREFIX}*"):
        owner = directory.name.removeprefix(_DIRECTORY_PREFIX).partition("-")[0]
        if not Path(f"/proc/{owner}").exists():
            shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a script like Ctrl-C does, so that `with Lab()` is left."""

    def stop(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


LabOf = Callable[[int], Lab]
"""Makes a lab of so many hosts, closed when the test ends."""
