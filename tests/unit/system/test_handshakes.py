"""New peers get a packet each, in an order on which both sides agree."""

import asyncio
import socket
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from wesher.system import wireguard
from wesher.system.wireguard import MOST_GREETED, greet, greet_at_once

IP_PKTINFO = 8  # <linux/in.h>; Python has no name for it
PATIENCE = 30  # seconds


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A socket where greetings to any loopback address arrive, with the address they were for."""
    monkeypatch.setattr(wireguard, "GREET_FIRST", 0.01)
    monkeypatch.setattr(wireguard, "GREET_SECOND", 0.02)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        listening.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        listening.bind(("", 0))
        listening.settimeout(PATIENCE)
        monkeypatch.setattr(wireguard, "DISCARD", listening.getsockname()[1])
        yield listening


def greeted(listener: socket.socket) -> tuple[str, bytes]:
    """Whom the next greeting was for, and what it said."""
    data, [(_, _, info)], _, _ = listener.recvmsg(100, 100)
    return str(ip_address(info[-4:])), data


def greet_all(interface: str, public_key: str, peers: dict[str, str]) -> None:
    """Greet, and let the time pass that it takes."""

    async def main() -> None:
        greet(interface, public_key, {key: ip_address(ip) for key, ip in peers.items()})
        await asyncio.sleep(
            wireguard.GREET_SECOND + len(peers) / wireguard.BATCH * wireguard.PAUSE + 0.01
        )

    asyncio.run(main())


def test_who_has_the_larger_key_is_greeted_first(listener: socket.socket) -> None:
    greet_all("lo", "m", {"a": "127.0.0.2", "z": "127.0.0.3", "b": "127.0.0.4"})

    heard = [greeted(listener) for _ in range(3)]

    assert heard == [("127.0.0.3", b""), ("127.0.0.2", b""), ("127.0.0.4", b"")]


def test_who_was_renewed_is_greeted_at_once(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wireguard, "GREET_FIRST", PATIENCE)

    async def main() -> None:
        greet_at_once("lo", [ip_address("127.0.0.2"), ip_address("127.0.0.3")])
        await asyncio.sleep(0.05)

    asyncio.run(main())

    assert [greeted(listener) for _ in range(2)] == [("127.0.0.2", b""), ("127.0.0.3", b"")]


def test_nothing_leaves_by_another_interface(listener: socket.socket) -> None:
    greet_all("nowhere", "m", {"z": "127.0.0.2"})
    greet_all("lo", "m", {"z": "127.0.0.3"})

    assert greeted(listener) == ("127.0.0.3", b"")


def test_who_cannot_be_reached_keeps_nobody_else_from_being_greeted(
    listener: socket.socket,
) -> None:
    greet_all("lo", "m", {"x": "255.255.255.255", "z": "127.0.0.2"})

    assert greeted(listener) == ("127.0.0.2", b"")


def test_of_a_crowd_some_are_greeted_a_few_at_a_time(listener: socket.socket) -> None:
    many = range(MOST_GREETED + 50)
    crowd = {f"z{number}": str(ip_address("127.0.1.0") + number) for number in many}

    greet_all("lo", "m", crowd)
    greet_all("lo", "m", {"z": "127.0.0.3"})
    heard = [greeted(listener)[0] for _ in range(MOST_GREETED + 1)]

    assert heard == [*list(crowd.values())[:MOST_GREETED], "127.0.0.3"]
