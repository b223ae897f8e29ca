"""Every command on a mesh of five, one of them Go: they print what docs/commands.md quotes."""

import json
import re
import shlex
import signal
from base64 import b64encode
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.interop.golang import GoOf
from tests.testbed.lab.daemons import WESHER, Daemon, Mesh
from tests.testbed.lab.netns import Lab, Process, wait_for
from tests.testbed.quoting import Page
from wesher.mesh.base.metadata import Metadata, encode_metadata

PACE = ("--timing", "lan")
PATIENCE = 60.0  # seconds
LONG = 180.0  # seconds; what the doctor calls a fault because it was met lately passes in 120
EXAMPLE_KEY = b64encode(b"an example, not a cluster's key!").decode()
GO_ADDRESS, GO_KEY = "10.99.0.5", "A" * 42 + "E="
HAPPENS = (
    ("following", "node2"),
    ("left", "node3"),
    ("joined", "node3"),
    ("suspect", "node3"),
    ("failed", "node3"),
    ("suspect", "node4"),
    ("failed", "node4"),
    ("forgotten", "node4"),
    ("forgotten", "node3"),
)


class Typist:
    """Somebody who types commands on one host and keeps what they printed, but for the key."""

    def __init__(self, daemon: Daemon, key: str) -> None:
        self.daemon = daemon
        self.outputs: dict[str, str] = {}
        self._key = key

    def run(self, command: str) -> str:
        """Run a command and keep its output; it may exit with any code."""
        argv = [*WESHER, *shlex.split(command)[1:]]
        printed = self.daemon.host.run(*argv, check=False, timeout=60)
        if "key show" not in command:  # where the watch over secrets looks
            self._file(command).write_text(printed)
        self.outputs[command] = printed.replace(self._key, EXAMPLE_KEY)
        return self.outputs[command]

    def run_until(self, command: str, good: Callable[[str], bool]) -> None:
        """Run a command until it prints what it should."""
        wait_for(lambda: good(self.run(command)), LONG, f"`{command}` to be good")

    def follow(self, command: str) -> Process:
        """Start a command that does not end by itself."""
        argv = [*WESHER, *shlex.split(command)[1:]]
        return self.daemon.host.spawn(argv, self._file(command))

    def happened(self, command: str) -> str:
        """Return and keep what a followed command has printed of what was bound to happen.

        On a busy machine more may happen.
        """
        lines = self._file(command).read_text().splitlines(keepends=True)
        found = [_first(lines, event, member) for event, member in HAPPENS]
        self.outputs[command] = "".join(line for line in found if line)
        return self.outputs[command]

    def _file(self, command: str) -> Path:
        return self.daemon.host.directory / f"{command.replace(' ', '_')}.out"


def _first(lines: list[str], event: str, member: str) -> str | None:
    """Return the first whole line about something that happened to a member."""
    return next((line for line in lines if event in line and member in line), None)


@pytest.fixture
def mesh(lab_of: Callable[[int], Lab]) -> Mesh:
    """Four agents that know each other, on the first hosts of five; the second reads a file."""
    lab = lab_of(5)
    mesh = Mesh(lab, lab.hosts[:4])
    second = mesh.daemons[1]
    configure(second, 'forget-after = "12h"')
    for daemon in mesh.daemons:
        mesh.start_one(daemon, *PACE, *(["--config=/etc/w.toml"] if daemon is second else []))
    mesh.wait_until_complete(PATIENCE)
    return mesh


def configure(daemon: Daemon, text: str) -> None:
    daemon.host.path("/etc/w.toml").write_text(f"{text}\n")


def add_go(mesh: Mesh, go_of: GoOf) -> None:
    """Let a member that runs Go's library join on the fifth host, as the original wesher would."""
    host = mesh.lab.hosts[4]
    meta = encode_metadata(Metadata(ip_address(GO_ADDRESS), GO_KEY), "current")
    go = go_of(
        "other",
        host.address,
        key=mesh.key,
        timing="lan",
        meta=meta.hex(),
        prefix=("nsenter", "-t", str(host._pid), "-n", "--"),
    )
    assert go.join(mesh.seed.host.address)["count"] == 1


def calm(output: str) -> bool:
    """Tell whether a status shows four members alive, each of them measured."""
    members = json.loads(output)["members"]
    return len(members) == 4 and all(
        member["state"] == "alive"
        and member["round_trip"] is not None
        and (member["handshake"] is not None or member["name"] == "other")
        for member in members
    )


def quiet(output: str) -> bool:
    """Tell whether an output shows no trouble of a busy machine."""
    return re.search("suspect|failed|gossip.*no answer|(tcp|udp).*null", output) is None


def diagnosed(output: str) -> bool:
    """Tell whether the doctor misses the WireGuard of `other`, and all else is well.

    What the agent has warned of is forgotten after a while only.
    """
    found = re.findall(r"^(fault|warning|unknown) +(?!warnings)\S+ (.*)", output, re.MULTILINE)
    return [(verdict, text.split()[1]) for verdict, text in found] == [("fault", "other")]


def diagnosed_in_json(output: str) -> bool:
    """Tell the same of the JSON."""
    findings = json.loads(output)["findings"]
    found = [
        (one["verdict"], one["trouble"])
        for one in findings
        if one["verdict"] != "ok" and (one["check"], one["verdict"]) != ("warnings", "warning")
    ]
    return found == [("fault", "no-handshake")]


def unmet(output: str) -> bool:
    """Tell whether the account of an agent holds nothing that passes on a busy machine."""
    account = json.loads(output)
    return not (account["strangers"] or account["objections"] or account["pending"])


@pytest.mark.timeout(600)
def test_the_commands_print_what_the_page_says(mesh: Mesh, go_of: GoOf) -> None:
    page, typist = Page("commands.md"), Typist(mesh.daemons[1], mesh.key)
    _, second, third, fourth = mesh.daemons
    add_go(mesh, go_of)
    for command in ("wesher monitor", "wesher monitor --json"):
        typist.follow(command)
        wait_for(lambda c=command: typist.happened(c), PATIENCE, "the following to begin")

    for other in ("node1", "node3", "node4"):  # so that all have had a handshake
        typist.run_until(
            f"wesher ping {other}", lambda output: "by its gossip" in output and quiet(output)
        )
    typist.run_until("wesher status --json", calm)
    for command in (
        "wesher status",
        "wesher members",
        "wesher members --json",
        "wesher info node1",
        "wesher info node1 --json",
        "wesher info other",
        "wesher info other --json",
        "wesher ping node1 --json",
        "wesher ping other",
        "wesher ping other --json",
        "wesher map",
        "wesher key list",
        "wesher key list --json",
        "wesher key status",
        "wesher key show --force",
        "wesher key show --force --json",
        "wesher export --format wg",
        "wesher export --json",
    ):
        typist.run_until(command, quiet)
    for command in (
        "wesher invite",
        "wesher invite --ttl 10m --uses 50 --json",
        "wesher invite list",
        "wesher invite list --json",
        "wesher invite revoke all",
    ):
        typist.run(command)
    typist.run("wesher metrics")
    typist.run_until("wesher metrics --json", unmet)
    typist.run_until("wesher doctor", diagnosed)
    typist.run_until("wesher doctor --json", diagnosed_in_json)
    change_the_members(typist, mesh, third, fourth)
    configure(second, 'forget-after = "6h"\nmetadata-format = "v0.2"')
    typist.run("wesher reload")
    configure(second, 'log-level = "info"')
    typist.run("wesher reload --json")

    page.check(typist.outputs)
    assert set(page.quoted) <= set(typist.outputs)


def change_the_members(typist: Typist, mesh: Mesh, third: Daemon, fourth: Daemon) -> None:
    """Let one leave and come back, then two fail, and have them forgotten."""
    third.stop()
    wait_for_events(typist, "left", third)
    mesh.start_one(third, *PACE)
    wait_for_events(typist, "joined", third)
    for victim in (third, fourth):
        victim.stop(signal.SIGKILL)
    for victim in (third, fourth):
        wait_for_events(typist, "failed", victim)
    failed = "wesher members --state failed --json"
    typist.run_until(failed, lambda output: _names(output) == ["node3", "node4"])
    typist.run("wesher forget node4")
    wait_for_events(typist, "forgotten", fourth)
    typist.run("wesher forget node3 --json")
    wait_for_events(typist, "forgotten", third)


def _names(output: str) -> list[str]:
    return [member["name"] for member in json.loads(output)]


def wait_for_events(typist: Typist, event: str, daemon: Daemon) -> None:
    name = daemon.host.name
    for command in ("wesher monitor", "wesher monitor --json"):
        wait_for(
            lambda c=command: _first(typist.happened(c).splitlines(), event, name),
            PATIENCE,
            f"{name} {event}",
        )
