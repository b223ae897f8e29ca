"""The cluster key: made, saved and shown once, and nowhere else to be seen."""

import os
import re
import signal
import stat
import subprocess
import termios
from pathlib import Path

import pytest

from tests.testbed.agents import (
    NAME,
    Agent,
    AgentOf,
    new_key,
    wait_for,
    wait_until_met,
    wait_until_saved,
)
from tests.testbed.asking import asked, told, typed
from wesher.mesh.invitations import read_token

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
    typed, _, token = invitation.rpartition(" ")
    assert typed == "on every other host, within an hour: sudo wesher join"
    assert [one.ip for one in read_token(token).addresses] == [agent.host.address]
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


# Several keys


def saved_keys(agent: Agent) -> list[str]:
    others = agent.state.get("Wesher", {}).get("OtherKeys", [])
    return [saved_key(agent), *(one["Key"] for one in others)]


def configured(agent: Agent, *keys: str) -> str:
    """Write the keys into the configuration file of an agent; return the flag that names it."""
    file = agent.host.directory / "wesher.toml"
    file.write_text(f"cluster-key = {list(keys)!r}\n")
    file.chmod(0o600)
    return f"--config={file}"


def fingerprints(agent: Agent) -> list[str]:
    told: list[str] = asked(agent, "status")["node"]["key_fingerprints"]
    return told


def test_keys_change_by_reload_and_signal_and_are_saved(agent_of: AgentOf) -> None:
    one, other = agent_of("alpha"), agent_of("beta")
    old, new = new_key(), new_key()
    one.start(configured(one, old), "--log-level=info")
    other.start(configured(other, old), f"--join={one.host.address}", "--log-level=info")
    wait_until_met(one, other)
    print_of_old = fingerprints(one)

    for ring in ((old, new), (new, old), (new,)):
        for agent in (one, other):
            configured(agent, *ring)
        assert told(one, "reload") == "changed at once: cluster-key\n"
        assert told(one, "reload") == "nothing has changed\n"
        other.tell(signal.SIGHUP)
        wait_for(lambda ring=ring: saved_keys(other) == list(ring), "the keys are saved")
        wait_for(lambda ring=ring: saved_keys(one) == list(ring), "the keys are saved")
        assert len(fingerprints(one)) == len(ring)
        assert fingerprints(one) == fingerprints(other)
        for agent, member in ((one, "beta"), (other, "alpha")):
            wait_for(lambda who=(agent, member): speaks_with_primary(*who), "all use one key")
        shown = told_or_complained(one, "key", "show", "--force")
        assert shown.stdout.split() == list(ring)
        assert ("(primary)" in shown.stderr) == (len(ring) > 1)

    assert print_of_old != fingerprints(one)
    other.says("changed: cluster-key")
    wait_until_met(one, other)
    for agent in (one, other):
        assert not [key for key in (old, new) if key in everything_said(agent)]
        assert "WARNING" not in agent.complaints


def speaks_with_primary(agent: Agent, member: str) -> bool:
    told: str | None = asked(agent, "info", member)["key_fingerprint"]
    return told == fingerprints(agent)[0]


def told_or_complained(agent: Agent, *words: str) -> subprocess.CompletedProcess[str]:
    done = typed(agent, *words)
    assert done.returncode == 0, done.stderr
    return done


def test_a_key_that_others_use_goes_with_a_warning_of_how_many(agent_of: AgentOf) -> None:
    one, other = agent_of("alpha"), agent_of("beta")
    old, new = new_key(), new_key()
    one.start(configured(one, old))
    other.start(configured(other, old), f"--join={one.host.address}")
    wait_until_met(one, other)
    key = fingerprints(one)[0]

    configured(one, new)
    report = asked(one, "reload")

    assert report["applied"] == ["cluster-key"]
    assert report["warnings"] == [
        f"cluster key {key} is gone here, but 1 of 1 other members spoke last with it: "
        "give them one of ours, or us that one back"
    ]
    configured(one, new, old)
    assert asked(one, "reload")["warnings"] == []
    wait_for(lambda: asked(one, "info", "beta")["key_fingerprint"] == key, "what beta speaks with")
    configured(one, new)
    one.tell(signal.SIGHUP)
    one.says(f"cluster key {key} is gone here")


def test_a_wrong_second_key_changes_nothing_and_is_one_line(agent: Agent) -> None:
    key = new_key()
    agent.start(configured(agent, key))
    wait_for(agent.is_up, "the agent")

    configured(agent, key, key)
    done = typed(agent, "reload")

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "nothing was changed" in done.stderr
    assert "cluster-key: cluster key 2 of 2 is the same as number 1" in done.stderr
    assert len(fingerprints(agent)) == 1


@pytest.mark.parametrize("source", ["variable", "standard input"])
def test_keys_that_cannot_be_read_again_stay(agent: Agent, source: str) -> None:
    old, new = new_key(), new_key()
    env = {"WESHER_CLUSTER_KEY": f"{new},{old}"} if source == "variable" else {}
    given = f"{new}\n{old}\n" if source == "standard input" else None
    flags = ["--cluster-key-file=-"] if given else []
    agent.start(*flags, env=env, given=given)
    wait_for(lambda: agent.is_up() and agent.state != {}, "the agent and its state")

    assert told(agent, "reload") == "nothing has changed\n"

    assert saved_keys(agent) == [new, old]
    assert len(fingerprints(agent)) == 2


def test_a_key_file_is_read_again(agent: Agent) -> None:
    old, new = new_key(), new_key()
    file = agent.host.directory / "keys"
    file.write_text(f"{old}\n")
    file.chmod(0o600)
    agent.start(f"--cluster-key-file={file}")
    wait_for(agent.is_up, "the agent")

    file.write_text(f"{new}\n{old}\n")

    assert told(agent, "reload") == "changed at once: cluster-key\n"
    wait_for(lambda: saved_keys(agent) == [new, old], "the keys are saved")


def test_a_restart_with_a_shared_key_keeps_the_members(agent_of: AgentOf) -> None:
    one, other = agent_of("alpha"), agent_of("beta")
    old, new = new_key(), new_key()
    one.start(configured(one, old))
    other.start(configured(other, old), f"--join={one.host.address}")
    wait_until_saved(one, other)
    other.stop(signal.SIGUSR1)

    other.start(configured(other, old, new))

    other.says("are not the saved ones")
    wait_until_met(one, other)
    wait_for(lambda: saved_keys(other) == [old, new], "the keys are saved")


def noting_environments(agent: Agent) -> dict[str, str]:
    """Return a PATH whose tools write down the environment they are given."""
    programs = Path(agent.host.tools.without())
    notes = agent.host.directory / "environments"
    for program in programs.iterdir():
        noting = f"/usr/bin/env >>{notes}\nexec"
        program.write_text(program.read_text().replace("exec", noting, 1))
    return {"PATH": str(programs)}
