"""Echoes through tunnels: who answers, and how soon."""

import asyncio
import os
import socket
import time
from ipaddress import ip_address
from typing import Any

import pytest

from wesher.system.echo import Echo, answered, connect_time, round_trips


@pytest.mark.skipif(os.geteuid() != 0, reason="raw sockets need root")
def test_echoes_are_answered_each_for_itself() -> None:
    here, there = ip_address("127.0.0.1"), ip_address("192.0.2.77")
    echoes = [Echo(here), Echo(here, 1420), Echo(ip_address("::1"), 1281), Echo(there)]

    heard = asyncio.run(answered(echoes, (0, 0.3), 1))

    assert {Echo(here), Echo(here, 1420)} <= heard
    assert Echo(there) not in heard


@pytest.mark.skipif(os.geteuid() != 0, reason="raw sockets need root")
def test_no_time_is_lost_once_all_are_answered() -> None:
    began = time.monotonic()

    heard = asyncio.run(answered([Echo(ip_address("127.0.0.2"))], (0, 1, 2, 3), 60))

    assert heard == {Echo(ip_address("127.0.0.2"))}
    assert time.monotonic() - began < 30


def test_nothing_to_ask_is_answered_at_once() -> None:
    assert asyncio.run(answered([], (0, 1), 60)) == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="raw sockets need root")
def test_each_answer_took_a_while() -> None:
    here = Echo(ip_address("127.0.0.1"))

    took = asyncio.run(round_trips([here], (0,), 10))

    assert 0 < took[here] < 10


def test_without_raw_sockets_those_for_pings_do_where_they_are_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The agent's unit takes the right to raw sockets away."""
    refused: list[int] = []

    class Opening(socket.socket):
        def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: Any = None):
            if type == socket.SOCK_RAW:
                refused.append(family)
                raise PermissionError
            super().__init__(family, type, proto, fileno)

    monkeypatch.setattr(socket, "socket", Opening)
    here = Echo(ip_address("127.0.0.1"))
    try:
        heard = asyncio.run(answered([here], (0, 0.3), 5))
    except PermissionError:  # neither is allowed here: then those who ask try another way
        heard = {here}

    assert heard == {here}
    assert refused == [socket.AF_INET]


def test_a_connection_is_answered_by_a_refusal_as_well() -> None:
    here = ip_address("127.0.0.1")
    with socket.socket() as listening, socket.socket() as bound:
        listening.bind((str(here), 0))
        listening.listen()
        bound.bind((str(here), 0))

        async def both() -> list[float | None]:
            ports = (listening.getsockname()[1], bound.getsockname()[1])
            return [await connect_time(here, port, 10) for port in ports]

        accepted, refused = asyncio.run(both())

    assert accepted is not None
    assert refused is not None


def test_a_connection_that_is_lost_takes_no_longer_than_we_have() -> None:
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    fillers = [socket.socket() for _ in range(3)]
    for one in fillers:
        one.setblocking(False)
        one.connect_ex(full.getsockname())
    try:
        lost = asyncio.run(connect_time(ip_address("127.0.0.1"), full.getsockname()[1], 0.2))
    finally:
        for one in (full, *fillers):
            one.close()

    assert lost is None
