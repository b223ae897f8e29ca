"""Whoever is at an address is pinged by UDP and TCP, and asked for the members it knows."""

import asyncio
import socket
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import pytest

from tests.unit.mesh.node_harness import Harness
from tests.unit.system.transports import opened
from wesher.base.addresses import Contact, Heard
from wesher.gossip import Ack, Address, Ping, Record
from wesher.gossip.codec import encode
from wesher.mesh.node import MeshNode
from wesher.system.gossip_client import contact, look, wire_of

T = TypeVar("T")
KEY = bytes(range(32))
ANSWER, OTHER = Heard.ANSWER, Heard.OTHER_KEY


def run(scenario: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(scenario, 60))


def node(key: bytes = KEY) -> MeshNode:
    """A node that has announced itself, with this cluster key."""
    return Harness(ring=key).start().node


def test_a_node_answers_by_udp_and_by_tcp() -> None:
    async def scenario() -> Contact:
        async with opened(node()) as host:
            return await contact(wire_of(KEY), Address(host.ip, host.port))

    assert run(scenario()) == Contact(ANSWER, ANSWER)


def test_a_node_with_another_key_is_recognised() -> None:
    async def scenario() -> Contact:
        async with opened(node(bytes(32))) as host:
            return await contact(wire_of(KEY), Address(host.ip, host.port))

    made = run(scenario())

    assert made.tcp is OTHER
    assert made.other_key


@pytest.mark.parametrize(
    ("name", "heard"), [("local", ANSWER), ("other", Heard.OTHER_NAME), ("LOCAL", Heard.OTHER_NAME)]
)
def test_only_the_member_that_is_asked_for_counts(name: str, heard: Heard) -> None:
    async def scenario() -> Contact:
        async with opened(node()) as host:
            return await contact(wire_of(KEY), Address(host.ip, host.port), name)

    assert run(scenario()) == Contact(heard, heard)


def test_an_ack_of_another_ping_is_no_answer() -> None:
    wire = wire_of(KEY)

    class Recording(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.DatagramTransport)
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            [ping] = wire.open_packet(data).messages
            assert isinstance(ping, Ping)
            ack = encode(Ack((ping.sequence + 1) % 2**32))
            self.transport.sendto(wire.seal_packet([ack], checksum=False), addr)

    async def scenario() -> Contact:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Recording, ("127.0.0.1", 0))
        try:
            return await contact(wire, Address(*transport.get_extra_info("sockname")))
        finally:
            transport.close()

    assert run(scenario()).udp is Heard.SILENCE


def test_nobody_is_silent_by_both() -> None:
    async def scenario() -> Contact:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
            mute.bind(("127.0.0.1", 0))
            return await contact(wire_of(KEY), Address(*mute.getsockname()))

    assert run(scenario()).silent == ["UDP", "TCP"]


def test_who_accepts_but_closes_is_silent() -> None:
    async def close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def scenario() -> Contact:
        server = await asyncio.start_server(close, "127.0.0.1", 0)
        async with server:
            return await contact(wire_of(KEY), Address(*server.sockets[0].getsockname()))

    assert run(scenario()).silent == ["UDP", "TCP"]


def test_a_look_tells_the_members_and_nothing_of_us() -> None:
    engine = node()

    async def scenario() -> tuple[Record, ...]:
        async with opened(engine) as host:
            return await look(wire_of(KEY), Address(host.ip, host.port))

    assert [record.name for record in run(scenario())] == ["local"]
    assert len(engine.members) == 1


def test_a_look_at_nobody_tells_nobody() -> None:
    assert run(look(wire_of(KEY), Address("127.0.0.1", 1))) == ()


def test_an_answer_too_long_for_an_ack_is_not_read() -> None:
    promised = 16 << 20
    written: list[int] = []

    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes([10]) + promised.to_bytes(4, "big"))
        with suppress(ConnectionError):
            while len(written) < promised >> 16:
                writer.write(bytes(1 << 16))
                await writer.drain()
                written.append(1 << 16)
        writer.transport.abort()

    async def scenario() -> Contact:
        server = await asyncio.start_server(flood, "127.0.0.1", 0)
        async with server:
            made = await contact(wire_of(KEY), Address(*server.sockets[0].getsockname()))
        await asyncio.sleep(0.01)  # asyncio closes sockets a turn later
        return made

    assert run(scenario()).tcp is Heard.SILENCE
    assert sum(written) < promised
