"""What is told of while it happens, and what changes while an agent runs."""

import json
import signal
import socket
import subprocess
from base64 import b64decode
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.testbed.agents import Agent, AgentOf, new_key, wait_for, wait_until_met
from tests.testbed.asking import argv_of, asked, pair, told, typed
from wesher.gossip import Alive, Dead, Message, pack_ip
from wesher.gossip.codec import encode
from wesher.mesh.base.metadata import Metadata, encode_metadata
from wesher.system.gossip_client import wire_of

Follow = Callable[..., "Follower"]
"""Follow an agent, with further flags."""


class Follower:
    """`wesher monitor --json`, and what it has printed so far."""

    def __init__(self, agent: Agent, output: Path, *flags: str) -> None:
        self._output = output
        with output.open("wb") as file:
            argv = argv_of(agent, "monitor", "--json", *flags)
            self.process = subprocess.Popen(argv, env=agent.host.tools.env, stdout=file)

    @property
    def events(self) -> list[dict[str, str]]:
        lines = self._output.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def wait_for(self, what: str, member: str) -> dict[str, str]:
        """Return the first such event, once it has come."""

        def found() -> list[dict[str, str]]:
            return [one for one in self.events if (one["event"], one["member"]) == (what, member)]

        wait_for(lambda: bool(found()), f"{member} {what}", 60)
        return found()[0]


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Follow]:
    """Follow the events of agents until the test ends."""
    followers: list[Follower] = []

    def start(agent: Agent, *flags: str) -> Follower:
        followers.append(Follower(agent, tmp_path / f"events{len(followers)}", *flags))
        followers[-1].wait_for("following", agent.name)
        return followers[-1]

    yield start
    for follower in followers:
        follower.process.kill()
        follower.process.wait()


def test_what_happens_to_members_is_told_as_it_happens(agent_of: AgentOf, follow: Follow) -> None:
    alpha, beta = agent_of("alpha"), agent_of("beta")
    key = f"--cluster-key={new_key()}"
    join = f"--join={alpha.host.address}"
    alpha.start(key)
    wait_for(alpha.is_up, "alpha is up")
    follower = follow(alpha)

    beta.start(key, join)
    joined = follower.wait_for("joined", "beta")
    wait_until_met(alpha, beta)
    assert joined["overlay_address"] == beta.overlay_address
    beta.process.kill()
    beta.process.wait()
    follower.wait_for("failed", "beta")
    beta.start(key)
    follower.wait_for("returned", "beta")
    wait_until_met(alpha, beta)
    beta.stop()
    follower.wait_for("left", "beta")


def test_suspicions_and_who_is_forgotten_are_told_at_once(
    agent_of: AgentOf, follow: Follow
) -> None:
    alpha, beta = pair(agent_of)
    follower = follow(alpha)
    at = {"address": f"{beta.host.address}:7946", "overlay_address": beta.overlay_address}

    beta.kill()
    suspected = follower.wait_for("suspect", "beta")
    follower.wait_for("failed", "beta")
    told(alpha, "forget", "beta")
    forgotten = follower.wait_for("forgotten", "beta")

    assert suspected.items() >= at.items()
    assert forgotten.items() >= at.items()


def test_a_move_is_told_there_and_here(agent_of: AgentOf, follow: Follow) -> None:
    alpha, beta = agent_of("alpha"), agent_of("beta")
    key = new_key()
    alpha.start(f"--cluster-key={key}")
    beta.start(f"--cluster-key={key}", f"--join={alpha.host.address}")
    wait_until_met(alpha, beta)
    there, here = follow(alpha), follow(beta)
    old = beta.overlay_address
    assert old

    announce_original(key, old, to=[alpha, beta])
    moved = there.wait_for("moved", "beta")
    changed = here.wait_for("self-changed", "beta")

    assert moved["old_overlay_address"] == changed["old_overlay_address"] == old
    assert moved["overlay_address"] == changed["overlay_address"] != old


def test_who_was_evicted_goes_back_when_it_starts_anew_but_not_when_it_is_handed_over(
    agent_of: AgentOf,
) -> None:
    alpha, beta = agent_of("alpha"), agent_of("beta")
    key = new_key()
    alpha.start(f"--cluster-key={key}")
    join = f"--join={alpha.host.address}"
    beta.start(f"--cluster-key={key}", join)
    wait_until_met(alpha, beta)
    home, state = beta.overlay_address, beta.host.state / f"{beta.interface}.json"
    beta.stop(signal.SIGUSR1)
    restart(beta, join)  # has the address from before now

    announce_original(key, str(home), to=[alpha, beta])
    wait_for(lambda: beta.overlay_address not in {None, home}, "beta at another address")
    away = beta.overlay_address
    send(key, Dead(1, "original", "original"), to=[alpha, beta])
    wait_until_met(alpha, beta)
    wait_for(lambda: f'"OverlayAddr": "{away}"' in state.read_text(), "the move to be saved")
    beta.stop(signal.SIGUSR1)
    restart(beta, join)
    handed_over = beta.overlay_address
    beta.stop()
    restart(beta, join, "--log-level=info")

    assert handed_over == away
    assert beta.overlay_address == home
    beta.says(f"this host starts at {home}, after {away} before")


def restart(agent: Agent, *flags: str) -> None:
    """Start an agent, and wait for what an interface that outlived another does not show."""
    agent.start(*flags)
    wait_for(lambda: agent.reconciles > 0, f"{agent.name} to be at work")


def announce_original(cluster_key: str, overlay: str, to: list[Agent]) -> None:
    """Tell agents of a Go member with this overlay address: it cannot move, so ours make room."""
    meta = encode_metadata(Metadata(ip_address(overlay), new_key()), "current")
    addr = pack_ip("127.0.0.99")
    send(cluster_key, Alive(1, "original", addr, 7946, meta, bytes([1, 5, 2, 0, 0, 0])), to)


def send(cluster_key: str, message: Message, to: list[Agent]) -> None:
    """Tell agents something that a member could."""
    wire = wire_of(b64decode(cluster_key))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        for agent in to:
            packet = wire.seal_packet([encode(message)], checksum=False)
            sending.sendto(packet, (agent.host.address, 7946))


def test_two_claims_to_one_address_are_a_conflict(agent_of: AgentOf, follow: Follow) -> None:
    alpha, beta = agent_of("alpha"), agent_of("beta")
    claim = (f"--cluster-key={new_key()}", "--overlay-addr=10.5.5.5")
    alpha.start(*claim)
    wait_for(alpha.is_up, "alpha is up")
    follower = follow(alpha)

    # It had the address before, else its start would be refused.
    beta.start(claim[0], "--overlay-addr=10.5.5.5")
    wait_for(lambda: "10.5.5.5" in str(beta.state), "beta's address to be saved")
    assert beta.stop() == 0
    beta.start(*claim, f"--join={alpha.host.address}")

    assert "10.5.5.5" in follower.wait_for("conflict", "beta")["text"]


def test_the_events_end_with_the_agent(agent: Agent, follow: Follow) -> None:
    agent.start()
    wait_for(agent.is_up, "the agent is up")
    follower = follow(agent)

    agent.stop()

    assert follower.process.wait(15) == 1


def test_a_reader_that_has_enough_ends_the_following_at_once(agent: Agent) -> None:
    agent.start()
    wait_for(agent.is_up, "the agent is up")
    following = subprocess.Popen(
        argv_of(agent, "monitor"), env=agent.host.tools.env, stdout=subprocess.PIPE, text=True
    )
    with following:
        assert following.stdout
        assert "following" in following.stdout.readline()

        following.stdout.close()

        assert following.wait(30) == -signal.SIGPIPE


# A changed configuration


def configured(agent: Agent, text: str) -> Path:
    """Start an agent with a configuration file."""
    file = agent.host.directory / "wesher.toml"
    file.write_text(text)
    agent.start(f"--config={file}")
    wait_for(agent.is_up, "the agent is up")
    return file


def test_networks_are_announced_and_withdrawn_by_a_reload(agent: Agent) -> None:
    def networks() -> list[str]:
        return [one["network"] for one in asked(agent, "status")["node"]["networks"]]

    file = configured(agent, 'route = "192.168.7.0/24"\n')
    wait_for(lambda: networks() == ["192.168.7.0/24"], "the network of the start")
    file.write_text('route = ["192.168.8.0/24@3", "fd00:7::/48"]\nno-routes = true\n')

    report = asked(agent, "reload")

    assert sorted(report["applied"]) == ["no-routes", "route"]
    assert report["restart_needed"] == []
    wait_for(lambda: networks() == ["192.168.8.0/24", "fd00:7::/48"], "the networks of the reload")


def test_a_changed_configuration_is_taken_where_that_is_possible(agent: Agent) -> None:
    file = configured(agent, 'log-level = "warn"\nforget-after = "1h"\n')
    file.write_text('log-level = "debug"\nforget-after = "2h"\njoin = ["127.0.0.9"]\ncolour = 1\n')

    wrong = typed(agent, "reload")
    file.write_text('log-level = "debug"\njoin = ["127.0.0.9"]\ncluster-port = 7999\n')
    report = asked(agent, "reload")
    again = told(agent, "reload")

    assert wrong.returncode == 1
    assert "nothing was changed" in wrong.stderr
    assert "unknown key 'colour'" in wrong.stderr
    assert report == {
        "applied": ["join", "log-level", "forget-after"],
        "restart_needed": ["cluster-port"],
        "warnings": [],
    }
    assert again == "needs a restart: cluster-port\n"
    assert [one["seed"] for one in asked(agent, "status")["seeds"]] == ["127.0.0.9:7999"]
    agent.says("DEBUG")


def test_a_hangup_reloads_an_agent_without_a_terminal(agent: Agent) -> None:
    file = configured(agent, 'log-level = "info"\n')
    file.write_text('log-level = "debug"\n')

    agent.tell(signal.SIGHUP)

    wait_for(lambda: "changed: log-level" in agent.errors, "the reload is in the log")
    file.write_text("no TOML\n")
    agent.tell(signal.SIGHUP)
    wait_for(lambda: "nothing was changed" in agent.errors, "the refusal is in the log")
    assert agent.lives()


def test_of_all_who_follow_once_in_the_mesh_one_is_told(agent_of: AgentOf, follow: Follow) -> None:
    both = pair(agent_of)
    all_told = [follow(one) for one in both]
    once = [follow(one, "--once-in-mesh") for one in both]
    key = json.loads(told(both[0], "key", "show", "--force", "--json"))["key"]

    gamma = agent_of("gamma").start(f"--cluster-key={key}", f"--join={both[0].host.address}")
    for follower in all_told:
        follower.wait_for("joined", "gamma")
    gamma.stop()
    for follower in all_told:
        follower.wait_for("left", "gamma")

    def seen() -> list[str]:
        events = [one for follower in once for one in follower.events]
        return sorted(one["event"] for one in events if one["member"] == "gamma")

    wait_for(lambda: len(seen()) >= len(("joined", "left")), "the events to be told")
    assert seen() == ["joined", "left"]
