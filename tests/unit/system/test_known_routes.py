"""Routes are read again when they may have changed, and those of others not too often."""

import asyncio
import json
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest

from wesher.base.errors import CommandError
from wesher.system import network
from wesher.system.network import LONGEST_TRUST, PAUSE, TRUST, KnownRoutes

OTHER = {"dst": "10.9.0.0/24", "gateway": "192.0.2.1", "dev": "eth0", "protocol": "3"}
OUR = {"dst": "10.99.0.5", "dev": "wgoverlay", "protocol": "87"}
ALL, OURS, NONE = "all", "ours", "none"


class Host:
    """A host with two routes; reading all of them takes `took` seconds, anything else none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.took, self.fails = 1000.0, 1.0, False
        self.asked: list[str] = []
        self.routes = KnownRoutes(clock=lambda: self.now)
        self.on_read: Callable[[], None] = lambda: None
        monkeypatch.setattr(network, "run", self._run)

    async def _run(self, *_argv: str, stdin: str) -> str:
        if self.fails:
            raise CommandError(("ip",), 1, "no")
        link = {"ifname": "eth0", "flags": [], "mtu": 1500}
        answers: list[list[Any]] = [[], [link]]
        if "proto 87" in stdin:
            answers.append([{key: OUR[key] for key in ("dst", "dev")}])
        elif "route" in stdin:
            self.now += self.took
            self.on_read()
            answers.append([OTHER, OUR])
        self.asked.append(OURS if "proto 87" in stdin else ALL if "route" in stdin else NONE)
        return "\n".join(map(json.dumps, answers))

    def read(self) -> str:
        """Read once; return which routes were asked for. What is known is always the same."""
        found = asyncio.run(self.routes.read())
        assert found.marked == {"wgoverlay": {ip_network("10.99.0.5/32"): 0}}
        assert found.foreign == {"10.9.0.0/24": "eth0"}
        assert len(found.gateways) == 1
        assert list(found.links) == ["eth0"]
        return self.asked[-1]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(monkeypatch)


@pytest.fixture
def known(host: Host) -> Host:
    host.routes.follow()
    assert host.read() == ALL
    return host


def test_without_a_follower_all_is_read_every_time(host: Host) -> None:
    assert [host.read(), host.read()] == [ALL, ALL]
    assert host.routes.due_in is None


def test_nothing_is_read_again_while_nothing_changes(known: Host) -> None:
    known.now += 25
    assert known.read() == NONE
    assert known.routes.due_in is None


def test_after_a_change_of_ours_only_ours_are_read(known: Host) -> None:
    known.routes.change_ours()
    assert [known.read(), known.read()] == [OURS, NONE]


def test_those_of_others_are_read_at_once_but_not_again_and_again(known: Host) -> None:
    known.now += PAUSE
    known.routes.change()
    assert known.routes.due_in == 0
    assert known.read() == ALL

    known.routes.change()
    assert [known.read(), known.read()] == [OURS, NONE]
    assert known.routes.due_in == PAUSE * known.took
    known.now += PAUSE * known.took
    assert known.read() == ALL


def test_nothing_is_trusted_for_ever(known: Host) -> None:
    known.now += min(TRUST * known.took, LONGEST_TRUST) - 1
    assert known.read() == NONE
    known.now += 1
    assert known.read() == ALL


def test_a_follower_that_is_lost_is_not_trusted(known: Host) -> None:
    known.routes.lose()
    assert [known.read(), known.read()] == [ALL, ALL]
    known.routes.follow()
    assert [known.read(), known.read()] == [ALL, NONE]


def test_what_changes_while_all_is_read_is_read_again(known: Host) -> None:
    known.on_read = known.routes.change
    known.now += PAUSE
    known.routes.change()
    assert known.read() == ALL
    assert known.read() == OURS
    assert known.routes.due_in is not None


@pytest.mark.parametrize("change", [KnownRoutes.change, KnownRoutes.change_ours])
def test_a_read_that_fails_is_made_up_for(
    known: Host, change: Callable[[KnownRoutes], object]
) -> None:
    known.now += PAUSE
    change(known.routes)
    known.fails = True
    with pytest.raises(CommandError):
        known.read()
    known.fails = False
    assert known.read() in (ALL, OURS)
