"""An agent whose tools and files fail, hang or vanish: it stays, says so once, and catches up."""

import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.testbed.agents import NAME, Agent, AgentOf, new_key, wait_for, wait_until_met
from wesher.system.files import open_locked

Pair = tuple[Agent, Agent, tuple[str, ...]]


@pytest.fixture
def pair(agent_of: AgentOf) -> Pair:
    """A running agent, one to come, and the flags with which that one joins."""
    one, other = agent_of("alpha"), agent_of("beta")
    key = f"--cluster-key={new_key()}"
    one.start(key)
    wait_for(lambda: one.is_up() and one.state != {}, "the first agent")
    return one, other, (key, f"--join={one.host.address}")


def has_peer(one: Agent, other: Agent) -> bool:
    return one.lives() and f"{other.overlay_address}/32" in one.host.peers()


def test_a_wg_that_fails_three_times_is_not_even_worth_a_word(pair: Pair) -> None:
    one, other, joining = pair
    one.host.tools.fail("wg", 3)

    other.start(*joining)
    wait_until_met(one, other)

    assert has_peer(one, other)
    assert one.complaints == ""


def test_a_wg_that_fails_longer_is_reported_once_and_tried_until_it_works(pair: Pair) -> None:
    one, other, joining = pair
    one.host.tools.fail("wg", 6)

    other.start(*joining)
    wait_for(lambda: "up to date again" in one.errors, "the good news")

    assert has_peer(one, other)
    first, last = one.complaints.splitlines()
    assert "`wg show wgoverlay dump` exited 1" in first
    assert first.endswith("trying again until it works")
    assert last.endswith("the interface is up to date again")


def test_a_wg_that_vanishes_is_reported_once_and_used_when_it_is_back(
    agent_of: AgentOf,
) -> None:
    one, other = agent_of("alpha"), agent_of("beta")
    key = f"--cluster-key={new_key()}"
    programs = one.host.tools.without()
    one.start(key, env={"PATH": programs})
    wait_for(one.is_up, "the first agent")
    os.rename(f"{programs}/wg", f"{programs}/away")

    other.start(key, f"--join={one.host.address}")
    wait_for(lambda: "wg not found" in one.errors, "the complaint")
    wait_for(lambda: one.knows(other), "the /etc/hosts entry, which needs no wg")
    os.rename(f"{programs}/away", f"{programs}/wg")

    wait_for(lambda: has_peer(one, other), "the peer")
    assert one.errors.count("wg not found") == 1


def test_tools_that_hang_are_killed_and_the_plan_is_applied_later(
    agent_of: AgentOf,
) -> None:
    """The ten seconds that a tool may take are made three."""
    one, other = agent_of("alpha"), agent_of("beta")
    key = f"--cluster-key={new_key()}"
    impatient = (
        "import sys, wesher.cli, wesher.system.shell; "
        "wesher.system.shell.run.__kwdefaults__['timeout'] = 3; sys.exit(wesher.cli.main())"
    )
    one.launch([sys.executable, "-c", impatient, *one.flags, key])
    wait_for(one.is_up, "the first agent")
    one.host.tools.hang("wg")
    one.host.tools.hang("ip")

    other.start(key, f"--join={one.host.address}")
    wait_for(lambda: "timed out" in one.errors, "the complaint")
    one.host.tools.unhang("wg")
    one.host.tools.unhang("ip")

    wait_for(lambda: has_peer(one, other), "the peer")
    wait_for(lambda: one.host.routes() != [], "the route")
    assert one.errors.count("timed out") == 1


def test_a_hosts_file_that_is_missing_is_made(pair: Pair) -> None:
    one, other, joining = pair
    other.host.hosts_file.unlink()

    other.start(*joining)
    wait_for(lambda: has_peer(one, other) and has_peer(other, one), "the peers")
    wait_for(other.host.hosts_file.exists, "the hosts file")
    wait_for(lambda: other.host.hosts_file.read_text() != "", "the /etc/hosts entry")

    assert other.complaints == ""
    assert other.stop() == 0
    assert other.host.hosts_file.read_text() == ""


def test_without_etc_hosts_the_file_is_left_alone(pair: Pair) -> None:
    one, other, joining = pair
    before = other.host.hosts_file.stat()

    other.start("--no-etc-hosts", *joining)
    wait_for(lambda: has_peer(other, one), "the peer")
    other.stop()

    after = other.host.hosts_file.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_another_writer_of_the_hosts_file_is_waited_for(pair: Pair) -> None:
    one, other, joining = pair
    lock = open_locked(one.host.run / "hosts-file-lock", wait=5)

    other.start(*joining)
    wait_for(lambda: "another wesher keeps" in one.errors, "the warning")
    os.close(lock)

    wait_for(lambda: one.knows(other), "the /etc/hosts entry")
    assert one.errors.count("another wesher keeps") == 1


def made(directory: Path) -> bool:
    with suppress(FileExistsError):
        directory.mkdir()
        return True
    return False


def test_a_full_disk_is_a_warning_and_the_state_is_saved_later(pair: Pair) -> None:
    one, other, joining = pair
    obstacle = one.host.state / f"{NAME}.json.tmp"
    wait_for(lambda: str(one.overlay_address) in str(one.state), "all that it saves alone")
    assert made(obstacle)

    other.start(*joining)
    wait_for(lambda: "cannot save" in one.errors, "the warning")
    obstacle.rmdir()

    wait_for(lambda: "beta" in (one.host.state / f"{NAME}.json").read_text(), "the state")
    wait_for(lambda: has_peer(one, other), "the peer")


def test_what_somebody_else_broke_is_repaired_at_the_next_change(pair: Pair) -> None:
    one, other, joining = pair
    one.host.tools.do(f"ip link del {NAME}")

    other.start(*joining)
    wait_for(lambda: one.host.has_interface() and has_peer(one, other), "the interface")

    wait_for(lambda: f"another program changed interface {NAME}; repaired" in one.errors, "a word")
