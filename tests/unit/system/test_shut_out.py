"""Sources that the kernel keeps from a listening socket: these and no others, for their time."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address

import pytest

from wesher.system.shut_out import MAX_SOURCES, SECONDS, ShutOut, program

LOOPBACK = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6, "::": socket.AF_INET6}


@pytest.fixture
def listen() -> Iterator[list[socket.socket]]:
    made: list[socket.socket] = []
    yield made
    for one in made:
        one.close()


def listening(at: str, made: list[socket.socket]) -> socket.socket:
    made.append(socket.socket(LOOPBACK[at]))
    if at == "::":
        made[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    made[-1].bind((at, 0))
    made[-1].listen()
    return made[-1]


def comes_in(source: str, to: socket.socket) -> bool:
    """Tell whether a stream from this address is accepted."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with socket.socket(family) as one:
        one.settimeout(0.2)
        one.bind((source, 0))
        with suppress(TimeoutError):
            one.connect(("::1" if ":" in source else "127.0.0.1", to.getsockname()[1]))
            return True
    return False


def test_it_is_out_until_its_time_is_over(listen: list[socket.socket]) -> None:
    door, out = listening("127.0.0.1", listen), ShutOut()

    assert out.add("127.0.0.5", door, 100.0)
    assert out.add("127.0.0.6", door, 110.0)
    assert not comes_in("127.0.0.5", door)
    assert not comes_in("127.0.0.6", door)
    assert comes_in("127.0.0.7", door)

    assert out.expire(door, 100.0 + SECONDS - 1) == 100.0 + SECONDS
    assert not comes_in("127.0.0.5", door)
    assert out.expire(door, 100.0 + SECONDS) == 110.0 + SECONDS
    assert comes_in("127.0.0.5", door)
    assert not comes_in("127.0.0.6", door)
    assert out.expire(door, 110.0 + SECONDS) is None
    assert comes_in("127.0.0.6", door)


def test_who_comes_again_stays_longer(listen: list[socket.socket]) -> None:
    door, out = listening("127.0.0.1", listen), ShutOut()
    out.add("127.0.0.5", door, 100.0)
    out.add("127.0.0.5", door, 120.0)

    assert out.expire(door, 100.0 + SECONDS) == 120.0 + SECONDS
    assert not comes_in("127.0.0.5", door)


def test_of_ipv6_it_is_the_network_and_ipv4_beside_it_is_told_apart(
    listen: list[socket.socket],
) -> None:
    door, out = listening("::", listen), ShutOut()
    assert comes_in("::1", door)

    assert out.add("::2", door, 0.0), "of the same /64"
    assert not comes_in("::1", door)
    assert comes_in("127.0.0.1", door)
    assert out.add("127.0.0.1", door, 1.0)
    assert not comes_in("127.0.0.1", door)
    assert comes_in("127.0.0.2", door)
    out.expire(door, SECONDS)
    assert comes_in("::1", door)
    assert not comes_in("127.0.0.1", door)


def test_streams_that_are_open_stay_open(listen: list[socket.socket]) -> None:
    door, out = listening("127.0.0.1", listen), ShutOut()
    with socket.create_connection(door.getsockname(), 1, ("127.0.0.5", 0)) as theirs:
        ours, _ = door.accept()
        out.add("127.0.0.5", door, 0.0)
        theirs.sendall(b"still here")
        with ours:
            assert ours.recv(100) == b"still here"


def test_the_first_give_way_to_the_last(listen: list[socket.socket]) -> None:
    door, out = listening("127.0.0.1", listen), ShutOut()
    for number in range(1, MAX_SOURCES + 2):
        assert out.add(f"127.0.1.{number}", door, 0.0)

    assert comes_in("127.0.1.1", door)
    assert not comes_in("127.0.1.2", door)
    assert not comes_in(f"127.0.1.{MAX_SOURCES + 1}", door)


def test_a_socket_that_is_closed_is_said(listen: list[socket.socket]) -> None:
    door, out = listening("127.0.0.1", listen), ShutOut()
    door.close()

    assert not out.add("fe80::1%eth0", door, 0.0)
    assert out.expire(door, SECONDS) is None


def test_the_longest_program_has_no_jump_too_far() -> None:
    sources = [ip_address(number) for number in range(2**30, 2**30 + MAX_SOURCES)]
    assert all(jump < 256 for _, *jumps, _ in program(sources) for jump in jumps)
