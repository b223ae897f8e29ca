"""What an agent still holds when many members have come and gone."""

import base64
import os
import socket
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.testbed.agents import Agent, new_key, wait_for
from wesher.gossip import Alive, Dead, Keyring, Wire, pack_ip
from wesher.gossip.codec import encode
from wesher.mesh.base.metadata import Metadata, encode_metadata

MEMBERS = 200
GROWTH = 5_000_000  # bytes


def test_members_that_came_and_went_leave_neither_memory_nor_open_files(
    agent: Agent, udp: socket.socket
) -> None:
    key = new_key()
    agent.start(f"--cluster-key={key}")
    wait_for(agent.is_up, "the agent")
    send = sender(udp, agent, key)
    for number in range(20):
        send(join(agent, number))
        send(leave(number))
    wait_for(lambda: agent.knows() and agent.host.peers() == {}, "the first are gone")
    files, memory = open_files(agent), resident_memory(agent)

    for number in range(20, MEMBERS):
        send(join(agent, number))
    wait_for(lambda: len(agent.host.hosts_lines()) == MEMBERS - 20, "all have come")
    for number in range(20, MEMBERS):
        send(leave(number))
    wait_for(lambda: agent.knows() and agent.host.peers() == {}, "all are gone")

    print(f"grown by {(resident_memory(agent) - memory) // 1000} kB")
    assert agent.host.routes() == []
    assert open_files(agent) <= files + 2
    assert resident_memory(agent) - memory < GROWTH
    assert agent.complaints == ""


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        yield opened


def sender(udp: socket.socket, agent: Agent, key: str) -> Callable[[bytes], None]:
    """Return what sends one sealed message to the agent."""
    wire = Wire(Keyring(base64.b64decode(key)), lambda: os.urandom(12))

    def send(message: bytes) -> None:
        udp.sendto(wire.seal_packet([message], checksum=True), (agent.host.address, 7946))

    return send


def join(agent: Agent, number: int) -> bytes:
    """Announce a member at an address where nobody listens."""
    metadata = Metadata(
        overlay_addr=IPv4Address("10.200.0.1") + number,
        public_key=base64.b64encode(os.urandom(32)).decode(),
    )
    address = str(IPv4Address(agent.host.address) + 256 * 7 + number)
    return encode(
        Alive(
            1,
            f"member{number}",
            pack_ip(address),
            7946,
            encode_metadata(metadata, "current"),
            bytes([1, 5, 2, 0, 0, 0]),
        )
    )


def leave(number: int) -> bytes:
    return encode(Dead(1, f"member{number}", f"member{number}"))


def open_files(agent: Agent) -> int:
    return len(os.listdir(f"/proc/{agent.process.pid}/fd"))


def resident_memory(agent: Agent) -> int:
    pages = Path(f"/proc/{agent.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")
