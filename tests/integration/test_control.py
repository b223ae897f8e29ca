"""What a running agent answers, asked by the commands as an operator types them."""

import json
import os
import pty
import re
import subprocess
import sys

import pytest

from tests.testbed.agents import Agent, AgentOf, new_key, wait_for
from tests.testbed.asking import argv_of, asked, pair, told, typed
from tests.unit.cli.test_command_line import HEAVY
from wesher.base.errors import AgentError
from wesher.system.control_client import ask

FAILED = 1

LOADED = """
import sys
from wesher.cli import main
heavy, *arguments = sys.argv[1:]
code = main(arguments)
print("loaded", [name for name in heavy.split(",") if name in sys.modules], code)
"""


def state_of(agent: Agent, name: str) -> str | None:
    """Return the state in which an agent holds a member, None when it knows of none."""
    members = asked(agent, "status")["members"]
    return next((member["state"] for member in members if member["name"] == name), None)


def failed_pair(agent_of: AgentOf) -> list[Agent]:
    """Return two agents of which the second was killed, and the first knows."""
    alpha, beta = pair(agent_of)
    beta.process.kill()
    beta.process.wait()
    wait_for(lambda: state_of(alpha, "beta") == "failed", "beta counts as failed", 60)
    return [alpha, beta]


def test_the_status_tells_of_this_node_and_of_the_others(agent_of: AgentOf) -> None:
    alpha, beta = pair(agent_of)

    status = asked(beta, "status")
    text = told(beta, "status")

    node = status["node"]
    assert node["name"] == "beta"
    assert node["overlay_address"] == beta.overlay_address
    assert node["address"] == f"{beta.host.address}:7946"
    assert node["pid"] == beta.process.pid
    assert node["device"] == "kernel"
    assert [seed["seed"] for seed in status["seeds"]] == [f"{alpha.host.address}:7946"]
    [member] = status["members"]
    assert (member["name"], member["state"], member["peer"]) == ("alpha", "alive", True)
    assert member["overlay_address"] == alpha.overlay_address
    assert member["endpoint"] == f"{alpha.host.address}:51820"
    assert f"beta at {beta.host.address}:7946" in text
    assert "alpha  alive" in text


def test_members_are_listed_one_a_line(agent_of: AgentOf) -> None:
    alpha, beta = pair(agent_of)

    lines = f"alpha {alpha.overlay_address} alive\nbeta {beta.overlay_address} alive\n"
    assert told(beta, "members") == lines
    assert told(beta, "members", "--state=alive") == lines
    assert told(beta, "members", "--state=failed") == ""
    listed = asked(beta, "members")
    identities = {one.pop("identity") for one in listed}
    assert listed == [
        {"name": "alpha", "state": "alive", "overlay_address": alpha.overlay_address},
        {"name": "beta", "state": "alive", "overlay_address": beta.overlay_address},
    ]
    assert len(identities) == 2
    assert all(re.fullmatch("[0-9a-f]{16}", one) for one in identities)


def test_everything_known_of_one_member_is_told(agent_of: AgentOf) -> None:
    alpha, beta = pair(agent_of)

    info = asked(beta, "info", "alpha")
    text = told(beta, "info", "alpha")

    assert info["implementation"] == "wesher"
    assert info["allowed_ips"] == [f"{alpha.overlay_address}/32"]
    assert info["overlay_network"] == "10.0.0.0/8"
    assert "yes" in next(line for line in text.splitlines() if line.startswith("peer"))


def test_who_is_asked_about_must_be_a_member(agent_of: AgentOf) -> None:
    alpha, _ = pair(agent_of)

    unknown = typed(alpha, "info", "betta")
    ourselves = typed(alpha, "info", "alpha")

    assert unknown.returncode == FAILED
    assert unknown.stderr == "wesher: no member is named 'betta'; did you mean beta?\n"
    assert ourselves.returncode == FAILED
    assert "alpha is this node itself" in ourselves.stderr


def test_a_ping_tells_gossip_from_the_overlay_which_a_fake_host_lacks(
    agent_of: AgentOf,
) -> None:
    alpha, beta = pair(agent_of)

    done = typed(alpha, "ping", "beta", "--json")
    text = typed(alpha, "ping", "beta").stdout

    result = json.loads(done.stdout)
    assert done.returncode == FAILED
    assert result["gossip_udp"] > 0
    assert result["gossip_tcp"] > 0
    assert result["overlay"]["address"] == beta.overlay_address
    assert result["overlay"]["seconds"] is None
    assert "the overlay is broken" in text


def test_a_ping_says_that_nothing_listens_where_the_agent_is_gone(
    agent_of: AgentOf,
) -> None:
    alpha, beta = pair(agent_of)
    beta.kill()

    done = typed(alpha, "ping", "beta")
    result = json.loads(typed(alpha, "ping", "beta", "--json").stdout)

    address = f"{beta.host.address}:7946"
    assert done.returncode == FAILED
    assert f"gossip by TCP  refused by {address}\n" in done.stdout
    assert done.stdout.endswith(f"nothing listens at {address}: is wesher running there?\n")
    assert result["refused"] is True


def test_the_agent_contacts_addresses_for_the_doctor(agent_of: AgentOf) -> None:
    alpha, beta = pair(agent_of)
    live, silent = f"{alpha.host.address}:7946", f"{alpha.host.address}:1"

    told = ask(beta.host.run, beta.interface, "contact", addresses=[live, silent])

    assert told == [
        {"address": live, "udp": "answer", "tcp": "answer"},
        {"address": silent, "udp": "silence", "tcp": "refused"},
    ]


def test_the_agent_contacts_members_by_their_names(agent_of: AgentOf) -> None:
    alpha, beta = pair(agent_of)
    live = f"{alpha.host.address}:7946"

    told = ask(
        beta.host.run,
        beta.interface,
        "contact",
        addresses=[live] * 3,
        names=["alpha", "gamma", ""],
    )

    assert told == [
        {"address": live, "udp": "answer", "tcp": "answer"},
        {"address": live, "udp": "other-name", "tcp": "other-name"},
        {"address": live, "udp": "answer", "tcp": "answer"},
    ]


@pytest.mark.parametrize("names", [[], ["a", "b"], [1], "a", ["a" * 256], {"a": 1}])
def test_names_that_fit_no_addresses_are_refused(agent: Agent, names: object) -> None:
    agent.start()
    wait_for(agent.is_up, "the agent")

    with pytest.raises(AgentError, match="needs a name, perhaps empty, for each address"):
        ask(agent.host.run, agent.interface, "contact", addresses=["127.0.0.1:1"], names=names)


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [
        (None, "a list of 128 addresses at most"),
        (["127.0.0.1:7946"] * 129, "a list of 128 addresses at most"),
        (["node1:7946"], "'node1:7946' is no address with a port"),
        ([["127.0.0.1"]], "no address with a port"),
        (["127.0.0.1:0"], "no port from 1 to 65535"),
    ],
)
def test_what_is_no_list_of_addresses_is_not_contacted(
    agent: Agent, addresses: list[str | list[str]] | None, reason: str
) -> None:
    agent.start()
    wait_for(agent.is_up, "the agent")

    with pytest.raises(AgentError, match=reason):
        ask(agent.host.run, agent.interface, "contact", addresses=addresses)


@pytest.mark.parametrize(
    "command",
    [
        "status",
        "members",
        "info beta",
        "ping beta",
        "key show --force",
        "export --with-private-key",
        "metrics",
        "reload",
    ],
)
def test_a_command_that_is_answered_imports_neither_crypto_nor_gossip(
    agent_of: AgentOf, command: str
) -> None:
    alpha, _ = pair(agent_of)
    argv = [sys.executable, "-c", LOADED, ",".join(HEAVY), *command.split()]

    done = subprocess.run(
        [*argv, f"--run-dir={alpha.host.run}"],
        env=alpha.host.tools.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    *_, last = done.stdout.splitlines()
    assert last.startswith("loaded [] "), done


def test_a_failed_member_is_forgotten(agent_of: AgentOf) -> None:
    alpha, _ = failed_pair(agent_of)

    output = told(alpha, "forget", "beta")

    assert output == "beta is forgotten\n"
    wait_for(alpha.knows, "beta's peer and /etc/hosts entry are gone")
    assert state_of(alpha, "beta") != "failed"


@pytest.mark.parametrize(("name", "reason"), [("beta", "is alive"), ("gamma", "no failed member")])
def test_whoever_is_alive_or_unknown_is_not_forgotten(
    agent_of: AgentOf, name: str, reason: str
) -> None:
    alpha, _ = pair(agent_of)

    done = typed(alpha, "forget", name)

    assert done.returncode == FAILED
    assert reason in done.stderr
    assert state_of(alpha, "beta") == "alive"


def test_the_key_is_shown_to_a_terminal_and_elsewhere_by_force_only(agent: Agent) -> None:
    key = new_key()
    agent.start(f"--cluster-key={key}")
    wait_for(agent.is_up, "the agent is up")

    refused = typed(agent, "key", "show")
    forced = told(agent, "key", "show", "--force")
    screen, terminal = pty.openpty()
    argv = argv_of(agent, "key", "show")
    subprocess.run(argv, env=agent.host.tools.env, stdout=terminal, timeout=30, check=True)
    os.close(terminal)
    shown = os.read(screen, 1000).decode()
    os.close(screen)

    assert (refused.returncode, refused.stdout) == (FAILED, "")
    assert "use --force" in refused.stderr
    assert forced == f"{key}\n"
    assert shown.strip() == key


def test_the_interface_is_exported_for_wg_quick(agent_of: AgentOf) -> None:
    alpha, beta = pair(agent_of)

    text = told(alpha, "export", "--format=wg")
    with_key = told(alpha, "export", "--with-private-key")
    document = json.loads(told(alpha, "export", "--format=json"))

    private_key = alpha.host.tools.dump()[0][0]
    public_key = beta.host.tools.dump()[0][1]
    assert f"Address = {alpha.overlay_address}/32" in text.splitlines()
    assert f"PublicKey = {public_key}" in text.splitlines()
    assert f"AllowedIPs = {beta.overlay_address}/32" in text.splitlines()
    assert f"Endpoint = {beta.host.address}:51820" in text.splitlines()
    assert private_key not in text + json.dumps(document)
    assert f"PrivateKey = {private_key}" in with_key.splitlines()
    assert [member["name"] for member in document["members"]] == ["beta"]
