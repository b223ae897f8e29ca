"""A `wg` that fails, hangs or is gone: the agent lives on and catches up."""

import shutil
import signal
import time

import pytest

from tests.testbed.lab.daemons import WESHER, Daemon, Mesh, MeshOf, RecordSeconds, ping
from tests.testbed.lab.netns import wait_for

_WG = """#!/bin/sh
# wg(8), unless the files beside it say otherwise.
here={here}
left=$(cat $here/fail 2>/dev/null || echo 0)
if [ "$left" -gt 0 ]; then
    echo $((left - 1)) >$here/fail
    echo "Unable to modify interface: Device or resource busy" >&2
    exit 1
fi
[ ! -e $here/hang ] || exec sleep 1000
exec {wg} "$@"
"""


class Tools:
    """A directory of tools that is all of an agent's PATH, with a `wg` that can be broken."""

    def __init__(self, daemon: Daemon) -> None:
        self._directory = daemon.host.directory / "tools"
        self._directory.mkdir()
        for tool in ("ip", "wireguard-go", "sh", "cat", "sleep"):
            if found := shutil.which(tool):
                (self._directory / tool).symlink_to(found)
        self._wg = self._directory / "wg"
        self._wg.write_text(_WG.format(here=self._directory, wg=shutil.which("wg")))
        self._wg.chmod(0o755)
        daemon.env["PATH"] = str(self._directory)

    def fail(self, times: int) -> None:
        (self._directory / "fail").write_text(str(times))

    def hang(self) -> None:
        (self._directory / "hang").touch()

    def work_again(self) -> None:
        (self._directory / "hang").unlink()

    def lose(self) -> None:
        self._wg.rename(self._directory / "lost")

    def find(self) -> None:
        (self._directory / "lost").rename(self._wg)


@pytest.fixture
def broken(mesh_of: MeshOf) -> tuple[Mesh, Daemon, Daemon, Tools]:
    """A mesh of three whose second node has breakable tools and whose third has not started."""
    mesh = mesh_of(3)
    one, victim, newcomer = mesh.daemons
    tools = Tools(victim)
    mesh.start_one(one)
    mesh.start_one(victim)
    mesh.wait_until_complete(60, [one, victim])
    return mesh, victim, newcomer, tools


def test_wg_that_fails_three_times_is_tried_again(
    broken: tuple[Mesh, Daemon, Daemon, Tools], record_seconds: RecordSeconds
) -> None:
    mesh, victim, newcomer, tools = broken

    tools.fail(3)
    mesh.start_one(newcomer)
    started = time.monotonic()
    mesh.wait_until_complete(60)

    record_seconds("complete although wg failed three times", time.monotonic() - started, 10)
    mesh.wait_for_hosts_lines(60)
    assert ping(victim, newcomer.host.name)


def test_wg_that_hangs_is_killed_and_made_up_for(
    broken: tuple[Mesh, Daemon, Daemon, Tools], record_seconds: RecordSeconds
) -> None:
    mesh, victim, newcomer, tools = broken

    tools.hang()
    mesh.start_one(newcomer)
    wait_for(lambda: "wg" in victim.log(), 60, "the victim to say so")
    wait_for(lambda: len(newcomer.peers()) == 2, 60, "gossip to go on")
    tools.work_again()
    started = time.monotonic()
    mesh.wait_until_complete(60)

    record_seconds("complete after wg hung", time.monotonic() - started, 30)
    mesh.wait_for_hosts_lines(60)
    assert ping(victim, newcomer.host.name)


def test_wg_that_was_gone_for_twenty_seconds_is_made_up_for(
    broken: tuple[Mesh, Daemon, Daemon, Tools], record_seconds: RecordSeconds
) -> None:
    mesh, victim, newcomer, tools = broken

    tools.lose()
    mesh.start_one(newcomer)
    time.sleep(20)
    assert victim.lives()
    assert len(victim.peers()) == 1
    assert "wg" in victim.log()
    tools.find()
    started = time.monotonic()
    mesh.wait_until_complete(60)

    record_seconds("complete after wg was gone for 20 s", time.monotonic() - started, 30)
    mesh.wait_for_hosts_lines(60)
    assert ping(victim, newcomer.host.name)


def test_a_hanging_wg_does_not_delay_the_end(
    broken: tuple[Mesh, Daemon, Daemon, Tools], record_seconds: RecordSeconds
) -> None:
    mesh, victim, newcomer, tools = broken
    tools.hang()
    mesh.start_one(newcomer)
    wait_for(lambda: victim.host.succeeds("pgrep", "-fx", "sleep 1000"), 60, "wg to hang")

    started = time.monotonic()
    victim.process.signal(signal.SIGTERM)
    status = victim.exit_status()

    record_seconds("end while wg hangs", time.monotonic() - started, 2)
    assert status in (0, 1)
    assert WESHER[0] not in victim.host.run("ps", "ax") or mesh.seed.lives()
