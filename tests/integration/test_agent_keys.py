"""The cluster key: made, saved and shown once, and nowhere else to be seen."""

import os
import re
import stat
import termios
from pathlib import Path

import pytest

from tests.testbed.agents import NAME, Agent, AgentOf, new_key, wait_for, wait_until_met

SHOWN = re.compile(r"^new cluster key generated: ([A-Za-z0-9+/]{43}=)$", re.MULTILINE)


def saved_key(agent: Agent) -> str:
    return str(agent.state["ClusterKey"])


def everything_said(agent: Agent) -> str:
    """What the agent wrote and what it typed; not what its tools read from standard input."""
    return agent.output + agent.errors + "\n".join(agent.host.tools.calls)


def test_a_new_key_is_saved_and_shown_on_a_terminal(agent: Agent) -> None:
    agent.start(terminal=True)
    wait_for(lambda: "waiting for members" in agent.screen(), "the agent")

    first, invitation, last = agent.screen().splitlines()

    shown = SHOWN.fullmatch(first)
    assert shown
    assert shown[1] == saved_key(agent)
    join = f"--join {agent.host.address} --timing local"
    assert invitation == f"on every other host: sudo wesher --cluster-key-file - {join}"
    assert last == f"{NAME} up as {agent.overlay_address}, waiting for members"


def test_a_key_that_is_typed_is_not_shown(agent: Agent) -> None:
    key = new_key()
    agent.start("--cluster-key-file=-", terminal=True)
    wait_for(lambda: agent.screen() == "cluster key: ", "the question")
    assert agent.terminal

    os.write(agent.terminal, f"{key}\n".encode())
    wait_for(lambda: "waiting for members" in agent.screen(), "the agent")

    assert saved_key(agent) == key
    assert key not in agent.screen()
    assert "on every other host" not in agent.screen()


@pytest.mark.parametrize(
    ("typed", "code", "told"),
    [
        pytest.param(b"\x03", 1, "wesher: interrupted", id="Ctrl-C"),
        pytest.param(b"\x04", 2, "wesher: --cluster-key-file: no key was typed", id="Ctrl-D"),
        pytest.param(b"c2VjcmV0\n", 2, "the cluster key is 6 bytes long", id="a wrong one"),
    ],
)
def test_a_terminal_shows_again_what_is_typed_when_no_key_was(
    agent: Agent, typed: bytes, code: int, told: str
) -> None:
    agent.start("--cluster-key-file=-", terminal=True)
    wait_for(lambda: "cluster key: " in agent.screen(), "the question")
    assert agent.terminal
    assert not termios.tcgetattr(agent.terminal)[3] & termios.ECHO

    os.write(agent.terminal, typed)

    assert agent.wait() == code
    assert told in agent.screen()
    assert "c2VjcmV0" not in agent.screen()
    assert termios.tcgetattr(agent.terminal)[3] & termios.ECHO


def test_a_new_key_is_on_the_disk_before_it_is_shown(agent: Agent) -> None:
    agent.host.state.mkdir()
    (agent.host.state / f"{NAME}.json.tmp").mkdir()

    agent.start(terminal=True)
    code = agent.wait()

    assert code == 1
    assert "a new cluster key is of no use unsaved" in agent.screen()
    assert not SHOWN.search(agent.screen())


def test_without_a_terminal_one_line_says_where_the_new_key_is(agent: Agent) -> None:
    agent.start("--log-level=debug")
    wait_for(agent.is_up, "the agent")
    agent.stop()

    file = agent.host.state / f"{NAME}.json"
    assert agent.output == f"new cluster key generated, it is in {file}\n"
    assert saved_key(agent) not in everything_said(agent)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_the_saved_key_is_used_without_a_word(agent: Agent) -> None:
    agent.start()
    wait_for(agent.is_up, "the agent")
    agent.stop()
    key = saved_key(agent)

    agent.start()
    wait_for(agent.is_up, "the agent")
    agent.stop()

    assert saved_key(agent) == key
    assert agent.output == ""


@pytest.mark.parametrize("source", ["flag", "variable", "file", "standard input", "TOML"])
def test_a_given_key_is_never_repeated_nor_inherited(
    agent: Agent, source: str, tmp_path: Path
) -> None:
    key = new_key()
    file = tmp_path / "key"
    file.write_text(f"cluster-key = '{key}'\n" if source == "TOML" else f"{key}\n")
    file.chmod(0o600)
    flags = {
        "flag": [f"--cluster-key={key}"],
        "file": [f"--cluster-key-file={file}"],
        "standard input": ["--cluster-key-file=-"],
        "TOML": [f"--config={file}"],
    }
    env = noting_environments(agent)
    if source == "variable":
        env["WESHER_CLUSTER_KEY"] = key
    given = key if source == "standard input" else None

    agent.start("--log-level=debug", *flags.get(source, []), env=env, given=given)
    wait_for(lambda: agent.is_up() and agent.state != {}, "the agent and its state")
    agent.stop()

    assert saved_key(agent) == key
    assert key not in everything_said(agent)
    environments = (agent.host.directory / "environments").read_text()
    assert "FAKES=" in environments
    assert key not in environments
    assert "WESHER_" not in environments


def test_the_private_key_of_the_interface_is_never_shown(agent: Agent) -> None:
    agent.start("--log-level=debug", env=noting_environments(agent))
    wait_for(agent.is_up, "the agent")
    private_key = agent.host.tools.dump()[0][0]
    agent.stop()

    assert agent.host.tools.stdin("wg").strip() == private_key
    assert private_key not in everything_said(agent)
    assert private_key not in (agent.host.directory / "environments").read_text()
    assert private_key not in (agent.host.state / f"{NAME}.json").read_text()


def test_another_key_than_the_saved_one_wins_with_a_warning(agent_of: AgentOf) -> None:
    one, other = agent_of("alpha"), agent_of("beta")
    first, second = new_key(), new_key()
    one.start(f"--cluster-key={first}")
    other.start(f"--cluster-key={first}", f"--join={one.host.address}")
    wait_until_met(one, other)
    one.stop()

    one.start(f"--cluster-key={second}")
    wait_for(lambda: saved_key(one) == second, "the new key to be saved")

    one.says("the given cluster key is not the saved one")
    assert one.state["Nodes"] == []


def noting_environments(agent: Agent) -> dict[str, str]:
    """Return a PATH whose tools write down the environment they are given."""
    programs = Path(agent.host.tools.without())
    notes = agent.host.directory / "environments"
    for program in programs.iterdir():
        noting = f"/usr/bin/env >>{notes}\nexec"
        program.write_text(program.read_text().replace("exec", noting, 1))
    return {"PATH": str(programs)}
