"""What an agent shows on the terminal it was started on, and that nobody else is shown it."""

import os
import re
import signal

from tests.testbed.agents import NAME, Agent, AgentOf, new_key, wait_for, wait_until_met

CTRL_C, CTRL_S = b"\x03", b"\x13"


def shows(agent: Agent, text: str) -> None:
    """Wait until this is the end of a line on an agent's terminal."""
    wait_for(lambda: f"{text}\n" in agent.screen(), f"{agent.name} to show {text!r}")


def type_in(agent: Agent, keys: bytes) -> None:
    assert agent.terminal
    os.write(agent.terminal, keys)


def test_a_terminal_is_told_who_comes_and_goes_and_what_the_end_undid(agent_of: AgentOf) -> None:
    one, other = agent_of("alpha"), agent_of("beta")
    key = f"--cluster-key={new_key()}"
    one.start(key, terminal=True)
    shows(one, ", waiting for members")

    other.start(key, f"--join={one.host.address}")
    wait_until_met(one, other)
    shows(one, f" beta joined ({other.overlay_address}), 1 other alive")
    address = other.overlay_address
    other.kill()
    shows(one, f" beta failed ({address}), no others alive")
    other.start()
    shows(one, f" beta returned ({address}), 1 other alive")
    wait_until_met(one, other)
    type_in(one, CTRL_C)

    assert one.wait() == 0
    end = f"left the mesh; removed {NAME} and 1 entry of {one.host.hosts_file}"
    assert one.host.is_clean()
    up, *told, last, _ = one.screen().split("\n")
    assert up.startswith(f"{NAME} up as ")
    assert all(re.match(r"(\^C)?\d\d:\d\d:\d\d (beta|WARNING) ", line) for line in told)
    assert last.endswith(f"\r{end}")


def test_who_joins_on_a_terminal_is_told_how_many_it_met(agent_of: AgentOf) -> None:
    one, other = agent_of("alpha"), agent_of("beta")
    key = f"--cluster-key={new_key()}"
    one.start(key)
    wait_for(one.is_up, "the first")

    other.start(key, f"--join={one.host.address}", terminal=True)
    wait_until_met(one, other)
    shows(other, f"{NAME} up as {other.overlay_address}, met 1 member")
    other.tell(signal.SIGUSR1)

    assert other.wait() == 0
    assert other.screen().endswith(
        f"\rstopped; {NAME} and what leads to it stay for the next start\n"
    )
    assert other.host.has_interface()


def test_without_a_terminal_nothing_is_told_nor_imported_for_it(agent_of: AgentOf) -> None:
    one, other = agent_of("alpha"), agent_of("beta")
    key = f"--cluster-key={new_key()}"
    one.start(key, env={"PYTHONPROFILEIMPORTTIME": "1"})
    other.start(key, f"--join={one.host.address}")
    wait_until_met(one, other)

    other.stop()
    wait_for(one.knows, "alpha to be alone")
    one.stop(signal.SIGINT)

    assert (one.output, other.output, other.complaints) == ("", "", "")
    imported = {line.rpartition("|")[2].strip() for line in one.errors.splitlines()}
    assert "wesher.agent.agent" in imported
    assert "wesher.agent.foreground" not in imported


def test_a_terminal_that_stops_reading_stops_nobody(agent_of: AgentOf) -> None:
    one, other = agent_of("alpha"), agent_of("beta")
    key = f"--cluster-key={new_key()}"
    one.start(key, terminal=True)
    shows(one, ", waiting for members")
    type_in(one, CTRL_S)

    other.start(key, f"--join={one.host.address}")
    wait_until_met(one, other)
    other.stop()
    wait_for(one.knows, "alpha to be alone")

    assert "beta" not in one.screen()
    assert one.stop() == 0
    assert one.host.is_clean()
