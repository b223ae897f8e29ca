"""A plugin of pytest: nothing that a run of the tests printed, logged or told a tool is a secret.

Secrets are the cluster keys in the agents' state files and in what configures them, and the private
and preshared keys of their interfaces.
What was shown are the captured outputs of the tests, the output files of agents, and the arguments
and environments that the fake tools record. At the end of the run the two must have nothing in
common: values of 32 bytes are compared, however they were written.
"""

import base64
import binascii
import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.lab.interfaces import secret_keys
from tests.testbed.lab.netns import Lab, LabError

KEY_SIZE = 32  # bytes, of cluster keys and private keys alike
SHOWN_FILES = ("*.out", "*.err", "*.log", "calls", "environ", "*.prom")
"""Files in the tests' directories that hold what agents and tools were told or said."""
SECRET_FILES = (
    "*.invitations",
    "private-keys",
    "preshared-keys",
    "keys",
    "wesher.toml",
    "*.json",
    "*.json.old",
    "state.json",
)
_KEY_TEXT = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{43,}")
_HEX = re.compile(rb"[0-9A-Fa-f]{64,}")
_REPR = re.compile(rb"b'(?:[^'\\\n]|\\.){1,128}'|b\"(?:[^\"\\\n]|\\.){1,128}\"")
_MAX_WINDOWS = 300  # places of one long word at which a value may begin
_WORKER_KEY = "secrecy"


class Watch:
    """The secrets of a run, and every value that was shown, with where."""

    def __init__(self) -> None:
        self.secrets: set[bytes] = set()
        self.shown: dict[bytes, str] = {}

    def keep(self, secret: bytes) -> None:
        """Take note of a secret; a value of equal bytes is a test's own and none."""
        if len(secret) == KEY_SIZE and len(set(secret)) > 1:
            self.secrets.add(secret)

    def show(self, text: bytes, where: str) -> None:
        """Take note of what was shown."""
        for value in values_in(text):
            self.shown.setdefault(value, where)

    def gather(self, directory: Path) -> None:
        """Read the secrets and the outputs that tests left in a directory."""
        for pattern in SECRET_FILES:
            for file in directory.rglob(pattern):
                self.keep_all(_read(file))
        for pattern in SHOWN_FILES:
            for file in directory.rglob(pattern):
                self.show(_read(file), str(file))

    def gather_lab(self, lab: Lab) -> None:
        """Read the same of a lab that is about to end."""
        for host in lab.hosts:
            with contextlib.suppress(OSError, LabError):
                for file in host.path("/var/lib/wesher").glob("*.*"):
                    self.keep_all(_read(file))
                for key in secret_keys(host):
                    self.keep(key)
        self.gather(lab.directory)

    def keep_all(self, content: bytes) -> None:
        """Take the secrets out of a state file, a file of keys or what the fake `wg` was given."""
        try:
            keys = list(_saved_keys(json.loads(content)))
        except ValueError:
            keys = _KEY_TEXT.findall(content.decode(errors="replace"))
        for key in keys:
            if (secret := _decoded(key.encode())) is not None:
                self.keep(secret)

    def leaks(self) -> list[str]:
        """Return where secrets were shown."""
        return sorted({self.shown[secret] for secret in self.secrets & self.shown.keys()})


def values_in(text: bytes) -> Iterator[bytes]:
    """Yield all values of 32 bytes that a text holds in base64, in hex or as Python shows bytes."""
    for run in _BASE64.findall(text):
        for at in range(min(len(run) - 42, _MAX_WINDOWS)):
            if (value := _decoded(run[at : at + 43])) is not None:
                yield value
    for run in _HEX.findall(text):
        for at in range(min(len(run) - 63, _MAX_WINDOWS)):
            yield bytes.fromhex(run[at : at + 64].decode())
    for written in _REPR.findall(text):
        value = _evaluated(written)
        if len(value) == KEY_SIZE:
            yield value


def _decoded(text: bytes) -> bytes | None:
    """Decode 43 or 44 characters of base64, of the usual alphabet or of that for URLs."""
    try:
        value = base64.b64decode(text.rstrip(b"=").translate(_USUAL) + b"=", validate=True)
    except binascii.Error:
        return None
    return value if len(value) == KEY_SIZE else None


_USUAL = bytes.maketrans(b"-_", b"+/")


def _evaluated(written: bytes) -> bytes:
    body = written[2:-1].decode(errors="replace")
    try:
        return body.encode("latin-1").decode("unicode_escape").encode("latin-1")
    except (UnicodeError, ValueError):
        return b""


def _saved_keys(state: Any) -> Iterator[str]:
    """Yield the keys of a state file, or of one of invitations, in base64."""
    if not isinstance(state, dict):
        return
    for invitation in state.get("Invitations", ()):
        with contextlib.suppress(KeyError, TypeError, ValueError):  # damaged on purpose
            yield base64.b64encode(bytes.fromhex(invitation["Key"])).decode()
    ours = state.get("Wesher")
    ours = ours if isinstance(ours, dict) else {}
    others = ours.get("OtherKeys")
    found = (state.get("ClusterKey"), ours.get("IdentityKey"))
    for entry in (*found, *(others if isinstance(others, list) else ())):
        key = entry.get("Key") if isinstance(entry, dict) else entry
        if isinstance(key, str):
            yield key


def _read(file: Path) -> bytes:
    """Return the content of a file; a FIFO or a link to a device may never end."""
    if file.is_symlink() or not file.is_file():
        return b""
    try:
        return file.read_bytes()
    except OSError:
        return b""


class Secrecy:
    """The hooks that feed a Watch and ask it at the end."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test printed and logged."""
        for title, content in report.sections:
            self._watch.show(content.encode(errors="replace"), f"{report.nodeid}: {title}")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker of pytest-xdist has seen."""
        told = getattr(node, "workeroutput", {}).get(_WORKER_KEY)
        if told:
            self._watch.secrets |= {bytes.fromhex(one) for one in told["secrets"]}
            self._watch.shown |= {bytes.fromhex(one): at for one, at in told["shown"].items()}

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Compare, or hand over to whoever does; a leak fails the run."""
        watch, config = self._watch, session.config
        factory = getattr(config, "_tmp_path_factory", None)
        if factory is not None:
            watch.gather(factory.getbasetemp())
        if hasattr(config, "workeroutput"):
            config.workeroutput[_WORKER_KEY] = {
                "secrets": [one.hex() for one in watch.secrets],
                "shown": {one.hex(): at for one, at in watch.shown.items()},
            }
        elif watch.leaks():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        """Say where the leaks are, or how much was looked through."""
        watch = self._watch
        if leaks := watch.leaks():
            terminalreporter.section("secrets were shown", red=True)
            for where in leaks:
                terminalreporter.line(where)
        elif watch.secrets:
            terminalreporter.line(
                f"{len(watch.secrets)} secrets, and none among {len(watch.shown)} values shown"
            )


def pytest_configure(config: pytest.Config) -> None:
    """Begin to watch."""
    watch = Watch()
    config.pluginmanager.register(Secrecy(watch), "secrecy-of-this-run")
    Lab.before_close.append(watch.gather_lab)
    config.add_cleanup(lambda: Lab.before_close.remove(watch.gather_lab))
