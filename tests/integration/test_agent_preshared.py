"""Agents give each pair a preshared key that the two derive alike, and that nobody is shown."""

import base64
import hashlib
import hmac
import json
import re
from pathlib import Path

import pytest

from tests.testbed.agents import Agent, AgentOf, new_key, wait_for, wait_until_met
from tests.testbed.asking import asked, told

NONE = "(none)"


def preshared(agent: Agent) -> dict[str, str]:
    """Return what the host's WireGuard has, by the peer's public key."""
    return {fields[0]: fields[1] for fields in agent.host.tools.dump()[1:]}


def public_key(agent: Agent) -> str:
    return agent.host.tools.dump()[0][1]


def derived(cluster_key: str, one: Agent, other: Agent) -> str:
    """HKDF-SHA256 (RFC 5869) over the cluster key and both public keys, as docs/protocol says."""
    pair = sorted(base64.b64decode(public_key(agent)) for agent in (one, other))
    extracted = hmac.digest(bytes(32), base64.b64decode(cluster_key), "sha256")
    info = b"wesher preshared key 1" + b"".join(pair)
    return base64.b64encode(hmac.digest(extracted, info + b"\1", hashlib.sha256)).decode()


def configured(agent: Agent, keys: list[str], psk: str = "on") -> str:
    """Write the configuration file of an agent; return the flag that names it."""
    file = agent.host.directory / "wesher.toml"
    file.write_text(f"cluster-key = {keys!r}\npsk = '{psk}'\n")
    file.chmod(0o600)
    return f"--config={file}"


@pytest.fixture
def cluster_key() -> str:
    return new_key()


@pytest.fixture
def agents(agent_of: AgentOf, cluster_key: str) -> list[Agent]:
    """Return two that run and have met."""
    made = [agent_of(name) for name in ("alpha", "beta")]
    made[0].start(configured(made[0], [cluster_key]), "--log-level=debug")
    join = f"--join={made[0].host.address}"
    made[1].start(configured(made[1], [cluster_key]), "--log-level=debug", join)
    wait_until_met(*made)
    return made


def test_both_set_the_same_with_the_peer_and_show_it_nowhere(
    agents: list[Agent], cluster_key: str
) -> None:
    one, other = agents
    wanted = derived(cluster_key, one, other)

    assert preshared(one) == {public_key(other): wanted}
    assert preshared(other) == {public_key(one): wanted}
    for agent in agents:
        setting = [call for call in agent.host.tools.calls if "preshared-key" in call]
        assert len(setting) == 1
        assert re.search(r" allowed-ips \S+ preshared-key /dev/fd/\d+$", setting[0])
        process = Path(f"/proc/{agent.process.pid}")
        shown = [
            agent.output,
            agent.errors,
            *agent.host.tools.calls,
            (agent.host.tools.directory / "environ").read_text(),
            (process / "cmdline").read_text(),
            (process / "environ").read_text(),
            json.dumps(agent.state),
            told(agent, "status", "--json"),
            told(agent, "info", agents[agent is one].name, "--json"),
            told(agent, "metrics"),
            told(agent, "export", "--format=json"),
            told(agent, "export"),
        ]
        assert not [text for text in shown if wanted in text or preshared_hex(wanted) in text]


def preshared_hex(key: str) -> str:
    return base64.b64decode(key).hex()


def test_status_and_info_tell_whether_a_tunnel_has_one(agents: list[Agent]) -> None:
    one, _ = agents

    status, info = asked(one, "status"), asked(one, "info", "beta")

    assert status["node"]["preshared_keys"] is True
    assert [member["preshared_key"] for member in status["members"]] == [True]
    assert (info["preshared_key"], info["without_preshared_key"]) == (True, None)
    assert "1, with a preshared key" in told(one, "status")
    assert re.search(r"^preshared key +yes$", told(one, "info", "beta"), re.MULTILINE)


def test_a_whole_export_has_it(agents: list[Agent], cluster_key: str) -> None:
    wanted = derived(cluster_key, *agents)

    document = asked(agents[0], "export", "--with-private-key")

    assert f"PresharedKey = {wanted}" in told(agents[0], "export", "--with-private-key")
    assert [peer["preshared_key"] for peer in document["peers"]] == [wanted]


def test_it_is_switched_off_and_on_by_reload_on_one_side_for_both(
    agents: list[Agent], cluster_key: str
) -> None:
    one, other = agents
    wanted = derived(cluster_key, one, other)

    configured(one, [cluster_key], "off")
    assert told(one, "reload") == "changed at once: psk\n"
    wait_for(lambda: {*preshared(one).values(), *preshared(other).values()} == {NONE}, "none")
    info, back = asked(one, "info", "beta"), asked(other, "info", "alpha")
    assert "--psk is off" in told(one, "status")

    configured(one, [cluster_key], "on")
    one.host.tools.forget()
    assert told(one, "reload") == "changed at once: psk\n"
    wait_for(lambda: {*preshared(one).values(), *preshared(other).values()} == {wanted}, "both")

    assert info["without_preshared_key"] == "this host has --psk off"
    assert back["without_preshared_key"] == "it has --psk off, or is of a version without them"
    (change,) = one.host.tools.changing_calls
    assert re.fullmatch(r"wg set \S+ peer \S+ preshared-key /dev/fd/\d+", change)


def test_it_follows_the_cluster_key(agents: list[Agent], cluster_key: str) -> None:
    one, other = agents
    new = new_key()
    before, after = derived(cluster_key, one, other), derived(new, one, other)
    seen = set()

    for ring in ([cluster_key, new], [new, cluster_key], [new]):
        for agent in agents:
            configured(agent, ring)
            assert told(agent, "reload") == "changed at once: cluster-key\n"
            wait_for(lambda: [*preshared(one).values()] == [*preshared(other).values()], "both")
            seen |= {*preshared(one).values()}

    assert seen == {before, after}
    assert [*preshared(one).values()] == [after]
    assert "another program changed" not in one.errors + other.errors


def test_an_agent_that_starts_again_finds_what_it_has_set(agents: list[Agent]) -> None:
    one, other = agents
    before = preshared(one)

    one.kill()
    one.host.tools.forget()
    one.start(f"--config={one.host.directory / 'wesher.toml'}")
    wait_until_met(one, other)

    assert preshared(one) == before
    assert "preshared-key" not in "".join(one.host.tools.calls)
    assert preshared(other) == {public_key(one): before[public_key(other)]}


def test_without_it_no_tunnel_has_one(agent_of: AgentOf) -> None:
    one, other = agent_of("alpha"), agent_of("beta")
    key = f"--cluster-key={new_key()}"
    one.start(key, "--psk=off")
    other.start(key, f"--join={one.host.address}")
    wait_until_met(one, other)

    assert {*preshared(one).values(), *preshared(other).values()} == {NONE}
    assert "preshared-key" not in "".join(one.host.tools.calls + other.host.tools.calls)
