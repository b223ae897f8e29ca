"""The metrics are what Prometheus' own parser reads, whatever members call themselves."""

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.cli.statuses import member, status
from wesher.cli.prometheus import render

DIRECTIONS = ("received", "sent")
TRAFFIC = {
    **{
        f"{what}_{one}": 7
        for what in ("packets", "packet_bytes", "stream_bytes")
        for one in DIRECTIONS
    },
    "streams_accepted": 3,
    "streams_opened": 4,
}
ACCOUNT: dict[str, Any] = {
    "health_score": 0,
    "suspicions": 1,
    "refutations": 2,
    "messages": {one: {"ping": 5, "ack": 6} for one in DIRECTIONS},
    "traffic": TRAFFIC,
    "dropped": {"malformed": 8},
    "reconciles": {"count": 9, "seconds": 0.25, "repairs": 0, "failures": {}},
    "tools": {"calls": {"wg": 10}, "failures": {}, "retries": 11},
}


def samples(*members: dict[str, Any]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return what Prometheus' library reads of a page, by name and labels."""
    text = render(
        status(*(member(device="kernel") | one for one in members), device="kernel"), ACCOUNT
    )
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_number_is_read_as_it_was_told() -> None:
    read = samples(member(round_trip=0.002, received=1 << 60), member(name="gone", state="left"))

    assert read["wesher_members", (("state", "alive"),)] == 1
    assert read["wesher_members", (("state", "left"),)] == 1
    assert read["wesher_uptime_seconds", ()] == 9
    assert read["wesher_gossip_messages_total", (("direction", "sent"), ("kind", "ack"))] == 6
    assert read["wesher_gossip_packet_bytes_total", (("direction", "sent"),)] == 7
    assert read["wesher_gossip_streams_total", (("direction", "received"),)] == 3
    assert read["wesher_reconcile_seconds_total", ()] == 0.25
    assert read["wesher_peer_received_bytes_total", (("member", "db"),)] == 1 << 60
    assert read["wesher_member_round_trip_seconds", (("member", "db"),)] == 0.002
    assert ("wesher_member_round_trip_seconds", (("member", "gone"),)) not in read


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ('quo"ted', 'quo"ted'),
        ("back\\slash", "back\\slash"),
        ("two\nlines", r"two\nlines"),
        ("c\x1b[31md", r"c\x1b[31md"),
        ("line\u2028separator", r"line\u2028separator"),
        ("héé", "héé"),
    ],
)
def test_a_name_cannot_forge_a_line_or_drive_a_terminal(name: str, told: str) -> None:
    read = samples(member(name=name))

    assert ("wesher_peer_sent_bytes_total", (("member", told),)) in read
    assert len(read) == len(samples(member()))
