"""The driver of an engine: its packets, its timer, the port it listens on."""

import asyncio
import errno
import os
import re
import socket
from ipaddress import ip_address

import pytest

from tests.unit.system.transports import (
    LOOPBACK,
    ask_for,
    frame,
    free_port,
    gone,
    open_now,
    opened,
    run,
    stranger,
    until,
)
from wesher.base.errors import StartError
from wesher.gossip import Address, Packet
from wesher.system import sockets
from wesher.system import transport as module
from wesher.system.sockets import bind, check_port_free

# Packets


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
def test_packets_come_and_go_through_the_bound_port(ip: str) -> None:
    async def scenario() -> None:
        async with opened(ip=ip_address(ip)) as a, opened(ip=ip_address(ip)) as b:
            a.engine.packets.append(Packet(b"hello", Address(ip, b.port)))
            a.transport.flush()

            assert await b.heard(1) == [("packet", b"hello", ip)]

    run(scenario)


def test_a_packet_comes_from_the_port_we_listen_on() -> None:
    async def scenario() -> None:
        async with opened() as host:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.bind(("127.0.0.1", 0))
                other.settimeout(5)
                host.engine.packets.append(Packet(b"x", Address(*other.getsockname())))
                host.transport.flush()

                assert other.recvfrom(100) == (b"x", ("127.0.0.1", host.port))

    run(scenario)


def test_an_ipv4_peer_of_an_ipv6_socket_is_known_by_its_ipv4_address() -> None:
    async def scenario() -> None:
        async with opened(ip=ip_address("::")) as host:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.sendto(b"x", ("127.0.0.1", host.port))
            host.ip = "127.0.0.1"
            await host.ask(frame(b"y"))

            assert {source for *_, source in await host.heard(2)} == {"127.0.0.1"}

    run(scenario)


@pytest.mark.parametrize(
    "target", [Address("127.0.0.1", 0), Address("::1", 7946), Address("255.255.255.255", 7946)]
)
def test_a_packet_that_cannot_be_sent_harms_no_other(target: Address) -> None:
    async def scenario() -> None:
        async with opened() as host, opened() as other:
            host.engine.packets += [
                Packet(b"bad", target),
                Packet(b"good", Address("127.0.0.1", other.port)),
            ]
            host.transport.flush()

            assert await other.heard(1) == [("packet", b"good", "127.0.0.1")]
            assert host.bugs == []

    run(scenario)


def test_every_input_ends_with_a_flush() -> None:
    async def scenario() -> None:
        async with opened() as host:
            before = host.flushes
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.sendto(b"x", ("127.0.0.1", host.port))
            await host.heard(1)

            assert host.flushes == before + 1

    run(scenario)


def test_packets_that_wait_are_taken_together_but_not_too_many() -> None:
    async def scenario() -> None:
        async with opened() as host:
            before = host.flushes
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                for number in range(module.BURST + 1):
                    other.sendto(b"%d" % number, ("127.0.0.1", host.port))
            heard = await host.heard(module.BURST + 1)

            assert [int(data) for _, data, _ in heard] == list(range(module.BURST + 1))
            assert host.flushes == before + 2

    run(scenario)


# The timer


def test_the_timer_fires_once_and_not_late() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with opened() as host:
            host.engine.deadline = deadline = loop.time() + 0.05
            host.transport.flush()
            await until(lambda: host.engine.woken_at)
            await asyncio.sleep(0.1)

            (woken_at,) = host.engine.woken_at
            assert deadline - 0.002 <= woken_at < deadline + 0.5

    run(scenario)


def test_an_earlier_deadline_brings_the_timer_forward() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with opened() as host:
            host.engine.deadline = loop.time() + 60
            host.transport.flush()
            host.engine.deadline = loop.time() + 0.05
            host.transport.flush()

            await until(lambda: host.engine.woken_at)

    run(scenario)


def test_a_deadline_in_the_past_fires_at_once() -> None:
    async def scenario() -> None:
        async with opened() as host:
            host.engine.deadline = asyncio.get_running_loop().time() - 10
            host.transport.flush()

            await until(lambda: host.engine.woken_at)

    run(scenario)


# Opening and closing


def test_closing_frees_the_port_and_ends_every_stream_and_timer() -> None:
    async def scenario() -> None:
        async with opened() as host, stranger() as silent:
            reader, _ = await host.connect()
            ask_for(host, silent)
            await until(lambda: open_now(host) == 1)
            host.engine.deadline = asyncio.get_running_loop().time() + 0.1
            host.transport.flush()

            host.transport.close()
            host.transport.close()
            await asyncio.sleep(0.2)

            assert await gone(reader)
            assert host.engine.woken_at == []
            assert host.engine.heard == []
            assert host.bugs == []
            bind(LOOPBACK, host.port).close()

    run(scenario)


def test_after_closing_nothing_is_sent() -> None:
    async def scenario() -> None:
        async with opened() as host, opened() as other:
            host.transport.close()
            host.engine.packets.append(Packet(b"late", Address("127.0.0.1", other.port)))
            host.transport.flush()
            await asyncio.sleep(0.05)

            assert other.engine.heard == []

    run(scenario)


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_port_that_is_taken_is_told_and_the_other_half_given_back(
    kind: socket.SocketKind,
) -> None:
    ip = "127.0.0.200"  # a connection from 127.0.0.1, even an ended one, may hold the other half
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind((ip, 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        port = other.getsockname()[1]

        with pytest.raises(StartError, match=_taken(f"127.0.0.200:{port}", "cluster")):
            bind(ip_address(ip), port)

    bind(ip_address(ip), port).close()


def test_a_taken_port_of_wireguard_is_told_with_who_has_it() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", 0))
        port = other.getsockname()[1]

        with pytest.raises(StartError, match=_taken(f"UDP port {port}", "wireguard")):
            check_port_free(port)

    check_port_free(port)


def test_who_has_a_port_is_left_out_where_nobody_is_to_be_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As by the unit, which may not look into the processes of others."""
    monkeypatch.setattr(sockets, "_holder", lambda _: None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        with pytest.raises(StartError, match=r"is taken: "):
            check_port_free(other.getsockname()[1])


def _taken(what: str, option: str) -> str:
    return rf"^{re.escape(what)} is taken by \S+ \(pid {os.getpid()}\): .*--{option}-port$"


def test_an_address_of_no_interface_is_told() -> None:
    with pytest.raises(StartError, match=r"192\.0\.2\.1 is no address .*--bind-addr"):
        bind(ip_address("192.0.2.1"), 7946)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "not allowed to listen on 127.0.0.1:80: choose a --cluster-port above 1023"),
        (errno.ENODEV, "cannot listen on 127.0.0.1:80: No such device"),
    ],
)
def test_what_else_the_kernel_refuses_is_told(
    monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    class Refusing(socket.socket):
        def bind(self, address: object) -> None:
            raise OSError(number, "No such device")

    monkeypatch.setattr(socket, "socket", Refusing)

    with pytest.raises(StartError, match=words):
        bind(LOOPBACK, 80)


def test_sockets_bound_but_never_opened_can_be_closed_twice() -> None:
    sockets = bind(LOOPBACK, free_port(LOOPBACK))

    sockets.close()
    sockets.close()

    assert sockets.udp.fileno() == sockets.tcp.fileno() == -1


# Counting


def test_packets_and_streams_are_counted_with_their_bytes_on_both_sides() -> None:
    async def scenario() -> None:
        async with opened() as a, opened() as b:
            a.engine.packets.append(Packet(b"hello", Address(b.ip, b.port)))
            ask_for(a, Address(b.ip, b.port))
            await b.heard(2)
            await a.heard(1)

            sent, received = a.transport.traffic, b.transport.traffic
            asked, answered = len(frame(b"request")), len(frame(b"reply"))
            assert (sent.packets_sent, sent.packet_bytes_sent) == (1, 5)
            assert (received.packets_received, received.packet_bytes_received) == (1, 5)
            assert (sent.streams_opened, received.streams_accepted) == (1, 1)
            assert (sent.stream_bytes_sent, received.stream_bytes_received) == (asked, asked)
            assert (received.stream_bytes_sent, sent.stream_bytes_received) == (answered, answered)

    run(scenario)
