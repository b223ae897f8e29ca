"""What the service manager is told."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from wesher.system.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        name = f"wesher-test-{os.getpid()}"
        listening.bind(str(tmp_path / name) if request.param == "path" else f"\0{name}")
        listening.settimeout(5)
        yield listening


def notifier(manager: socket.socket, **environ: str) -> Notifier:
    name = manager.getsockname()
    path = "@" + name[1:].decode() if isinstance(name, bytes) else name
    return Notifier({"NOTIFY_SOCKET": path, **environ})


def test_everything_is_told_as_the_service_manager_wants_it(manager: socket.socket) -> None:
    told = notifier(manager)

    told.ready()
    told.status("3 members")
    told.alive()
    told.stopping()

    assert [manager.recv(100).decode() for _ in range(4)] == [
        "READY=1",
        "STATUS=3 members",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


@pytest.mark.parametrize("path", ["", "/nowhere/at/all", "@nobody-listens-here"])
def test_nobody_to_tell_is_no_failure(path: str) -> None:
    Notifier({"NOTIFY_SOCKET": path}).ready()


def test_a_manager_that_does_not_read_holds_nobody_up(manager: socket.socket) -> None:
    told = notifier(manager)

    for _ in range(10_000):
        told.alive()

    assert manager.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_in_its_time(
    environ: dict[str, str], interval: float | None
) -> None:
    assert Notifier(environ).watchdog_interval == interval
