"""Hosts that are let in by a token: whole agents, with the fake tools of the testbed."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.agents import WESHER, Agent, AgentOf, new_key, wait_for, wait_until_met
from wesher.system.control_client import ask


def invite(agent: Agent, **given: int) -> dict[str, Any]:
    """Return a new invitation of an agent that runs, with its token."""
    wanted = {"ttl": 3600, "uses": 1, **given}
    made: dict[str, Any] = ask(agent.host.run, agent.interface, "invite", **wanted)
    return made


def listed(agent: Agent) -> dict[str, Any]:
    told: dict[str, Any] = ask(agent.host.run, agent.interface, "invitations")
    return told


def join(agent: Agent, token: str, *flags: str, given: str | None = None) -> Agent:
    """Have a new host redeem a token, and be the agent."""
    agent.launch([*WESHER, "join", token, *agent.flags, *flags], given=given)
    return agent


def refused(agent: Agent, token: str, *flags: str) -> str:
    """Return what a new host says that is not let in; it has changed nothing."""
    join(agent, token, *flags)
    assert agent.wait() in (1, 2)
    assert agent.state == {}
    assert agent.output == ""
    return agent.errors


@pytest.fixture
def inviter(agent_of: AgentOf) -> Agent:
    agent = agent_of("alpha").start(f"--cluster-key={new_key()}")
    wait_for(agent.is_up, "the first host")
    return agent


def test_a_token_makes_a_member_of_a_host_that_knows_nothing(
    inviter: Agent, agent_of: AgentOf
) -> None:
    made = invite(inviter)

    newcomer = join(agent_of("beta"), made["token"])
    wait_until_met(inviter, newcomer)

    assert newcomer.state["ClusterKey"] == inviter.state["ClusterKey"]
    assert "invited by alpha (identity " in newcomer.output
    [invitation] = listed(inviter)["invitations"]
    assert (invitation["state"], invitation["left"]) == ("used up", 0)
    assert [one["host"] for one in invitation["used_by"]] == ["beta"]


def test_what_was_saved_is_enough_for_the_next_start(inviter: Agent, agent_of: AgentOf) -> None:
    newcomer = agent_of("beta")

    join(newcomer, invite(inviter)["token"], "--save-only")
    assert newcomer.wait() == 0
    newcomer.start()

    wait_until_met(inviter, newcomer)


def test_each_way_not_to_be_let_in_has_its_line(inviter: Agent, agent_of: AgentOf) -> None:
    used, over, withdrawn = invite(inviter), invite(inviter, ttl=1), invite(inviter)
    join(agent_of("beta"), used["token"], "--save-only").wait()
    ask(inviter.host.run, inviter.interface, "revoke", id=withdrawn["id"])
    time.sleep(1)  # what the agent goes by is the time of day

    assert "the invitation is used up" in refused(agent_of("c"), used["token"])
    assert "the invitation expired " in refused(agent_of("d"), over["token"])
    assert "the invitation was withdrawn" in refused(agent_of("e"), withdrawn["token"])
    assert "the token is damaged" in refused(agent_of("f"), used["token"][:-1])
    counts = listed(inviter)["counts"]
    assert counts["redeemed"] == 1
    assert [counts[f"refused_{one}"] for one in ("used", "expired", "withdrawn")] == [1, 1, 1]


def test_a_token_of_another_mesh_is_foreign(inviter: Agent, agent_of: AgentOf) -> None:
    token = invite(inviter)["token"]
    inviter.stop()
    inviter.start(f"--cluster-key={new_key()}")
    wait_for(inviter.is_up, "the host in its other mesh")

    assert "knows no such invitation" in refused(agent_of("beta"), token)
    assert listed(inviter)["counts"]["refused_unknown"] == 1


def test_invitations_survive_a_restart_and_know_who_was_let_in(
    inviter: Agent, agent_of: AgentOf
) -> None:
    token = invite(inviter, uses=2)["token"]
    join(agent_of("beta"), token, "--save-only").wait()
    file = inviter.host.state / f"{inviter.interface}.invitations"
    assert file.stat().st_mode & 0o777 == 0o600

    inviter.stop()
    inviter.start()
    wait_for(inviter.is_up, "the first host again")

    assert join(agent_of("gamma"), token, "--save-only").wait() == 0
    assert "used up" in refused(agent_of("delta"), token)


def test_a_member_of_a_mesh_is_not_taken_out_of_it(inviter: Agent, agent_of: AgentOf) -> None:
    other = agent_of("beta").start(f"--cluster-key={new_key()}")
    wait_for(lambda: "ClusterKey" in other.state, "the other mesh")
    other.stop()
    before, token = other.state, invite(inviter)["token"]

    join(other, token)
    assert other.wait() == 1
    assert "member of a mesh already" in other.errors
    assert other.state == before
    join(other, token, "--init")

    wait_until_met(inviter, other)


def test_the_token_comes_by_standard_input_and_by_file(inviter: Agent, agent_of: AgentOf) -> None:
    token, file = invite(inviter, uses=2)["token"], inviter.host.directory / "token"
    file.write_text(f" {token[:20]}\n {token[20:].upper()}\n")

    piped = join(agent_of("beta"), "-", "--save-only", given=f"{token}\n")
    assert piped.wait() == 0, piped.errors
    by_file = agent_of("gamma")
    by_file.launch([*WESHER, "join", "--token-file", str(file), *by_file.flags, "--save-only"])
    assert by_file.wait() == 0, by_file.errors


def test_a_restart_of_the_inviter_is_waited_for(inviter: Agent, agent_of: AgentOf) -> None:
    token = invite(inviter)["token"]
    inviter.stop()
    newcomer = join(agent_of("beta"), token, "--save-only")
    inviter.start()

    assert newcomer.wait() == 0, newcomer.errors


def test_nobody_at_the_address_is_said(inviter: Agent, agent_of: AgentOf) -> None:
    token = invite(inviter)["token"]
    inviter.stop()

    told = refused(agent_of("beta"), token)

    assert f"nobody answers at {inviter.host.address}:7946 (connection refused)" in told


def test_settings_of_the_mesh_come_with_the_keys_and_stay(
    agent_of: AgentOf, tmp_path: Path
) -> None:
    inviter = agent_of("alpha").start(f"--cluster-key={new_key()}", "--overlay-net=10.99.0.0/16")
    wait_for(inviter.is_up, "the first host")
    newcomer, file = agent_of("beta"), tmp_path / "etc" / "wesher.toml"
    file.parent.mkdir()
    file.write_text('hosts-suffix = "mesh"')

    join(newcomer, invite(inviter)["token"], f"--config={file}")
    wait_until_met(inviter, newcomer)
    newcomer.stop()
    newcomer.start(f"--config={file}")
    wait_until_met(inviter, newcomer)

    assert file.read_text().splitlines()[::2] == [
        'hosts-suffix = "mesh"',
        'overlay-net = "10.99.0.0/16"',
    ]
    assert (newcomer.overlay_address or "").startswith("10.99.")


def test_a_setting_that_contradicts_the_mesh_is_named(agent_of: AgentOf, tmp_path: Path) -> None:
    inviter = agent_of("alpha").start(f"--cluster-key={new_key()}", "--overlay-net=10.99.0.0/16")
    wait_for(inviter.is_up, "the first host")
    newcomer, file = agent_of("beta"), tmp_path / "wesher.toml"
    file.write_text('overlay-net = "10.88.0.0/16"\n')

    join(newcomer, invite(inviter)["token"], f"--config={file}")
    wait_until_met(inviter, newcomer)

    told = "wesher.toml: overlay-net is 10.88.0.0/16, but the mesh has 10.99.0.0/16: change it"
    newcomer.says(told)
