"""What status and info show of networks behind members."""

from typing import Any

from tests.unit.cli.statuses import member, status
from wesher.cli.status import _details, render

TAKEN = {"network": "192.168.7.0/24", "priority": 0, "taken": True, "reason": None}
LOST = TAKEN | {"priority": 9, "taken": False, "reason": "goes to db"}


def facts_of(told: dict[str, Any]) -> list[str]:
    lines = [str(line) for line in render(told)]
    return [" ".join(line.split()) for line in lines if "192.168.7" in line]


def test_status_lists_networks_behind_this_host_and_others() -> None:
    told = status(member(networks=[TAKEN]), networks=[LOST])

    assert facts_of(told) == [
        "network 192.168.7.0/24 behind this host, not taken: it goes to db",
        "network 192.168.7.0/24 behind db",
    ]


def test_an_agent_that_knows_of_no_networks_has_none() -> None:
    assert facts_of(status(member())) == []


def test_info_tells_their_priority_and_why_one_is_not_taken() -> None:
    details = {
        "incarnation": 1,
        "address": "192.0.2.2:7946",
        "implementation": "wesher",
        "version": "1",
        "protocol_versions": None,
        "metadata_format": "current",
        "overlay_network": "10.0.0.0/8",
        "allowed_ips": ["10.0.0.2/32"],
        "keepalive": 0,
        "address_is_fixed": False,
        "address_was_kept": False,
    }

    told = _details(member(networks=[TAKEN, LOST]) | details)

    assert [text for name, text in told if name == "network behind it"] == [
        "192.168.7.0/24",
        "192.168.7.0/24 (priority 9), not taken: it goes to db",
    ]
