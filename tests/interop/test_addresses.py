"""A Go member and an agent claim one overlay address, and neither can move."""

from collections.abc import Callable

import pytest

from tests.interop.golang import GoOf, wait_for
from tests.interop.test_agents import has_peer, publishing, start
from tests.testbed.agents import Agent

AgentOf = Callable[[str], Agent]
ADDRESS = "10.9.8.7"
FIXED = (f"--overlay-addr={ADDRESS}",)


@pytest.mark.parametrize("name", ["alpha", "zeta"])
def test_an_agent_takes_a_fixed_address_from_no_go_member(
    go_of: GoOf, agent_of: AgentOf, key: str, name: str
) -> None:
    """Whatever their names are."""
    go = publishing(go_of("gopher"), ADDRESS)
    third = start(agent_of("third"), key, go.ip)
    wait_for(lambda: has_peer(third, go), "the Go member's peer")

    agent = agent_of(name)
    agent.start(f"--cluster-key={key}", f"--join={go.ip}", *FIXED)

    assert agent.wait(30) == 1
    assert f"{ADDRESS} belongs to another live member, gopher" in agent.errors
    assert has_peer(third, go)
    assert set(go.members) == {"gopher", "third"}


@pytest.mark.parametrize("name", ["alpha", "zeta"])
def test_a_go_member_takes_a_fixed_address_from_no_agent(
    go_of: GoOf, agent_of: AgentOf, key: str, name: str
) -> None:
    """Although it cannot say that it came later."""
    agent = start(agent_of(name), key, flags=FIXED)
    third = start(agent_of("third"), key, agent.host.address)
    wait_for(lambda: f"{ADDRESS}/32" in third.host.peers(), "the agent's peer")
    before = third.host.peers()

    go = publishing(go_of("gopher"), ADDRESS)
    go.join(agent.host.address)

    wait_until_told(name, "gopher", agent, third)
    stay_as_they_are(agent, third, go_of, winner=name)
    assert third.host.peers()[f"{ADDRESS}/32"] == before[f"{ADDRESS}/32"]
    assert set(go.members) >= {"gopher", "third", name}


def wait_until_told(winner: str, loser: str, *agents: Agent) -> None:
    """Return once all of these have said who has the address, as an error."""
    text = f"{winner} and {loser} both have overlay address {ADDRESS} and neither can move"
    for agent in agents:
        wait_for(
            lambda agent=agent: any(
                text in line and "ERR" in line for line in agent.errors.splitlines()
            ),
            f"the error at {agent.name}: {agent.errors}",
        )


def stay_as_they_are(agent: Agent, third: Agent, go_of: GoOf, *, winner: str) -> None:
    """Show that further news change nothing: who the address belongs to, nor that all run."""
    newcomer = publishing(go_of("newcomer"), "10.9.8.9")
    newcomer.join(third.host.address)

    for one in (agent, third):
        wait_for(lambda one=one: has_peer(one, newcomer), f"the newcomer's peer at {one.name}")
    lines = {winner: ADDRESS, "newcomer": "10.9.8.9"}
    wait_for(lambda: third.host.hosts_lines() == lines, "its line in the hosts file")
    assert agent.overlay_address == ADDRESS
    assert third.host.routes().count(ADDRESS) == 1
