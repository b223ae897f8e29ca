"""What a running agent answers, asked by the commands as an operator types them."""

import json
import subprocess
from collections.abc import Callable

from tests.integration.agents import WESHER, Agent, new_key, wait_until_met


def typed(agent: Agent, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the agent's host."""
    argv = [*WESHER, words[0], f"--run-dir={agent.host.run}", *words[1:]]
    return subprocess.run(
        argv, env=agent.host.tools.env, capture_output=True, text=True, timeout=30, check=False
    )


def asked(agent: Agent, *words: str) -> dict:
    """Run a command that must work; return the JSON it printed."""
    done = typed(agent, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def pair(agent_of: Callable[..., Agent], *flags: str) -> list[Agent]:
    """Start two agents of one cluster that know each other."""
    agents = [agent_of(name) for name in ("alpha", "beta")]
    key = f"--cluster-key={new_key()}"
    agents[0].start(key, *flags)
    agents[1].start(key, f"--join={agents[0].host.address}", *flags)
    wait_until_met(*agents)
    return agents


def test_the_status_tells_of_this_node_and_of_the_others(agent_of: Callable[..., Agent]):
    alpha, beta = pair(agent_of)

    status = asked(beta, "status")
    text = typed(beta, "status").stdout

    assert status["node"]["name"] == "beta"
    assert status["node"]["overlay_address"] == beta.overlay_address
    assert [seed["seed"] for seed in status["seeds"]] == [f"{alpha.host.address}:7946"]
    [member] = status["members"]
    assert member["name"] == "alpha"
    assert member["state"] == "alive"
    assert member["overlay_address"] == alpha.overlay_address
    assert member["peer"]
    assert "alpha" in text
