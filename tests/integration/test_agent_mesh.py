"""Several whole agents that meet, leave, fail and come back."""

import signal
from collections.abc import Callable
from functools import partial

from tests.testbed.agents import (
    NAME,
    STOP_LIMIT,
    Agent,
    AgentOf,
    Host,
    new_key,
    wait_for,
    wait_until_met,
    wait_until_saved,
)


def trio(agent_of: AgentOf, *flags: str) -> list[Agent]:
    """Start three agents of one cluster; the second and third join the first."""
    agents = [agent_of(name) for name in ("alpha", "beta", "gamma")]
    key = f"--cluster-key={new_key()}"
    for agent in agents:
        joining = [] if agent is agents[0] else [f"--join={agents[0].host.address}"]
        agent.start(key, *joining, *flags)
    wait_until_met(*agents)
    return agents


def test_three_agents_make_each_other_peers_routes_hosts_lines_and_saved_members(
    agent_of: AgentOf,
) -> None:
    agents = trio(agent_of)

    public_keys = {agent.name: agent.host.tools.dump()[0][1] for agent in agents}
    assert len(set(public_keys.values())) == 3
    for agent in agents:
        others = [other for other in agents if other is not agent]
        addresses = {other.name: other.overlay_address for other in others}
        peers = agent.host.peers()
        for other in others:
            key, endpoint = peers.pop(f"{other.overlay_address}/32")
            assert key == public_keys[other.name]
            assert endpoint == f"{other.host.address}:51820"
        assert peers == {}
        assert sorted(agent.host.routes()) == sorted(map(str, addresses.values()))
        assert agent.host.hosts_lines() == addresses
    wait_until_saved(*agents)


def test_one_more_member_costs_one_wg_and_one_ip_call(agent_of: AgentOf) -> None:
    agents = trio(agent_of)
    one, *_ = agents
    wait_for(lambda: "ClusterKey" in one.state, "the state")
    key = one.state["ClusterKey"]
    one.host.tools.forget()

    fourth = agent_of("delta").start(f"--cluster-key={key}", f"--join={one.host.address}")
    wait_until_met(*agents, fourth)
    joined = one.host.tools.changing_calls
    one.host.tools.forget()
    fourth.stop()
    wait_until_met(*agents)
    left = one.host.tools.changing_calls

    assert [call.split()[0] for call in joined] == ["wg", "ip"]
    assert [call.split()[0] for call in left] == ["wg", "ip"]


def knows_as_left(agent: Agent, name: str) -> bool:
    return "Left" in agent.saved_members[name]


def test_a_leaver_vanishes_but_stays_somebody_to_contact(agent_of: AgentOf) -> None:
    one, leaver, other = trio(agent_of)

    leaver.stop()
    wait_until_met(one, other)

    assert leaver.host.is_clean()
    for stayer, friend in ((one, other), (other, one)):
        assert list(stayer.host.peers()) == [f"{friend.overlay_address}/32"]
        assert stayer.host.routes() == [friend.overlay_address]
        wait_for(partial(knows_as_left, stayer, "beta"), "the departure to be saved")
        assert "Left" not in stayer.saved_members[friend.name]


def test_a_killed_member_stays_when_its_failure_is_noticed(agent_of: AgentOf) -> None:
    one, killed = agent_of("alpha"), agent_of("beta")
    key = f"--cluster-key={new_key()}"
    one.start(key, "--log-level=info")
    killed.start(key, f"--join={one.host.address}")
    wait_until_met(one, killed)
    before = one.host.peers(), one.host.routes(), one.host.hosts_lines()
    one.host.tools.forget()

    killed.stop(signal.SIGKILL)
    wait_for(lambda: "member beta failed" in one.errors, "the failure is noticed")
    wait_for(lambda: f"wg show {NAME} dump" in one.host.tools.calls, "a reconcile")

    assert (one.host.peers(), one.host.routes(), one.host.hosts_lines()) == before
    assert one.host.tools.changing_calls == []
    assert "Left" not in one.saved_members["beta"]


def test_a_cluster_stopped_in_one_moment_forms_again_without_flags(
    agent_of: AgentOf,
) -> None:
    agents = trio(agent_of)
    wait_until_saved(*agents)
    addresses = [agent.overlay_address for agent in agents]

    for agent in agents:
        agent.tell(signal.SIGTERM)
    codes = [agent.wait(STOP_LIMIT) for agent in agents]
    clean = [agent.host.is_clean() for agent in agents]
    for agent in reversed(agents):
        agent.start()
    wait_until_met(*agents)

    assert codes == [0, 0, 0]
    assert clean == [True, True, True]
    assert [agent.overlay_address for agent in agents] == addresses
    assert [agent.output for agent in agents] == ["", "", ""]


def test_a_killed_agent_comes_back_without_flags_with_the_same_key(
    agent_of: AgentOf,
) -> None:
    one, other, victim = trio(agent_of)
    wait_until_saved(one, other, victim)
    before = victim.host.tools.dump()

    victim.stop(signal.SIGKILL)
    victim.host.tools.forget()
    victim.start()
    wait_for(lambda: victim.reconciles >= 1, "a reconcile")
    wait_until_met(one, other, victim)

    assert victim.host.tools.dump() == before
    assert victim.host.tools.changing_calls == []


def test_two_clusters_on_one_host_do_not_disturb_each_other(
    agent_of: AgentOf, host_of: Callable[[str], Host]
) -> None:
    host = host_of("both")
    near = agent_of("alpha", host, "wgnear")
    far = agent_of("omega", host, "wgfar")
    near_friend = agent_of("beta", interface="wgnear")
    far_friend = agent_of("psi", interface="wgfar")
    near_key, far_key = (f"--cluster-key={new_key()}" for _ in range(2))
    far_flags = (far_key, "--cluster-port=7947", "--wireguard-port=51821")

    near.start(near_key)
    far.start(*far_flags)
    near_friend.start(near_key, f"--join={host.address}")
    far_friend.start(*far_flags, f"--join={host.address}")
    wait_until_met(near, near_friend)
    wait_until_met(far, far_friend)

    assert host.hosts_lines("wgnear").keys() == {"beta"}
    assert host.hosts_lines("wgfar").keys() == {"psi"}
    assert len(host.peers("wgnear")) == len(host.peers("wgfar")) == 1
    assert near.complaints == far.complaints == ""

    assert near.stop() == 0

    assert host.is_clean("wgnear")
    assert far.knows(far_friend)
    assert len(host.peers("wgfar")) == 1
    assert "127.0.0.1 localhost" in host.hosts_file.read_text()


def test_a_member_with_another_key_is_a_warning(agent_of: AgentOf) -> None:
    one, other = agent_of("alpha"), agent_of("beta")
    one.start(f"--cluster-key={new_key()}")
    wait_for(one.is_up, "the first agent")

    other.start(f"--cluster-key={new_key()}", f"--join={one.host.address}")
    wait_for(lambda: "has another cluster key" in other.errors, "the warning")

    other.says(f"{one.host.address} has another cluster key")
    assert one.complaints == ""
