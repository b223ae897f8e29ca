"""What the pages for operators show is typed on real hosts, as they show it."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.testbed.documents import ROOT, blocks, commands, typed, words
from tests.testbed.lab.daemons import WESHER, Daemon, Mesh
from tests.testbed.lab.netns import Host, Lab, LabError, wait_for
from tests.testbed.quoting import normalised, resembles
from wesher.cli import COMMANDS

README = ROOT / "README.md"
OPERATIONS = ROOT / "docs/operations.md"
PAGES = [README, OPERATIONS, ROOT / "docs/troubleshooting.md"]
PACE = ("--timing", "lan")
PATIENCE = 60.0  # seconds
ENDLESS = {"monitor"}
AT_THE_END = {"cleanup", "forget"}  # which need an agent that is gone
STARTS = "join"  # an agent, on a host that has none
PINNED = "trust"  # needs agents that pin identities: test_identities.py
INSTALLED = "install-unit"  # needs an installation by pip, which a checkout is not
OURS = COMMANDS.keys() - {STARTS, INSTALLED, PINNED}

NOT_TYPED = {
    "sudo scripts/demo": "makes hosts of its own: the test of the demonstration",
    "scripts/build-deb --quick": "changes this machine: scripts/test-deb installs the package",
    "sudo PIPX_HOME=/opt/pipx PIPX_BIN_DIR=/usr/local/bin pipx install .": "needs the internet: "
    "scripts/test-wheel",
    "sudo python3 -m venv /opt/wesher": "needs the internet: scripts/test-wheel",
}
"""The first lines of the blocks of the README that are not typed in a lab, and why."""

MeshOf = Callable[[int], Mesh]


def shown(*, ending: bool) -> list[list[str]]:
    """Return the commands of the pages, without the program's name, each once."""
    lines = [line.text for line in commands(PAGES)]
    found = dict.fromkeys(tuple(words(line)[1:]) for line in lines if _is_ours(line))
    return [list(one) for one in found if (one[0] in AT_THE_END) == ending]


def _is_ours(line: str) -> bool:
    program, *arguments = words(line)
    return program == "wesher" and bool(arguments) and arguments[0] in OURS


def starts() -> list[list[str]]:
    """Return the arguments of the agents that the README starts, in its order."""
    lines = [words(line.text) for line in typed([README])]
    return [
        arguments
        for program, *arguments in lines
        if program == "wesher" and (not arguments or arguments[0] == STARTS)
    ]


def filled(arguments: list[str], **values: str) -> list[str]:
    """Put values in the place of NAME, KEY and the like."""
    return [values.get(word, word) for word in arguments]


def as_typed(daemon: Daemon, arguments: list[str]) -> bool:
    """Run a command on a terminal, as a person does; say whether it ended well."""
    line = shlex.join([*WESHER, *arguments])
    return daemon.host.succeeds("script", "-qec", line, "/dev/null", timeout=60)


def begins(daemon: Daemon, arguments: list[str]) -> None:
    """Run a command that does not end by itself until it has printed a line."""
    output = daemon.host.directory / "endless.out"
    output.unlink(missing_ok=True)
    process = daemon.host.spawn([*WESHER, *arguments], output)
    wait_for(lambda: "\n" in output.read_text(), PATIENCE, f"{arguments} to begin")
    process.signal(signal.SIGINT)
    process.wait(30)


@pytest.fixture
def mesh(mesh_of: MeshOf) -> Mesh:
    """Two agents, started as the README says."""
    mesh = mesh_of(2)
    first, second = mesh.daemons
    alone, joining = starts()
    first.start(*alone, *PACE)
    wait_for(first.overlay_address, PATIENCE, "the first host")
    mesh.key = first.host.run(*WESHER, "key", "show", "--force").strip()
    token = first.host.run(*WESHER, "invite").split()[-1]
    second.start(*filled(joining, TOKEN=token), *PACE)
    mesh.settle()
    return mesh


@pytest.mark.timeout(300)
def test_every_command_does_what_it_is_for(mesh: Mesh) -> None:
    first, second = mesh.daemons
    values = {"NAME": second.host.name, "FILE": "/run/a-file", "ID": "all"}

    for arguments in shown(ending=False):
        ready = filled(arguments, **values)
        if ready[0] in ENDLESS:
            begins(first, ready)
        else:  # on a busy machine the doctor may find a host slow that is not
            wait_for(lambda ready=ready: as_typed(first, ready), PATIENCE, f"{ready} to do well")
    assert not as_typed(first, ["cleanup"]), "an agent runs"

    second.stop(signal.SIGKILL)
    for arguments in shown(ending=True):
        ready = filled(arguments, **values)
        host = second if ready[0] == "cleanup" else first
        wait_for(lambda r=ready, h=host: as_typed(h, r), PATIENCE, f"{ready} to do well")

    wait_for(lambda: first.peers() == {}, PATIENCE, "the forgotten peer to go")
    assert not second.host.succeeds("ip", "link", "show", second.interface)


def test_a_hand_over_by_hand_keeps_the_interface(mesh: Mesh) -> None:
    first, second = mesh.daemons
    before = set(first.peers())
    [stop] = [line.text for line in typed([OPERATIONS]) if line.text.startswith("kill")]

    second.host.run("sh", "-c", stop)
    assert second.exit_status() == 0
    second.start(*PACE)
    wait_for(lambda: as_typed(second, ["status"]), PATIENCE, "the new agent")

    assert set(first.peers()) == before


def test_the_demonstration_prints_what_the_readme_shows() -> None:
    [transcript] = [
        block.text for block in blocks("console", pages=[README]) if "pings" in block.text
    ]
    command, _, wanted = transcript.partition("\n")
    assert words(command.removeprefix("$ ")) == ["scripts/demo"]

    printed = subprocess.run(
        [sys.executable, "scripts/lib/demo.py"],
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
    ).stdout

    assert resembles(printed, wanted)


class Terminal:
    """Where somebody types what the README shows, on one host."""

    def __init__(self, host: Host, programs: Path) -> None:
        self._host = host
        self._path = f"{programs}:{os.environ['PATH']}"
        # Not one of the files that are searched for secrets: a terminal is shown the key.
        self._agent = host.directory / "terminal.typescript"

    def start(self, line: str, wanted: str) -> str:
        """Start an agent that stays, and return what it has printed once that is as shown."""
        self._host.spawn(self._argv(line), self._agent)

        def begun() -> str:
            lines = plain(self._agent.read_text()).splitlines()
            return "\n".join(lines[: wanted.count("\n")])

        return self._until(begun, line, wanted)

    def run(self, line: str, wanted: str) -> str:
        """Run a command, again while a busy machine has it print something else."""
        run = self._host.run
        return self._until(
            lambda: plain(run(*self._argv(line), check=False, timeout=60)), line, wanted
        )

    def _argv(self, line: str) -> list[str]:
        return ["env", f"PATH={self._path}", "script", "-qec", line, "/dev/null"]

    def _until(self, output: Callable[[], str], line: str, wanted: str) -> str:
        printed: list[str] = []

        def as_shown() -> bool:
            printed.append(output())
            return resembles(printed[-1], wanted)

        try:
            wait_for(as_shown, PATIENCE, f"what `{line}` prints")
        except LabError:
            assert normalised(printed[-1]) == normalised(wanted), line
        return printed[-1]


def plain(output: str) -> str:
    """Return what is left on a terminal, without its colours and what it has erased again."""
    lines = re.sub(r"\x1b\[[\d;]*m", "", output).replace("\r\n", "\n")
    return re.sub(r"(?m)^.*\x1b\[K|\r", "", lines)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A directory with what a person has on PATH after an installation."""
    for name, command in (("sudo", '"$@"'), ("wesher", f'{shlex.join(WESHER)} "$@"')):
        (tmp_path / name).write_text(f"#!/bin/sh\nexec {command}\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def test_the_readme_is_typed_from_its_top(lab_of: Callable[[int], Lab], programs: Path) -> None:
    lab = lab_of(2)
    first, second = (Terminal(host, programs) for host in lab.hosts)
    shown = [block.text.partition("\n") for block in blocks("console", pages=[README])]
    typed_here = [
        (command.removeprefix("$ "), wanted)
        for command, _, wanted in shown
        if command.removeprefix("$ ") not in NOT_TYPED
    ]
    (alone, key_shown), (joining, joined), *rest = typed_here
    assert len(shown) == len(typed_here) + len(NOT_TYPED)

    printed = first.start(alone, key_shown)
    token = re.findall("wesher1-[0-9a-z]+", printed)[0]
    second.start(joining.replace("TOKEN", token), joined)
    for command, wanted in rest:
        assert "\n$ " not in wanted, "one command a block, or each would be taken for output"
        second.run(command, wanted)
