"""What others change on the host wakes the reconciler, and little else does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from wesher.agent import watch
from wesher.agent.watch import Watch, lines_of_others, lines_of_ours, relevant_lines
from wesher.system.hosts import HostsFile
from wesher.system.network import KnownRoutes


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
def test_a_line_that_may_concern_us_is_found(line: str) -> None:
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
def test_routes_of_others_and_our_own_new_ones_are_passed_over(line: str) -> None:
    assert not relevant_lines("wgoverlay").search(f"{line}\n")


@pytest.mark.parametrize(
    "line",
    [
        "3: eth0: <BROADCAST,MULTICAST> mtu 1500 qdisc noqueue state DOWN group 0",
        "Deleted 3: wgoverlay    inet 10.99.0.1/32 scope 0",
        "default via 192.168.1.1 dev eth0 ",
        "Deleted 20.1.0.0/24 via 192.168.1.1 dev eth0 proto 12 ",
        "10.99.50.0/24 proto 3 scope 0 \\\tnexthop via 192.168.1.1 dev eth0 weight 1",
        "blackhole 10.99.50.0/24 proto 80 ",
        "10.99.0.5 dev wgoverlay proto 87 scope 253 \nfd99:1::/48 via fe80::1 dev eth0 proto 9 ",
        "netlink receive error No buffer space available (105)",
        "192.168.7.0/24 dev wgother proto 87 scope 253 ",
        "Deleted fd00:7::/48 dev wgother proto 87 metric 1024 pref medium",
    ],
)
def test_after_these_lines_the_routes_of_others_may_be_different(line: str) -> None:
    assert lines_of_others("wgoverlay").search(f"{line}\n")


@pytest.mark.parametrize(
    ("line", "ours"),
    [
        ("10.99.0.5 dev wgoverlay proto 87 scope 253 ", True),
        ("Deleted 10.99.0.5 dev wgoverlay proto 87 scope 253 ", True),
        ("local 10.99.0.1 dev wgoverlay table 255 proto 2 scope 254 src 10.99.0.1 ", True),
        ("10.98.0.5 dev wgother proto 87 scope 253 ", False),
        ("Deleted fd98::5 dev wgother proto 87 metric 1024 pref medium", False),
        ("192.168.7.0/24 dev wgoverlay proto 87 scope 253 ", True),
    ],
)
def test_routes_of_meshes_are_not_those_of_others(line: str, ours: bool) -> None:
    assert not lines_of_others("wgoverlay").search(f"{line}\n")
    assert bool(lines_of_ours("wgoverlay").search(f"{line}\n")) == ours


async def _woken(
    hosts: HostsFile | None, change: Callable[[], object], routes: KnownRoutes | None = None
) -> int:
    """Return how often `change` woke, after it did so once."""
    woken = asyncio.Event()
    times = 0

    def wake() -> None:
        nonlocal times
        times += 1
        woken.set()

    task = asyncio.create_task(Watch("wgoverlay", hosts, routes or KnownRoutes(), wake).run())
    try:
        await asyncio.sleep(0)
        change()
        async with asyncio.timeout(30):
            await woken.wait()
    finally:
        task.cancel()
        await asyncio.wait([task])
    return times


async def _silence(*_argv: str) -> AsyncIterator[str]:
    await asyncio.Event().wait()
    yield ""


def test_a_burst_of_changes_wakes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def burst(*_argv: str) -> AsyncIterator[str]:
        for _ in range(1000):
            yield "3: eth0    inet 192.0.2.1/24 scope 0\n"
        await asyncio.Event().wait()

    monkeypatch.setattr(watch, "follow", burst)

    assert asyncio.run(_woken(None, lambda: None)) == 1


def test_a_hosts_file_that_somebody_else_wrote_wakes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(watch, "follow", _silence)
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n")
    hosts = HostsFile(path, "wgoverlay", tmp_path / "run")
    hosts.update(())
    assert not hosts.touched()

    assert asyncio.run(_woken(hosts, lambda: path.write_text("127.0.0.1 other\n"))) >= 1
    hosts.update(())
    assert not hosts.touched()


def test_a_monitor_that_ends_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    started = 0

    async def short_lived(*_argv: str) -> AsyncIterator[str]:
        nonlocal started
        started += 1
        if started == 3:
            yield "default via 192.168.1.1 dev eth0 \n"

    monkeypatch.setattr(watch, "follow", short_lived)
    monkeypatch.setattr(watch, "RETRY_FIRST", 0.01)

    assert asyncio.run(_woken(None, lambda: None)) == 1
    assert started >= 3


def test_changing_routes_of_others_wake_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = asyncio.Event()

    async def churn(*_argv: str) -> AsyncIterator[str]:
        for _ in range(200):
            yield "20.1.0.0/24 via 192.168.1.1 dev eth0 proto 12 \n"
            await asyncio.sleep(0.005)
        ended.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(watch, "follow", churn)
    routes = KnownRoutes(clock=lambda: 0.0)
    routes.follow()
    wakes = 0

    def wake() -> None:
        nonlocal wakes
        wakes += 1

    async def scene() -> None:
        task = asyncio.create_task(Watch("wgoverlay", None, routes, wake).run())
        await ended.wait()
        task.cancel()
        await asyncio.wait([task])

    monkeypatch.setattr(watch, "ROUTES_REST", 3600.0)
    asyncio.run(scene())

    assert wakes == 1


def test_what_changed_before_we_hear_everything_is_looked_at_once_more() -> None:
    async def scenario() -> bool:
        woken, routes = asyncio.Event(), KnownRoutes()
        watching = Watch("wgoverlay", None, routes, woken.set)
        watching._sort("192.168.7.0/24 via 192.0.2.1 dev eth0 \n")
        passing = asyncio.create_task(watching._pass_on_routes())
        await asyncio.sleep(0.05)
        early = woken.is_set()
        watching._hear()
        await asyncio.wait_for(woken.wait(), 10)
        passing.cancel()
        return early

    assert not asyncio.run(scenario())
