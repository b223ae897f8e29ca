"""Whole agents and Go members in one mesh: what an operator sees on either side."""

import signal
from collections.abc import Callable
from ipaddress import ip_interface

import pytest

from tests.interop.golang import FORGETFUL_GO, GoMember, GoOf, wait_for
from tests.interop.ours import look
from tests.testbed.agents import Agent, AgentOf, new_key
from wesher.gossip import RecordState
from wesher.mesh.base.address import overlay_address


def publishing(go: GoMember, address: str, format: str = "current") -> GoMember:
    """Let a Go member publish what wesher would, and remember it."""
    go.overlay, go.wireguard_key = address, new_key()
    assert go.do("gob", format, address, go.wireguard_key)["error"] == ""
    return go


def has_peer(agent: Agent, go: GoMember) -> bool:
    """Tell whether the agent's interface has the peer that a Go member published."""
    assert agent.lives()
    expected = (go.wireguard_key, f"{go.ip}:51820")
    return agent.host.peers().get(f"{go.overlay}/32") == expected


def start(agent: Agent, key: str, *join: str, flags: tuple[str, ...] = ()) -> Agent:
    """Start an agent and wait until it is up."""
    contacts = [f"--join={','.join(join)}"] if join else ["--init"]
    agent.start(f"--cluster-key={key}", "--log-level=debug", *contacts, *flags)
    wait_for(agent.is_up, f"{agent.name} to be up")
    return agent


@pytest.mark.parametrize("format", ["current", "v0.2"])
@pytest.mark.parametrize("agent_first", [True, False])
def test_an_agent_and_a_go_member_mesh(
    go_of: GoOf, agent_of: AgentOf, key: str, agent_first: bool, format: str
) -> None:
    go = publishing(go_of("gopher"), "10.9.8.7", format)
    agent = agent_of("alpha")

    if agent_first:
        start(agent, key, flags=(f"--metadata-format={format}",))
        assert go.join(agent.host.address)["count"] == 1
    else:
        start(agent, key, go.ip, flags=(f"--metadata-format={format}",))

    wait_for(lambda: has_peer(agent, go), "its peer")
    wait_for(lambda: agent.host.hosts_lines() == {"gopher": "10.9.8.7"}, "its /etc/hosts entry")
    assert agent.host.routes() == ["10.9.8.7"]
    wait_for(lambda: "alpha" in go.members, "the agent at Go")
    published = go.members["alpha"]
    expected = str(overlay_address("alpha", ip_interface("10.0.0.0/8")))
    assert published[format]["address"].partition("/")[0] == expected == agent.overlay_address
    assert published[format]["key"] == agent.host.tools.dump()[0][1]
    assert published["ip"] == agent.host.address


def test_who_has_no_metadata_yet_gets_its_peer_later(
    go_of: GoOf, agent_of: AgentOf, key: str
) -> None:
    """As every Go wesher does: its first alive message has none."""
    go = go_of("gopher")
    agent = start(agent_of("alpha"), key, go.ip)
    go.wait("join", name="alpha")
    assert agent.host.peers() == {}

    publishing(go, "10.9.8.7")

    wait_for(lambda: has_peer(agent, go), "its peer")


def test_metadata_of_something_else_is_no_peer(go_of: GoOf, agent_of: AgentOf, key: str) -> None:
    odd = go_of("odd", meta=b"not gob at all".hex())
    go = publishing(go_of("gopher"), "10.9.8.7")
    agent = start(agent_of("alpha"), key, odd.ip, go.ip)

    wait_for(lambda: has_peer(agent, go), "the other peer")

    assert set(agent.host.peers()) == {"10.9.8.7/32"}
    assert set(go.members) >= {"alpha"}


def test_a_go_member_restarts_with_another_wireguard_key(
    go_of: GoOf, agent_of: AgentOf, key: str
) -> None:
    """As every restart of the Go wesher does, the crash still unnoticed."""
    go = publishing(go_of("gopher"), "10.9.8.7")
    agent = start(agent_of("alpha"), key, go.ip)
    wait_for(lambda: has_peer(agent, go), "its peer")

    go.kill()
    again = publishing(go_of("gopher", go.ip), "10.9.8.7")
    again.join(agent.host.address)

    wait_for(lambda: has_peer(agent, again), "its new peer")
    assert len(agent.host.peers()) == 1


def test_a_go_member_leaves(go_of: GoOf, agent_of: AgentOf, key: str) -> None:
    go, stays = publishing(go_of("gopher"), "10.9.8.7"), publishing(go_of("stays"), "10.9.8.8")
    agent = start(agent_of("alpha"), key, go.ip, stays.ip)
    wait_for(lambda: has_peer(agent, go) and has_peer(agent, stays), "both peers")

    go.do("leave")
    go.kill()

    wait_for(lambda: set(agent.host.peers()) == {"10.9.8.8/32"}, "its peer to go")
    wait_for(lambda: agent.host.hosts_lines() == {"stays": "10.9.8.8"}, "its line to go")


def test_a_go_member_crashes_and_comes_back(go_of: GoOf, agent_of: AgentOf, key: str) -> None:
    """Its peer stays: failed is not left."""
    go, stays = publishing(go_of("gopher"), "10.9.8.7"), publishing(go_of("stays"), "10.9.8.8")
    agent = start(agent_of("alpha"), key, go.ip, stays.ip)
    wait_for(lambda: has_peer(agent, go) and has_peer(agent, stays), "both peers")

    go.kill()
    wait_for(lambda: "member gopher failed" in agent.errors, "its failure")
    stays.wait("leave", name="gopher")
    assert has_peer(agent, go)
    again = publishing(go_of("gopher", go.ip), "10.9.8.7")
    again.join(stays.host_port)

    wait_for(lambda: has_peer(agent, again), "its new peer")
    assert len(agent.host.peers()) == 2


@pytest.mark.parametrize("way", ["leave", "kill"])
def test_an_agent_stops(go_of: GoOf, agent_of: AgentOf, key: str, way: str) -> None:
    gos = [publishing(go_of(f"go{n}"), f"10.9.8.{n + 1}") for n in range(2)]
    agent = start(agent_of("alpha"), key, gos[0].ip, gos[1].ip)
    for go in gos:
        wait_for(lambda go=go: len(go.members) == 3, f"everybody at {go.name}")

    if way == "leave":
        assert agent.stop() == 0
    else:
        agent.kill()

    state = {"leave": RecordState.LEFT, "kill": RecordState.DEAD}[way]
    for go in gos:
        go.wait("leave", name="alpha")
        assert look(go.ip, key)["alpha"].state == state


@pytest.mark.parametrize("way", ["leave", "kill", "hand over"])
def test_an_agent_restarts(go_of: GoOf, agent_of: AgentOf, key: str, way: str) -> None:
    """Before Go can have noticed that it was gone, unless it has said so."""
    gos = [publishing(go_of(f"go{n}", timing="wan"), f"10.9.8.{n + 1}") for n in range(2)]
    agent = start(agent_of("alpha"), key, gos[0].ip, gos[1].ip)
    for go in gos:
        wait_for(lambda go=go: len(go.members) == 3, f"everybody at {go.name}")
    before = agent.host.tools.dump()[0][1]

    if way == "kill":
        agent.kill()
    else:
        agent.stop({"leave": signal.SIGTERM, "hand over": signal.SIGUSR1}[way])
    said = [len(go.facts) for go in gos]
    start(agent, key, gos[0].ip)

    after = agent.host.tools.dump()[0][1]
    assert (after != before) == (way == "leave")
    for go, already in zip(gos, said, strict=True):
        wait_for(
            lambda go=go: go.members.get("alpha", {}).get("current", {}).get("key") == after,
            f"its key at {go.name}",
        )
        assert not go.heard("conflict")
        if way != "leave":
            assert not go.heard("leave", after=already)
        wait_for(lambda go=go: has_peer(agent, go), f"{go.name}'s peer")


def test_a_go_member_has_our_overlay_address(go_of: GoOf, agent_of: AgentOf, key: str) -> None:
    """It cannot move, so we do, whoever came first; it hears of it."""
    wanted = overlay_address("alpha", ip_interface("10.0.0.0/8"))
    go = publishing(go_of("gopher"), str(wanted))
    late = publishing(go_of("late"), "10.9.8.7")
    first = start(agent_of("alpha"), key, go.ip)
    assert first.overlay_address != str(wanted)

    late.do("gob", "current", first.overlay_address or "", new_key())
    late.join(first.host.address)

    wait_for(
        lambda: (
            first.overlay_address not in (str(wanted), late.members["late"]["current"]["address"])
        ),
        "our second move",
    )
    for member in (go, late):
        wait_for(
            lambda m=member: m.members["alpha"]["current"]["address"] == first.overlay_address,
            f"our new address at {member.name}",
        )


def test_a_go_member_has_our_name(go_of: GoOf, agent_of: AgentOf, key: str) -> None:
    go = publishing(go_of("alpha"), "10.9.8.7")
    agent = agent_of("alpha")

    agent.start(f"--cluster-key={key}", f"--join={go.ip}")

    assert agent.wait() == 1
    assert "belongs to another live member" in agent.errors
    assert set(look(go.ip, key)) == {"alpha"}
    assert not go.heard("conflict")


def test_a_go_member_has_another_cluster_key(go_of: GoOf, agent_of: AgentOf, key: str) -> None:
    agent = start(agent_of("alpha"), key)
    go = go_of("gopher", key=new_key())

    assert go.join(agent.host.address)["count"] == 0

    assert agent.lives()
    assert set(go.members) == {"gopher"}
    lost = agent_of("beta")
    go.allowed = ("failed to receive",)
    start(lost, key, go.ip)
    wait_for(lambda: "another cluster key" in lost.errors, "the warning")


def test_messages_of_other_applications(go_of: GoOf, agent_of: AgentOf, key: str) -> None:
    go = publishing(go_of("gopher"), "10.9.8.7")
    go.do("userstate", "ff" * 3000)
    agent = start(agent_of("alpha"), key, go.ip)
    wait_for(lambda: "alpha" in go.members, "the agent")

    for data in ("00", "f7", "f7" * 700):
        go.do("packet", "alpha", data)
        go.do("stream", "alpha", data)
        go.do("broadcast", data)
    go.join(agent.host.address)

    wait_for(lambda: has_peer(agent, go), "its peer")
    assert agent.lives()
    assert "Traceback" not in agent.errors


@pytest.mark.parametrize("timing", ["local", "wan"])
def test_three_of_each_mesh(go_of: GoOf, agent_of: AgentOf, key: str, timing: str) -> None:
    agents = [agent_of(f"py{n}") for n in range(3)]
    start(agents[0], key, flags=(f"--timing={timing}",))
    gos = [publishing(go_of(f"go{n}", timing=timing), f"10.9.8.{n + 1}") for n in range(3)]
    gos[0].join(agents[0].host.address)
    start(agents[1], key, gos[0].ip, flags=(f"--timing={timing}",))
    gos[1].join(agents[1].host.address)
    gos[2].join(gos[0].host_port)
    start(agents[2], key, gos[1].ip, flags=(f"--timing={timing}",))

    everybody = {agent.name for agent in agents} | {go.name for go in gos}
    for go in gos:
        wait_for(lambda go=go: set(go.members) == everybody, f"everybody at {go.name}")
    for agent in agents:
        for go in gos:
            wait_for(lambda a=agent, g=go: has_peer(a, g), f"{go.name} at {agent.name}")
        wait_for(lambda a=agent: len(a.host.peers()) == 5, f"all peers at {agent.name}")
        names = everybody - {agent.name}
        wait_for(lambda a=agent, n=names: set(a.host.hosts_lines()) == n, "all /etc/hosts entries")

    def agree() -> bool:
        ips = [*(go.ip for go in gos), *(agent.host.address for agent in agents)]
        first, *others = [set(look(ip, key).values()) for ip in ips]
        return all(other == first for other in others)

    wait_for(agree, "all tables to be the same")


def test_an_agent_moves_after_a_crash(
    go_of: GoOf, agent_of: AgentOf, key: str, new_address: Callable[[], str]
) -> None:
    """Go takes its new address only once it has forgotten the old one."""
    gos = [publishing(go_of(f"go{n}", **FORGETFUL_GO), f"10.9.8.{n + 1}") for n in range(2)]
    agent = start(agent_of("alpha"), key, gos[0].ip, gos[1].ip)
    for go in gos:
        go.allowed = ("Conflicting address",)
        wait_for(lambda go=go: len(go.members) == 3, f"everybody at {go.name}")
    agent.kill()

    agent.host.address = new_address()
    start(agent, key, gos[0].ip)

    for go in gos:
        wait_for(
            lambda go=go: go.members.get("alpha", {}).get("ip") == agent.host.address,
            f"its new address at {go.name}",
            90,
        )
        wait_for(lambda go=go: has_peer(agent, go), f"{go.name}'s peer")


def test_both_join_at_once(go_of: GoOf, agent_of: AgentOf, key: str) -> None:
    go = publishing(go_of("gopher"), "10.9.8.7")
    agent = agent_of("alpha")

    agent.start(f"--cluster-key={key}", f"--join={go.ip}", "--log-level=debug")
    while agent.lives() and go.join(agent.host.address)["count"] == 0:
        pass

    wait_for(lambda: agent.is_up() and has_peer(agent, go), "its peer")
    wait_for(lambda: "alpha" in go.members, "the agent")
    assert go.members["alpha"]["current"]["address"] == agent.overlay_address


def test_an_agent_waits_for_its_seed(
    go_of: GoOf, agent_of: AgentOf, key: str, new_address: Callable[[], str]
) -> None:
    seed = new_address()
    agent = start(agent_of("alpha"), key, seed)

    go = publishing(go_of("gopher", seed), "10.9.8.7")

    wait_for(lambda: has_peer(agent, go), "its peer", 30)


def test_an_agent_and_a_go_member_mesh_over_ipv6(go_of: GoOf, agent_of: AgentOf, key: str) -> None:
    go = publishing(go_of("gopher", "::1", port=17946), "fd77::7")
    agent = agent_of("alpha")
    agent.host.address = "::1"

    flags = ("--cluster-port=17947", "--overlay-net=fd77::/64")
    start(agent, key, "[::1]:17946", flags=flags)

    wait_for(lambda: "fd77::7/128" in agent.host.peers(), "its peer")
    assert agent.host.peers()["fd77::7/128"][1] == "[::1]:51820"
    wait_for(lambda: "alpha" in go.members, "the agent")
    assert go.members["alpha"]["current"]["address"] == agent.overlay_address
    go.reach("alpha")


def test_a_go_member_with_the_other_format_is_a_peer_and_a_warning(
    go_of: GoOf, agent_of: AgentOf, key: str
) -> None:
    """We read both formats; Go reads one, so the operator must know."""
    go = publishing(go_of("gopher"), "10.9.8.7", "v0.2")
    agent = start(agent_of("alpha"), key, go.ip)

    wait_for(lambda: has_peer(agent, go), "its peer")
    wait_for(lambda: "WARN" in agent.errors and "format" in agent.errors, "the warning")
    assert "error" in go.members["alpha"]["v0.2"]
