"""Commands as an operator types them on the host of an agent."""

import json
import subprocess
from collections.abc import Callable
from typing import IO, Any

from tests.testbed.agents import WESHER, Agent, new_key, wait_until_met


def typed(
    agent: Agent, *words: str, stdout: int | IO[bytes] = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; the first word names it."""
    return subprocess.run(
        argv_of(agent, *words),
        env=agent.host.tools.env,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


def argv_of(agent: Agent, *words: str) -> list[str]:
    """Return what to run for a command about the agents of this host."""
    return [*WESHER, words[0], f"--run-dir={agent.host.run}", *words[1:]]


def told(agent: Agent, *words: str) -> str:
    """Run a command that must work; return what it printed."""
    done = typed(agent, *words)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def asked(agent: Agent, *words: str) -> Any:
    """Run a command that must work; return the JSON it printed."""
    return json.loads(told(agent, *words, "--json"))


def pair(agent_of: Callable[..., Agent], *flags: str) -> list[Agent]:
    """Start two agents of one cluster, alpha and beta, that know each other."""
    agents = [agent_of(name) for name in ("alpha", "beta")]
    key = f"--cluster-key={new_key()}"
    agents[0].start(key, *flags)
    agents[1].start(key, f"--join={agents[0].host.address}", *flags)
    wait_until_met(*agents)
    return agents
