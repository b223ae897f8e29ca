"""The doctor in a mesh of 200: one port that a firewall drops is one fault, and told in time."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.agents import NAME
from tests.testbed.lab.daemons import RecordSeconds
from tests.testbed.lab.netns import LabOf
from tests.testbed.pretended import Terminal, pretended_agent
from tests.unit.doctor import cases
from wesher.config.config import as_told

COUNT = 200
FIRST, WHOLE = 0.3, 8.0  # seconds until something is on the screen, and until the end


def key(number: int) -> str:
    return f"{number:043d}="


def mesh() -> dict[str, Any]:
    """What an agent tells that knows so many members, none of which has ever shaken hands."""
    members = [
        cases.member(
            f"node{number}",
            address=f"192.0.2.{number}:7946",
            overlay_address=f"10.59.0.{number}",
            public_key=key(number),
            endpoint=f"192.0.2.{number}:51820",
        )
        for number in range(1, COUNT + 1)
    ]
    account = cases.account(settings=as_told(cases.settings(interface=NAME)))

    def contact(asked: Mapping[str, Any]) -> object:
        return [{"address": one, "udp": "answer", "tcp": "answer"} for one in asked["addresses"]]

    return {
        "status": lambda _: cases.status(*members),
        "account": lambda _: account,
        "contact": contact,
    }


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A `wg` that knows all of them."""
    directory = tmp_path / "tools"
    directory.mkdir()
    peers = [
        f"{key(number)}\t(none)\t192.0.2.{number}:51820\t10.59.0.{number}/32\t0\t0\t148\toff\n"
        for number in range(1, COUNT + 1)
    ]
    (tmp_path / "dump").write_text(f"{key(0)}\t{key(0)}\t51820\toff\n{''.join(peers)}")
    wg = directory / "wg"
    wg.write_text(f"#!/bin/sh\ncat {tmp_path}/dump\n")
    wg.chmod(0o755)
    return directory


@pytest.fixture
def prefix(lab_of: LabOf, tools: Path) -> list[str]:
    """Run something on a host that has no way to any of them."""
    [host] = lab_of(1).hosts
    path = f"{tools}:{os.environ['PATH']}"
    return ["nsenter", "-t", str(host._pid), "-n", "--", "env", f"PATH={path}"]


def test_one_dropped_port_is_one_fault(
    prefix: list[str], tmp_path: Path, record_seconds: RecordSeconds
) -> None:
    with pretended_agent(tmp_path, mesh()):
        terminal = Terminal("doctor", f"--run-dir={tmp_path}", prefix=prefix, columns=200)
        try:
            assert terminal.wait() == 1
        finally:
            terminal.close()

    lines = re.sub(r"waiting for [^\r\n]*\r\x1b\[K|\r\x1b\[K|\x1b\[[0-9;]*m", "", terminal.shown)
    bad = [one for one in lines.splitlines() if one.startswith(("fault", "warning", "unknown"))]
    record_seconds("the doctor's first line", terminal.times[0][0], FIRST)
    record_seconds("the doctor with 200 members", terminal.times[-1][0], WHOLE)
    assert len(bad) <= 3
    fault = "51820/udp: 200 of 200 members unreachable: a firewall of this host"
    assert [one for one in bad if fault in one]
    assert "waiting for handshakes, up to 6 s" in terminal.shown
    assert "waiting for" not in lines
