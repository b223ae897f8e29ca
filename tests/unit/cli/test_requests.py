"""What `wesher ping` advises: a host where nothing listens is not one behind a firewall."""

from typing import Any

import pytest

from wesher.cli import requests

AT = "192.0.2.2:7946"


class _Agent:
    def __init__(self, **result: Any) -> None:
        overlay = {"address": "10.0.0.2", "seconds": None, "method": "icmp", "reason": None}
        none = {"name": "web", "address": AT, "gossip_udp": None, "gossip_tcp": None}
        self._result = none | {"overlay": overlay} | result

    def ask(self, _command: str, **_data: Any) -> dict[str, Any]:
        return self._result


def advice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **result: Any
) -> list[str]:
    """Return the lines below the three ways."""
    monkeypatch.setattr(requests, "choose_agent", lambda given: _Agent(**result))
    assert requests.run_ping({"name": "web"}) == 1
    return capsys.readouterr().out.splitlines()[3:]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({}, ["web cannot be reached at all: is the host up, and is there a way to it?"]),
        ({"refused": False}, ["web cannot be reached at all: is the host up, and is there a way"]),
        ({"refused": True}, [f"nothing listens at {AT}: is wesher running there?"]),
        (
            {"refused": True, "gossip_udp": 0.1},
            [
                "gossip is broken by TCP: let TCP port 7946 through, both ways",
                "the overlay is broken: `wesher doctor` looks for the reason",
            ],
        ),
        (
            {"gossip_tcp": 0.1},
            [
                "gossip is broken by UDP: let UDP port 7946 through, both ways",
                "the overlay is broken: `wesher doctor` looks for the reason",
            ],
        ),
    ],
)
def test_refused_is_told_from_filtered(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    result: dict[str, Any],
    expected: list[str],
) -> None:
    lines = advice(monkeypatch, capsys, **result)

    assert len(lines) == len(expected)
    assert all(line.startswith(start) for line, start in zip(lines, expected, strict=True))
