"""What a service manager is told by a whole agent, and what the signals it sends mean."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed.agents import PATIENCE, Agent, AgentOf, new_key

WATCHED = 2_000_000  # microseconds without a sign of life after which we would be restarted


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(PATIENCE)
        yield listening


def start(agent: Agent, manager: socket.socket, *flags: str) -> None:
    agent.start(
        *flags,
        wrapper=["env", f"NOTIFY_SOCKET={manager.getsockname()}", f"WATCHDOG_USEC={WATCHED}"],
    )


def told_until(manager: socket.socket, wanted: str) -> list[str]:
    """Read what the manager is told until it is told this."""
    told: list[str] = []
    while wanted not in told:
        told.append(manager.recv(1000).decode())
    return told


def test_a_service_is_ready_when_its_interface_is_up(agent: Agent, manager: socket.socket) -> None:
    start(agent, manager)
    told_until(manager, "READY=1")

    assert agent.host.has_interface()


def test_the_manager_hears_how_many_members_there_are(
    agent_of: AgentOf, manager: socket.socket
) -> None:
    one, other = agent_of("alpha"), agent_of("beta")
    key = f"--cluster-key={new_key()}"
    start(one, manager, key)
    told_until(manager, "STATUS=0 other members alive, 0 peers")

    other.start(key, f"--join={one.host.address}")
    told = told_until(manager, "STATUS=1 other members alive, 1 peers")

    assert "WATCHDOG=1" in told


def test_a_stopped_event_loop_feeds_no_watchdog(agent: Agent, manager: socket.socket) -> None:
    start(agent, manager)
    told_until(manager, "WATCHDOG=1")

    agent.tell(signal.SIGSTOP)
    os.waitid(os.P_PID, agent.process.pid, os.WSTOPPED)
    manager.settimeout(WATCHED / 1e6)
    with pytest.raises(TimeoutError):
        told_until(manager, "no such thing")

    agent.tell(signal.SIGCONT)
    manager.settimeout(PATIENCE)
    assert told_until(manager, "WATCHDOG=1")


@pytest.mark.parametrize(
    ("number", "stays"), [(signal.SIGTERM, False), (signal.SIGUSR1, True)], ids=["stop", "restart"]
)
def test_a_stop_takes_everything_down_and_a_restart_leaves_it(
    agent: Agent, manager: socket.socket, number: signal.Signals, stays: bool
) -> None:
    start(agent, manager)
    told_until(manager, "READY=1")

    code = agent.stop(number)

    assert code == 0
    assert told_until(manager, "STOPPING=1")
    assert agent.host.has_interface() is stays


def test_a_wrong_option_ends_with_the_code_that_prevents_a_restart(
    agent: Agent, manager: socket.socket
) -> None:
    start(agent, manager, "--cluster-port=0")

    assert agent.wait() == 2
