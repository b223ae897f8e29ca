"""What `wesher info` shows of a member."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.cli.statuses import member
from wesher.cli import status

MORE = {
    "address": "192.0.2.2:7946",
    "implementation": "wesher",
    "version": "1.0.0",
    "incarnation": 1,
    "protocol_versions": [1, 5, 2],
    "metadata_format": "current",
    "address_is_fixed": False,
    "address_was_kept": False,
    "overlay_network": None,
    "allowed_ips": [],
    "keepalive": 0,
}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "protocol versions   2 (understands 1 to 5)"),
        ({"protocol_versions": None}, "protocol versions   -"),
        ({}, "received, sent      1B, 1B"),
        ({"received": 0, "sent": 148}, "received, sent      0B, 148B"),
        ({"received": None, "sent": None}, "received, sent      -"),
        ({}, "preshared key       -"),
        ({"preshared_key": None}, "preshared key       -"),
        ({"preshared_key": True}, "preshared key       yes"),
        ({"preshared_key": False}, "preshared key       no"),
        (
            {"preshared_key": False, "without_preshared_key": "it is not set yet"},
            "preshared key       no: it is not set yet",
        ),
    ],
)
def test_what_is_told_of_a_member_is_in_words(
    changes: dict[str, Any],
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = member(**MORE | changes)
    agent = SimpleNamespace(ask=lambda _command, **_: told)
    monkeypatch.setattr(status, "choose_agent", lambda given: agent)

    assert status.run_info({"name": "db"}) == 0

    assert line in capsys.readouterr().out.splitlines()
