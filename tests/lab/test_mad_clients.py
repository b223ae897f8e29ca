"""A thousand clients of the control socket that mean no good, while the mesh goes on."""

import json
import os
import random
import socket
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.lab.daemons import WESHER, Daemon, MeshOf, RecordSeconds
from tests.testbed.lab.netns import wait_for
from tests.testbed.lab.traffic import Flow

CLIENTS = 1000
AT_ONCE = 100
HUGE = 64 << 20  # bytes
PATIENCE = 60.0  # seconds that a client holds on to its connection
REQUEST = b'{"version": 1, "command": "status"}\n'

Behaviour = Callable[[socket.socket], None]


def send_garbage(client: socket.socket) -> None:
    client.sendall(os.urandom(1000) + b"\n")
    read_to_the_end(client)


def send_half_a_request(client: socket.socket) -> None:
    client.sendall(REQUEST[:20])
    read_to_the_end(client)


def never_read(client: socket.socket) -> None:
    client.sendall(REQUEST)
    time.sleep(3)


def send_far_too_much(client: socket.socket) -> None:
    chunk = b"x" * (1 << 20)
    for _ in range(HUGE // len(chunk)):
        client.sendall(chunk)
    read_to_the_end(client)


def follow_and_never_read(client: socket.socket) -> None:
    client.sendall(REQUEST.replace(b"status", b"monitor"))
    time.sleep(3)


BEHAVIOURS: list[Behaviour] = [
    send_garbage,
    send_half_a_request,
    never_read,
    send_far_too_much,
    follow_and_never_read,
]


def read_to_the_end(client: socket.socket) -> None:
    while client.recv(65536):
        pass


def behave(path: Path, behaviour: Behaviour) -> str:
    """Be one client; returns how it ended."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        try:
            client.connect(str(path))
            behaviour(client)
        except TimeoutError:
            return "hung"
        except OSError:
            return "was hung up on"
    return "ended"


def status(daemon: Daemon) -> dict[str, Any] | None:
    """Return what an operator sees meanwhile, None while the agent is too busy."""
    output = daemon.host.run(*WESHER, "status", "--json", check=False, timeout=60)
    told: dict[str, Any] | None = json.loads(output) if output else None
    return told


def state_of(daemon: Daemon, *, seen_by: Daemon) -> str | None:
    told = status(seen_by)
    members = told["members"] if told else []
    return next((one["state"] for one in members if one["name"] == daemon.host.name), None)


@pytest.mark.timeout(300)
def test_a_thousand_mad_clients_disturb_neither_gossip_nor_reconciles(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(3)
    victim, peer, newcomer = mesh.daemons
    for daemon in (victim, peer):
        mesh.start_one(daemon)
    mesh.wait_until_complete(30, [victim, peer])
    path = victim.host.path("/run/wesher/wgoverlay.sock")
    behaviours = BEHAVIOURS * (CLIENTS // len(BEHAVIOURS))
    random.Random(1).shuffle(behaviours)
    memory = victim.process.resident_mb()
    slowest = 0.0

    started = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as crowd, Flow(peer, victim) as flow:
        clients = [crowd.submit(behave, path, one) for one in behaviours]
        mesh.start_one(newcomer)
        mesh.wait_until_complete(60)
        while not all(client.done() for client in clients):
            answers = wait_for(lambda: len(mesh.look(victim)) == 3, 30, "an answer by gossip")
            slowest = max(slowest, answers)
            time.sleep(0.1)
        took = time.monotonic() - started
        wait_for(lambda: status(victim), 60, "an operator to be answered")

    grown = victim.process.resident_mb() - memory
    ends = Counter(client.result() for client in clients)
    lost = len(flow.lost())
    story = f"{dict(ends)}, memory grew by {grown:.1f} MB, {lost} of {flow.sent} packets lost"
    record_seconds(f"1,000 mad clients: {story}", took, 200)
    record_seconds("the slowest answer by gossip meanwhile", slowest, 20)
    assert ends["hung"] == 0
    assert lost <= flow.sent // 20
    assert grown < 30
    assert len(victim.log().splitlines()) < 10, victim.log()
    wait_for(lambda: state_of(victim, seen_by=peer) == "alive", 60, "the victim to be alive")
