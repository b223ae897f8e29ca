"""The socket itself: whose it is, what is left of it, and clients that mean no good."""

import json
import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.testbed.agents import NAME, Agent, AgentOf, Host, wait_for
from tests.testbed.asking import asked, told, typed
from wesher.system.control_client import short_name
from wesher.system.control_server import BACKLOG, MAX_CLIENTS, MAX_REQUEST, PATIENCE

FAILED, WRONG, NO_AGENT = 1, 2, 3


@pytest.fixture
def one(agent: Agent) -> Agent:
    """An agent that is up, alone."""
    agent.start()
    wait_for(agent.is_up, "the agent is up")
    return agent


@pytest.fixture
def connect(one: Agent) -> Iterator[Callable[[], socket.socket]]:
    """Make clients of the agent's socket, closed when the test ends."""
    clients: list[socket.socket] = []

    def make() -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        clients.append(client)
        client.settimeout(15)
        with short_name(socket_of(one)) as name:
            client.connect(name)
        return client

    yield make
    for client in clients:
        client.close()


def socket_of(agent: Agent) -> Path:
    return agent.host.run / f"{agent.interface}.sock"


def answer_to(client: socket.socket, request: bytes) -> dict[str, object]:
    """Send bytes, whether they are taken or not, and read the one reply."""
    with suppress(OSError):
        client.sendall(request)
    reply = b""
    with suppress(ConnectionError):
        while chunk := client.recv(65536):
            reply += chunk
    told: dict[str, object] = json.loads(reply)
    return told


def request(command: str, **arguments: object) -> bytes:
    return json.dumps({"version": 1, "command": command, **arguments}).encode() + b"\n"


# Which agent


def test_without_an_agent_a_command_says_so(agent: Agent) -> None:
    nowhere = typed(agent, "status")
    named = typed(agent, "status", "--interface=wg7")

    assert nowhere.returncode == named.returncode == NO_AGENT
    assert "no agent runs" in nowhere.stderr
    assert "no agent runs on interface wg7" in named.stderr


def test_the_socket_is_root_s_and_goes_with_the_agent(one: Agent) -> None:
    path = socket_of(one)
    mode = path.stat().st_mode

    one.stop()

    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    assert not path.exists()


def test_the_socket_of_a_dead_agent_is_no_agent_and_is_replaced(one: Agent) -> None:
    one.process.kill()
    one.process.wait()
    before = typed(one, "status")

    one.start()
    wait_for(lambda: typed(one, "status").returncode == 0, "the next agent answers")

    assert before.returncode == NO_AGENT
    assert asked(one, "status")["node"]["pid"] == one.process.pid


def test_of_several_agents_one_must_be_chosen(
    agent_of: AgentOf, host_of: Callable[[str], Host]
) -> None:
    host: Host = host_of("shared")
    first = agent_of("alpha", host)
    second = agent_of("beta", host, "wg7")
    first.start()
    second.start("--cluster-port=7947", "--wireguard-port=51821", "--overlay-net=172.30.0.0/16")
    for agent in (first, second):
        wait_for(agent.is_up, f"{agent.name} is up")

    unclear = typed(first, "status")

    assert unclear.returncode == WRONG
    assert f"choose one with --interface: wg7, {NAME}" in unclear.stderr
    assert asked(first, "status", "--interface=wg7")["node"]["name"] == "beta"
    second.process.kill()
    second.process.wait()
    assert asked(first, "status")["node"]["name"] == "alpha"


def test_a_stopped_agent_is_told_from_a_missing_one(one: Agent) -> None:
    one.tell(signal.SIGSTOP)
    try:
        done = typed(one, "status")
    finally:
        one.tell(signal.SIGCONT)

    assert done.returncode == FAILED
    assert f"(pid {one.process.pid}) is stopped by a signal" in done.stderr
    assert f"`kill -CONT {one.process.pid}`" in done.stderr


def test_a_reader_that_has_enough_is_no_error(one: Agent) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    with os.fdopen(writing, "wb") as closed:
        done = typed(one, "status", stdout=closed)

    assert done.stderr == ""


def test_a_full_disk_is_named_as_such(one: Agent) -> None:
    with open("/dev/full", "wb") as full:
        done = typed(one, "status", stdout=full)

    assert done.returncode == FAILED
    assert done.stderr == "wesher: cannot write to standard output: No space left on device\n"


# Clients that mean no good


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", "not JSON"),
        (b"[" * 60000 + b"\n", "not JSON"),
        (b"\xff\xfe\n", "not JSON"),
        (b"[]\n", "no JSON object with a command"),
        (b'{"version": 1, "command": 7}\n', "no JSON object with a command"),
        (b'{"version": 2, "command": "status"}\n', "version 1"),
        (request("dance"), "knows no command 'dance'"),
        (request("info"), "lacks the name"),
        (request("info", name=["x"]), "lacks the name"),
        (b"x" * (2 * MAX_REQUEST), f"longer than {MAX_REQUEST} bytes"),
        (b'{"version": 1', f"no request within {PATIENCE:g} s"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_no_request_is_refused_with_a_reason(
    connect: Callable[[], socket.socket], sent: bytes, reason: str
) -> None:
    answer = answer_to(connect(), sent)

    assert answer["ok"] is False
    assert reason in str(answer["error"])


def test_who_hangs_up_early_does_no_harm(one: Agent, connect: Callable[[], socket.socket]) -> None:
    for sent in (b"", b'{"version"', request("status"), request("monitor")):
        client = connect()
        client.sendall(sent)
        client.close()

    assert asked(one, "status")["node"]["name"] == "alpha"


def test_a_crowd_that_asks_nothing_is_turned_away_and_others_are_served(
    one: Agent, connect: Callable[[], socket.socket]
) -> None:
    for _ in range(MAX_CLIENTS + BACKLOG // 2):
        connect()

    assert told(one, "members") == f"{one.name} {one.overlay_address} alive\n"
