"""Members that run HashiCorp's own library, as processes: build one, start it, talk to it."""

import itertools
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

PROGRAM = "gomember"
SOURCE = Path(__file__).parent / "gomember"
LIBRARY = Path("/usr/share/gocode")
_CACHE = Path(__file__).resolve().parents[2] / "build" / "go"
PORT = 7946
T = TypeVar("T")
PATIENCE = 40.0  # seconds that a test waits for anything

CALM_GO: dict[str, Any] = {"interval": "2s", "timeout": "1s"}
"""Probes that stand a machine which stops for a second; `CALM` for ours."""
FORGETFUL_GO: dict[str, Any] = {"forget": "4s"}
"""The dead are gone soon; `FORGETFUL` for ours."""

Fact = dict[str, Any]

_started = itertools.count(1)


def why_no_others() -> str | None:
    """Say what this machine lacks to build a Go member or to run serf, or None."""
    if shutil.which("go") is None:
        return "needs golang-go"
    if not (LIBRARY / "src/github.com/hashicorp/memberlist").is_dir():
        return "needs golang-github-hashicorp-memberlist-dev"
    if shutil.which("serf") is None:
        return "needs serf"
    return None


def build(directory: Path) -> None:
    """Compile the Go member into `directory`, against the distribution's library."""
    env = {
        **os.environ,
        "GOPATH": str(LIBRARY),
        "GO111MODULE": "off",
        "GOFLAGS": "",
        "GOCACHE": os.environ.get("GOCACHE") or str(_CACHE),
    }
    argv = ["go", "build", "-o", str(directory / PROGRAM), "main.go"]
    subprocess.run(argv, cwd=SOURCE, env=env, check=True, timeout=600)


def wait_for(condition: Callable[..., T | None], what: str, timeout: float = PATIENCE) -> T:
    """Return what `condition` gives once it is true; AssertionError naming `what` if never."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(0.02)
    return found


class GoMember:
    """One Go member, perhaps started several times.

    `prefix` is put before its command line, to run it elsewhere (in a namespace); `file` names its
    log if its own name cannot.
    """

    def __init__(
        self,
        program: Path,
        directory: Path,
        name: str,
        ip: str,
        key: str,
        *,
        port: int = PORT,
        prefix: tuple[str, ...] = (),
        file: str | None = None,
        **flags: object,
    ) -> None:
        self.name = name
        self.ip = ip
        self.overlay = self.wireguard_key = ""
        """What it publishes as if it were wesher, if a test lets it."""
        self.port = port
        self.facts: list[Fact] = []
        self.allowed: tuple[str, ...] = ()
        """Errors its log may hold besides those of everybody's (`_HARMLESS`)."""
        own = {"name": name, "bind": ip, "port": port, "key": key, **flags}
        self._argv = [*prefix, str(program), *(f"-{key}={value}" for key, value in own.items())]
        self._log = directory / f"{file or name}-{next(_started)}.log"
        self._process: subprocess.Popen[str] | None = None

    @property
    def process(self) -> "subprocess.Popen[str]":
        assert self._process
        return self._process

    @property
    def host_port(self) -> str:
        """Where it listens, as Go writes it."""
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"

    @property
    def log(self) -> str:
        """What the library has logged, over all starts."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def errors(self) -> list[str]:
        """The errors it has logged that nobody expected."""
        harmless = (*_HARMLESS, *self.allowed)
        return [
            line
            for line in self.log.splitlines()
            if ("[ERR]" in line or "panic" in line) and not any(text in line for text in harmless)
        ]

    def start(self) -> "GoMember":
        """Run it; returns once it listens."""
        self.facts = []
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        threading.Thread(target=self._read, args=[self._process, self.facts], daemon=True).start()
        self.wait("up")
        return self

    @staticmethod
    def _read(process: "subprocess.Popen[str]", facts: list[Fact]) -> None:
        assert process.stdout
        for line in process.stdout:
            facts.append({**json.loads(line), "at": time.monotonic()})

    def send(self, *words: str) -> None:
        """Type a command and do not wait for its end."""
        assert self.process.stdin
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()

    def do(self, *words: str) -> Fact:
        """Type a command and return the answer."""
        before = len(self.facts)
        self.send(*words)
        return self.wait("done", after=before, command=words[0])

    def join(self, *host_ports: str) -> Fact:
        """Join through these addresses; the answer has `count` and `error`."""
        return self.do("join", *host_ports)

    def reach(self, name: str) -> None:
        """Ping a member that it knows until that answers; a slow machine may need several."""
        wait_for(lambda: self.do("ping", name)["error"] == "", f"{name} to answer {self.name}")

    @property
    def members(self) -> dict[str, Fact]:
        """Those it holds for alive or suspect, by name, itself included."""
        return {member["name"]: member for member in self.do("members")["members"]}

    def heard(self, event: str, after: int = 0, **fields: object) -> list[Fact]:
        """Return what happened so far of one kind, with these fields."""
        return [
            fact
            for fact in self.facts[after:]
            if fact["event"] == event and fields.items() <= fact.items()
        ]

    def wait(self, event: str, after: int = 0, timeout: float = PATIENCE, **fields: object) -> Fact:
        """Return the first thing of one kind that happened, with these fields."""

        def found() -> Fact | None:
            assert self.process.poll() is None, f"{self.name} ended: {self.log[-2000:]}"
            return next(iter(self.heard(event, after, **fields)), None)

        return wait_for(found, f"{self.name} tells of {event} {fields}", timeout)

    def kill(self) -> None:
        """End it at once, without a farewell; what it said stays."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process:
            with suppress(BrokenPipeError):
                assert self._process.stdin
                self._process.stdin.close()


# What it says of a member that is gone, or of a slow machine.
_HARMLESS = (
    "Failed fallback ping",
    "Failed to receive packet",
    "connect: connection refused",
    "i/o timeout",
)


class GoOf(Protocol):
    """Makes Go members, running and quick unless told otherwise."""

    def __call__(
        self, name: str, ip: str | None = None, *, start: bool = True, **flags: Any
    ) -> GoMember: ...
