"""Agents and Go members that come back from a crash at another underlay address."""

from collections.abc import Callable

from tests.interop.golang import GoMember, GoOf, wait_for
from tests.interop.test_agents import has_peer, publishing, start
from tests.testbed.agents import Agent

AgentOf = Callable[[str], Agent]
NewAddress = Callable[[], str]


def test_go_takes_an_agents_new_address_before_it_notices_the_crash(
    go_of: GoOf, agent_of: AgentOf, key: str, new_address: NewAddress
) -> None:
    """By itself it would refuse the address for minutes; the agent has it take it in seconds."""
    gos = [publishing(go_of(f"go{n}", timing="wan"), f"10.9.8.{n + 1}") for n in range(3)]
    agent = start(agent_of("alpha"), key, *(go.ip for go in gos))
    for go in gos:
        go.allowed = ("Conflicting address",)
        wait_for(lambda go=go: len(go.members) == 4, f"everybody at {go.name}")
    wireguard_key = agent.host.tools.dump()[0][1]
    agent.kill()

    agent.host.address = new_address()
    start(agent, key, gos[0].ip)

    for go in gos:
        wait_for(lambda go=go: address_at(go, "alpha") == agent.host.address, f"it at {go.name}")
        wait_for(lambda go=go: has_peer(agent, go), f"{go.name}'s peer")
        assert go.members["alpha"]["current"]["key"] == wireguard_key


def test_an_agent_takes_a_go_members_new_address(go_of: GoOf, agent_of: AgentOf, key: str) -> None:
    """Not before the Go member tells of itself again, which it does every 15 to 30 s."""
    go, other = publishing(go_of("gopher"), "10.9.8.7"), publishing(go_of("other"), "10.9.8.8")
    agent = start(agent_of("alpha"), key, go.ip, other.ip)
    wait_for(lambda: has_peer(agent, go) and has_peer(agent, other), "both peers")
    go.kill()

    again = go_of("gopher")
    for member in (other, again):
        member.allowed = ("Conflicting address",)
    publishing(again, "10.9.8.7")
    again.join(agent.host.address)

    wait_for(lambda: has_peer(agent, again), "its new peer", 90)
    assert len(agent.host.peers()) == 2


def address_at(go: GoMember, name: str) -> str | None:
    """Where a Go member holds another for live."""
    ip: str | None = go.members.get(name, {}).get("ip")
    return ip
