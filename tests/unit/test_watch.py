"""What others change on the host wakes the reconciler, and little else does."""

import asyncio
from pathlib import Path

import pytest

from wesher import watch
from wesher.system.hosts import HostsFile
from wesher.watch import Watch, relevant_lines


# As iproute2 6.1 printed them, shortened.
@pytest.mark.parametrize(
    "line",
    [
        "3: wgoverlay: <POINTOPOINT,NOARP> mtu 1420 qdisc noqueue state DOWN group 0",
        "Deleted 3: wgoverlay: <POINTOPOINT,NOARP> mtu 1420",
        "3: eth0    inet6 fd00::2/64 scope 0",
        "Deleted 3: eth0    inet 192.0.2.1/24 scope 0",
        "default via 192.168.1.1 dev eth0 ",
        "Deleted default via fd00::1 dev eth0 metric 1024 pref medium",
        "Deleted 10.99.0.5 dev wgoverlay proto 87 scope 253 ",
        "20.1.0.0/24 via 192.168.1.1 dev eth0 \nDeleted 10.99.0.5 dev wgoverlay proto 87 ",
        "netlink receive error No buffer space available (105)",
    ],
)
def test_a_line_that_may_concern_us_is_found(line: str):
    assert relevant_lines("wgoverlay").search(f"{line}\n")


@pytest.mark.parametrize(
    "line",
    [
        "20.1.0.0/24 via 192.168.1.1 dev eth0 proto 12",
        "Deleted 20.1.0.0/24 via 192.168.1.1 dev eth0 proto 12 ",
        "10.99.0.5 dev wgoverlay proto 87 scope 253 ",
        "Deleted 10.99.0.5 dev wgoverlay2 proto 87 scope 253 ",
        "2 fd00::2 dev eth0 table 255 proto 2 metric 0 pref medium",
    ],
)
def test_routes_of_others_and_our_own_new_ones_are_passed_over(line: str):
    assert not relevant_lines("wgoverlay").search(f"{line}\n")


async def _woken(hosts: HostsFile | None, change) -> int:
    """Return how often `change` woke, after it did so once."""
    woken = asyncio.Event()
    times = 0

    def wake() -> None:
        nonlocal times
        times += 1
        woken.set()

    task = asyncio.create_task(Watch("wgoverlay", hosts, wake).run())
    try:
        await asyncio.sleep(0)
        change()
        async with asyncio.timeout(30):
            await woken.wait()
    finally:
        task.cancel()
        await asyncio.wait([task])
    return times


async def _silence(*_argv: str):
    await asyncio.Event().wait()
    yield ""


def test_a_burst_of_changes_wakes_once(monkeypatch: pytest.MonkeyPatch):
    async def burst(*_argv: str):
        for _ in range(1000):
            yield "3: eth0    inet 192.0.2.1/24 scope 0\n"
        await asyncio.Event().wait()

    monkeypatch.setattr(watch, "follow", burst)

    assert asyncio.run(_woken(None, lambda: None)) == 1


def test_a_hosts_file_that_somebody_else_wrote_wakes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(watch, "follow", _silence)
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n")
    hosts = HostsFile(path, "wgoverlay", tmp_path / "run")
    hosts.update(())
    assert not hosts.touched()

    assert asyncio.run(_woken(hosts, lambda: path.write_text("127.0.0.1 other\n"))) >= 1
    hosts.update(())
    assert not hosts.touched()


def test_a_monitor_that_ends_is_started_again(monkeypatch: pytest.MonkeyPatch):
    started = 0

    async def short_lived(*_argv: str):
        nonlocal started
        started += 1
        if started == 3:
            yield "default via 192.168.1.1 dev eth0 \n"

    monkeypatch.setattr(watch, "follow", short_lived)
    monkeypatch.setattr(watch, "RETRY_FIRST", 0.01)

    assert asyncio.run(_woken(None, lambda: None)) == 1
    assert started >= 3
