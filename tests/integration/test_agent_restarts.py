"""What a killed agent's successor keeps, and what it clears away when it is told otherwise."""

import signal

from tests.testbed.agents import Agent, AgentOf, new_key, wait_for, wait_until_saved


def pair(agent_of: AgentOf) -> tuple[Agent, Agent]:
    """Start two agents of one cluster; the second joins the first."""
    one, other = agent_of("alpha"), agent_of("beta")
    key = f"--cluster-key={new_key()}"
    one.start(key)
    other.start(key, f"--join={one.host.address}")
    wait_until_saved(one, other)
    return one, other


def public_key(agent: Agent) -> str:
    return agent.host.tools.dump()[0][1]


def test_a_fresh_key_replaces_the_one_that_was_left(agent_of: AgentOf) -> None:
    one, other = pair(agent_of)
    before, address = public_key(other), other.overlay_address

    other.stop(signal.SIGKILL)
    other.start("--fresh-key")
    wait_for(lambda: public_key(other) != before, "another key")
    wait_for(lambda: {key for key, _ in one.host.peers().values()} == {public_key(other)}, "it")

    assert other.overlay_address == address
    assert other.host.peers()


def test_what_does_not_fit_the_new_options_is_cleared_away(agent_of: AgentOf) -> None:
    one, other = pair(agent_of)
    old = other.overlay_address
    assert other.host.hosts_lines()

    other.stop(signal.SIGKILL)
    one.stop()
    other.start("--no-etc-hosts", "--overlay-net=172.30.0.0/16", "--init")
    wait_for(lambda: other.overlay_address != old, "another address")
    wait_for(lambda: not other.host.peers(), "no peers of before")

    assert other.host.routes() == []
    assert other.host.hosts_lines() == {}


def test_a_member_that_failed_stays_a_peer_through_a_restart(
    agent_of: AgentOf,
) -> None:
    one, failed = pair(agent_of)
    friend = agent_of("gamma")
    friend.start(f"--cluster-key={one.state['ClusterKey']}", f"--join={one.host.address}")
    wait_until_saved(one, failed, friend)
    peers, lines = one.host.peers(), one.host.hosts_lines()

    failed.stop(signal.SIGKILL)
    wait_for(lambda: "FailedAt" in str(one.state), "the failure to be saved")
    one.stop(signal.SIGKILL)
    one.host.tools.forget()
    one.start()
    wait_for(lambda: friend.knows(one, failed), "the restarted one")
    wait_for(lambda: one.reconciles >= 1, "a reconcile")

    assert one.host.peers() == peers
    assert one.host.hosts_lines() == lines
    assert one.host.tools.changing_calls == []
