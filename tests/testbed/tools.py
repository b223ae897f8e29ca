"""Drive the fake `wg`, `ip` and `wireguard-go` of tests/testbed/fakes from a test."""

import marshal
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

FAKES = Path(__file__).parent / "fakes"


class Tools:
    """One fake host: its directory is `$FAKES`, its programs stand first on PATH.

    What a test types itself with `do` is not among the calls.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(exist_ok=True)

    @property
    def env(self) -> dict[str, str]:
        """The environment in which a process finds these tools, and no true ones before them."""
        path = f"{FAKES}:{os.environ['PATH'].removeprefix(f'{FAKES}:')}"
        fakes = {"FAKES": str(self.directory), "FAKES_PYTHON": sys.executable}
        return {**os.environ, **fakes, "PATH": path}

    @property
    def host(self) -> dict[str, Any]:
        """What the host is like, without the cost of a process; host.py has the form."""
        try:
            host: dict[str, Any] = marshal.loads((self.directory / "host").read_bytes())
        except FileNotFoundError:
            return {"links": {}, "routes": {}}
        return host

    @property
    def calls(self) -> list[str]:
        """Every call since the start or the last `forget`, as typed."""
        return self._read("calls").splitlines()

    @property
    def changing_calls(self) -> list[str]:
        """The calls that change something, so all that do not read."""
        return [call for call in self.calls if not _only_reads(call)]

    def forget(self) -> None:
        """Forget the calls; the host stays as it is."""
        (self.directory / "calls").unlink(missing_ok=True)

    def stdin(self, tool: str) -> str:
        """Return what the tool last read from its standard input."""
        return self._read(f"{tool}.stdin")

    def fail(self, tool: str, times: int) -> None:
        """Let the next calls of the tool fail with `Device or resource busy`."""
        (self.directory / f"{tool}.fail").write_text(str(times))

    def refuse(self, tool: str, *words: str) -> None:
        """Let each `wg set`, and each line of an `ip -batch`, fail that contains such a word."""
        (self.directory / f"{tool}.refuse").write_text(" ".join(words))

    def hang(self, tool: str) -> None:
        """Let the tool hang from now on."""
        (self.directory / f"{tool}.hang").touch()

    def unhang(self, tool: str) -> None:
        """Let the tool work again; what hangs already stays hanging."""
        (self.directory / f"{tool}.hang").unlink()

    def without_kernel_wireguard(self) -> None:
        """Be a kernel that lacks WireGuard."""
        (self.directory / "no-wireguard").touch()

    def without(self, *missing: str) -> str:
        """Return a PATH on which these tools are missing, as if not installed.

        Not `ip`: the true one is where root's tools are always looked for.
        """
        assert "ip" not in missing
        programs = self.directory / "programs"
        shutil.rmtree(programs, ignore_errors=True)
        programs.mkdir()
        for tool in {"wg", "ip", "wireguard-go"} - set(missing):
            script = programs / tool
            script.write_text(f'#!/bin/sh\nexec "{FAKES}/{tool}" "$@"\n')
            script.chmod(0o755)
        return str(programs)

    def do(self, command: str, stdin: str = "") -> str:
        """Type a command on this host, as somebody else than the daemon would."""
        env = {**self.env, "FAKES_CALLS": os.devnull}
        done = subprocess.run(
            command.split(), env=env, input=stdin, capture_output=True, text=True, check=True
        )
        return done.stdout

    def dump(self, interface: str = "wgoverlay") -> list[list[str]]:
        """Return the fields of `wg show dump`: the interface's line, then one per peer."""
        return [line.split("\t") for line in self.do(f"wg show {interface} dump").splitlines()]

    def routes(self, interface: str = "wgoverlay") -> list[str]:
        """Return the destinations of the routes through an interface."""
        shown = self.do("ip route show").replace('"', "").splitlines()
        return [
            line.split("dst:")[1].split(",")[0] for line in shown if f"dev:{interface}," in line
        ]

    def _read(self, name: str) -> str:
        path = self.directory / name
        return path.read_text() if path.exists() else ""


def _only_reads(call: str) -> bool:
    return call.startswith("wg show") or " -json " in call
