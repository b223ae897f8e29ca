"""Fixtures of the integration layer; what a failed test's agents printed is in its report."""

import itertools
import os
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.testbed.agents import NAME, Agent, AgentOf, Host
from tests.testbed.networks import own_network

_AGENTS = pytest.StashKey[list[Agent]]()
_hosts = itertools.count(2)


@pytest.fixture(scope="package", autouse=True)
def _own_network() -> Iterator[None]:
    with own_network():
        yield


@pytest.fixture(scope="package", autouse=True)
def _hangups_reach_agents() -> Iterator[None]:
    """Let agents not inherit that we ignore hangups, as everything does that runs under nohup."""
    before = signal.getsignal(signal.SIGHUP)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def host_of(tmp_path: Path) -> Callable[[str], Host]:
    """Make fake hosts, each with a loopback address that no other test uses at the moment."""

    def make(name: str) -> Host:
        number = next(_hosts)
        process = os.getpid()
        address = f"127.{1 + process // 256 % 250}.{process % 256}.{number % 250 + 2}"
        return Host(tmp_path / f"{name}-{number}", address)

    return make


@pytest.fixture
def agent_of(request: pytest.FixtureRequest, host_of: Callable[[str], Host]) -> Iterator[AgentOf]:
    """Make agents, none of them started yet, on hosts of their own unless told one."""
    agents: list[Agent] = request.node.stash.setdefault(_AGENTS, [])

    def make(name: str, host: Host | None = None, interface: str = NAME) -> Agent:
        agents.append(Agent(host or host_of(name), name, interface))
        return agents[-1]

    yield make
    for agent in agents:
        agent.kill()


@pytest.fixture
def agent(agent_of: AgentOf) -> Agent:
    """One agent, not started yet."""
    return agent_of("alpha")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and report.failed:
        for agent in item.stash.get(_AGENTS, []):
            report.sections.append((f"{agent.name} out", agent.output[-4000:]))
            report.sections.append((f"{agent.name} err", agent.errors[-4000:]))
            report.sections.append((f"{agent.name} calls", "\n".join(agent.host.tools.calls[-30:])))
    return report
