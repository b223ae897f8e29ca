"""What an agent tells the terminal it was started on."""

import asyncio
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from wesher.agent import foreground
from wesher.agent.foreground import Foreground
from wesher.agent.own_address import Underlay
from wesher.config.config import Config, load
from wesher.control.invitations import Invitations
from wesher.gossip import Address
from wesher.mesh.base.events import MemberEvent, MemberEventKind
from wesher.mesh.invitations import read_token
from wesher.system.invitation_file import InvitationFile
from wesher.system.network import Network

PLACE: dict[str, object] = {
    "overlay_address": ip_address("10.1.2.3"),
    "address": Address("192.0.2.2", 7946),
}
OURS = ip_address("10.0.0.1")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was told, without the time of day."""
    lines: list[str] = []
    monkeypatch.setattr(
        foreground, "tell", lambda line: lines.append(re.sub(r"^\d\d:\d\d:\d\d ", "", line))
    )
    return lines


def config(**given: str) -> Config:
    return load({"config": "/dev/null", "node_name": "alpha", **given}, {})


def event(what: str, member: str = "beta", **data: object) -> MemberEvent:
    return MemberEvent(MemberEventKind(what), member, PLACE | data)


def test_members_that_are_met_before_it_is_up_are_one_number(told: list[str]) -> None:
    one = Foreground(config())

    one.happened(event("joined"))
    one.happened(event("joined", "gamma"))
    one.happened(event("left", "gamma"))
    assert told == []
    one.up(OURS)

    assert told == ["wgoverlay up as 10.0.0.1, met 1 member"]


def test_what_happens_to_members_is_a_line_each(told: list[str]) -> None:
    one = Foreground(config())
    one.up(OURS)
    moved: dict[str, Any] = {
        "old_overlay_address": ip_address("10.9.9.9"),
        "old_address": PLACE["address"],
    }
    events = (
        event("joined"),
        event("joined", "gamma"),
        event("suspect"),
        event("cleared"),
        event("updated"),
        event("moved", **moved),
        event("moved", old_address=Address("192.0.2.9", 7946)),
        event("failed"),
        event("returned"),
        event("failed"),
        event("forgotten"),
        event("left", "gamma"),
        event("joined", "bare", overlay_address=None),
    )

    for each in events:
        one.happened(each)

    assert told == [
        "wgoverlay up as 10.0.0.1, waiting for members",
        "beta joined (10.1.2.3), 1 other alive",
        "gamma joined (10.1.2.3), 2 others alive",
        "beta moved (10.9.9.9 -> 10.1.2.3), 2 others alive",
        "beta moved (192.0.2.9:7946 -> 192.0.2.2:7946), 2 others alive",
        "beta failed (10.1.2.3), 1 other alive",
        "beta returned (10.1.2.3), 2 others alive",
        "beta failed (10.1.2.3), 1 other alive",
        "beta was forgotten (10.1.2.3), 1 other alive",
        "gamma left (10.1.2.3), no others alive",
        "bare joined (no overlay address), 1 other alive",
    ]


def test_a_name_cannot_drive_the_terminal(told: list[str]) -> None:
    one = Foreground(config())
    one.up(OURS)

    one.happened(event("joined", "\x1b[2J"))

    assert told[-1].startswith("\\x1b[2J joined")


@pytest.mark.parametrize(("logged_here", "lines"), [(True, 0), (False, 2)])
def test_what_the_log_tells_on_the_same_terminal_is_not_told_twice(
    told: list[str], monkeypatch: pytest.MonkeyPatch, *, logged_here: bool, lines: int
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: logged_here)
    one = Foreground(config(log_level="info"))

    one.up(OURS)
    one.happened(event("joined"))

    assert len(told) == lines


@pytest.mark.parametrize(
    ("removed", "left", "keeps", "line"),
    [
        (
            ["wgoverlay", "2 entries of /etc/hosts"],
            True,
            False,
            "left the mesh; removed wgoverlay and 2 entries of /etc/hosts",
        ),
        (["wgoverlay"], True, False, "left the mesh; removed wgoverlay"),
        ([], True, False, "left the mesh"),
        (["interface wgoverlay"], False, False, "stopped; removed interface wgoverlay"),
        ([], False, True, "stopped; wgoverlay and what leads to it stay for the next start"),
    ],
)
def test_the_end_tells_what_it_undid(
    told: list[str], *, removed: list[str], left: bool, keeps: bool, line: str
) -> None:
    Foreground(config()).stopped(removed, left=left, keeps=keeps)

    assert told == [f"\r{line}"]


def test_a_new_mesh_prints_what_to_type_on_the_next_hosts(told: list[str], tmp_path: Path) -> None:
    invitations = Invitations(InvitationFile(tmp_path, "wgoverlay"))
    here = Underlay(ip_address("0.0.0.0"), ip_address("192.0.2.1"), True, Network())

    asyncio.run(Foreground(config(cluster_port="7000")).invite(invitations, here))

    [line] = told
    typed, _, token = line.rpartition(" ")
    assert typed == "on every other host, within an hour: sudo wesher join"
    assert read_token(token).addresses == (Address("192.0.2.1", 7000),)


def test_a_disk_that_takes_no_invitation_costs_nothing_else(
    told: list[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    invitations = Invitations(InvitationFile(tmp_path / "file" / "no", "wgoverlay"))
    here = Underlay(ip_address("0.0.0.0"), ip_address("192.0.2.1"), True, Network())

    asyncio.run(Foreground(config()).invite(invitations, here))

    assert told[0].startswith("no other host is invited: cannot save ")
