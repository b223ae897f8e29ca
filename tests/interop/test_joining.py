"""Entering a cluster of Go members, and being entered; seeing one without entering it."""

import base64
import os

import pytest

from tests.interop.golang import GoOf, wait_for
from tests.interop.ours import OursOf, exchange_once, look
from wesher.gossip import (
    LAN,
    LOCAL,
    WAN,
    Address,
    MemberJoined,
    MemberState,
    PushPull,
    Record,
)

VERSIONS = bytes([1, 5, 2, 0, 0, 0])
TIMINGS = {"wan": WAN, "lan": LAN, "local": LOCAL}


@pytest.mark.parametrize("compress_go", [True, False])
@pytest.mark.parametrize("join_go", [True, False])
@pytest.mark.parametrize("timing", ["wan", "local"])
def test_each_side_joins_the_other(
    go_of: GoOf, ours_of: OursOf, *, compress_go: bool, join_go: bool, timing: str
) -> None:
    go = go_of("gopher", compress=compress_go, timing=timing, meta=b"from go".hex())
    ours = ours_of("python", timing=TIMINGS[timing]).announce(b"from python")

    if join_go:
        ours.join(go)
    else:
        assert go.join(ours.host_port)["count"] == 1

    joined = go.wait("join", name="python")
    assert (joined["ip"], joined["port"]) == (ours.ip, ours.port)
    assert bytes.fromhex(joined["meta"]) == b"from python"
    member = ours.wait(MemberJoined, lambda event: event.member.name == "gopher").member
    wait_for(lambda: ours.members["gopher"].meta == b"from go", "its metadata")
    assert (member.address, member.versions) == (Address(go.ip, go.port), VERSIONS)
    assert set(go.members) == set(ours.members) == {"gopher", "python"}


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
def test_every_protocol_version_is_spoken(go_of: GoOf, ours_of: OursOf, protocol: int) -> None:
    """Version 1 seals with padding; every version gossips and probes as usual."""
    go = go_of("gopher", protocol=protocol)
    ours = ours_of("python").announce()

    ours.join(go)
    go.do("meta", b"changed".hex())

    wait_for(lambda: ours.members["gopher"].meta == b"changed", "the change by gossip")
    go.wait("join", name="python")
    go.reach("python")


@pytest.mark.parametrize("size", [16, 24, 32])
def test_keys_of_every_size_fit(go_of: GoOf, ours_of: OursOf, size: int) -> None:
    key = base64.b64encode(os.urandom(size)).decode()
    go = go_of("gopher", key=key)
    ours = ours_of("python", key=key).announce()

    ours.join(go)

    go.wait("join", name="python")


def test_ipv6(go_of: GoOf, ours_of: OursOf) -> None:
    go = go_of("gopher", "::1", port=17946)
    ours = ours_of("python", "::1", port=17947).announce()

    ours.join(go)

    assert go.wait("join", name="python")["addr"] == (15 * "00") + "01"
    wait_for(lambda: "gopher" in ours.members, "gopher")
    assert ours.members["gopher"].address == Address("::1", 17946)
    go.reach("python")


def test_looking_changes_nothing(go_of: GoOf, ours_of: OursOf, key: str) -> None:
    go = go_of("gopher", meta=b"from go".hex())
    before, said = look(go.ip, key), len(go.facts)
    ours = ours_of("python")

    seen = [ours.exchange(Address(go.ip, go.port), join=join, look=True) for join in (True, False)]

    for answer in seen:
        assert [record.name for record in answer.records] == ["gopher"]
        assert answer.records[0].meta == b"from go"
    assert look(go.ip, key) == before
    assert len(go.facts) == said
    assert "WARN" not in go.log
    assert ours.members == {}


def test_being_joined_while_looking(go_of: GoOf, ours_of: OursOf, key: str) -> None:
    """A node that only looks answers with the little it knows, and does not become a member."""
    go = go_of("gopher")
    ours = ours_of("python")

    answer = go.join(ours.host_port)

    assert answer["error"] == ""
    assert answer["count"] == 1
    assert set(go.members) == {"gopher"}
    assert set(ours.members) == {"gopher"}
    ours.announce()
    ours.join(go)
    go.wait("join", name="python")


@pytest.mark.parametrize("join_go", [True, False])
def test_a_table_of_200_members(go_of: GoOf, ours_of: OursOf, key: str, join_go: bool) -> None:
    """Whoever holds them, 200 with long metadata and in all states come over in one exchange."""
    go = go_of("gopher", timing="wan")
    ours = ours_of("python", timing=WAN).announce()
    records = [
        Record(f"member{n}", bytes([127, 200, n // 200, n % 200 + 1]), 7946, bytes([n]) * 500, 5,
               0, VERSIONS)
        for n in range(200)
    ]  # fmt: skip
    holder = go if join_go else ours
    exchange_once(holder.ip, key, PushPull(True, tuple(records)))

    if join_go:
        ours.join(go)
    else:
        go.join(ours.host_port)

    everybody = {record.name for record in records} | {"gopher", "python"}
    wait_for(lambda: set(ours.members) == everybody, "everybody here")
    wait_for(lambda: set(go.members) == everybody, "everybody there")
    assert go.members["member77"]["meta"] == (bytes([77]) * 500).hex()
    assert ours.members["member77"].meta == bytes([77]) * 500
    assert ours.members["member77"].state in (MemberState.ALIVE, MemberState.SUSPECT)
    assert {record.meta for record in look(go.ip, key).values()} >= {r.meta for r in records}
