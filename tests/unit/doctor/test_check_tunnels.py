"""What goes through WireGuard is judged together with what gossip says."""

import time
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from tests.unit.doctor.cases import account, case, member, network, status, verdicts
from wesher.base.frozen import replace
from wesher.doctor.check_tunnels import (
    FOR_FAILED,
    FOR_FRESH,
    FOR_LIVE,
    Path,
    Patience,
    Tunnel,
    allowed_size,
    check_tunnels,
    judge,
    judge_path,
    tunnels_of,
)
from wesher.system.network import Link, Network
from wesher.system.wireguard import PeerState, WireGuardState

NOW = time.clock_gettime(time.CLOCK_REALTIME)
NEVER = PeerState(None, frozenset())
# A slow machine comes to these tests minutes after it has read this file.
LATELY = PeerState(None, frozenset(), latest_handshake=int(NOW) + 300, received=500)
LONG_AGO = replace(LATELY, latest_handshake=int(NOW) - 900)
MORE = replace(LATELY, received=900)
NOBODY_ELSE = ip_address("127.0.0.1")


def tunnel(state: str = "alive") -> Tunnel:
    [one] = tunnels_of(status(member(state=state)), {"key": LATELY})
    return one


@pytest.mark.parametrize(
    ("state", "reached", "before", "after", "expected"),
    [
        ("alive", True, NEVER, LATELY, None),
        ("alive", False, LATELY, MORE, None),
        ("alive", False, NEVER, NEVER, "no-handshake"),
        ("alive", False, LONG_AGO, LONG_AGO, "no-handshake"),
        # It begins handshakes and keeps alive what it has, but hears nothing of us.
        ("alive", False, LATELY, replace(LATELY, received=500 + 148), "silent-tunnel"),
        ("alive", False, LATELY, replace(LATELY, received=500 + 2 * 148), "silent-tunnel"),
        ("alive", False, LATELY, replace(LATELY, received=500 + 148 + 32), "silent-tunnel"),
        ("alive", False, LATELY, replace(LATELY, received=500 + 32), "silent-tunnel"),
        ("alive", False, LATELY, replace(LATELY, received=500 + 48), None),
        ("alive", False, NEVER, replace(NEVER, received=148), "no-handshake"),
        ("alive", False, LATELY, LATELY, "silent-tunnel"),
        ("suspect", False, NEVER, NEVER, "no-handshake"),
        ("failed", True, LATELY, MORE, "only-tunnel"),
        ("failed", False, NEVER, NEVER, None),
    ],
)
def test_a_tunnel_is_judged_by_answer_handshake_and_traffic(
    state: str, reached: bool, before: PeerState, after: PeerState, expected: str | None
) -> None:
    found = judge(tunnel(state), reached, {"key": before}, {"key": after})

    assert [(one.verdict.value, one.problem) for one in found] == (
        [("fault", expected)] if expected else []
    )


def test_a_peer_that_went_meanwhile_is_not_judged() -> None:
    assert list(judge(tunnel(), False, {"key": LATELY}, {})) == []


@pytest.mark.parametrize(
    ("state", "peer", "patience"),
    [
        ("alive", NEVER, FOR_LIVE),
        ("alive", LONG_AGO, FOR_LIVE),
        ("suspect", LATELY, FOR_FRESH),
        ("alive", LATELY, FOR_FRESH),
        ("failed", LATELY, FOR_FAILED),
    ],
)
def test_a_handshake_is_waited_for_where_there_is_to_be_one(
    state: str, peer: PeerState, patience: Patience
) -> None:
    [one] = tunnels_of(status(member(state=state)), {"key": peer})

    assert one.patience is patience


@pytest.mark.parametrize("patience", [FOR_LIVE, FOR_FRESH, FOR_FAILED])
def test_who_is_silent_at_first_is_tried_until_the_end(patience: Patience) -> None:
    earlier = [at for at in patience.send_at if at < patience.at_first]

    assert earlier
    assert [*earlier, *(at + patience.at_first for at in patience.later)] == pytest.approx(
        patience.send_at
    )
    assert patience.send_at[-1] + 0.5 <= patience.whole


@pytest.mark.parametrize(
    "changes",
    [{"peer": False}, {"reason": "has just come"}, {"public_key": "another"}],
)
def test_who_is_no_peer_has_no_tunnel(changes: dict[str, Any]) -> None:
    assert tunnels_of(status(member(**changes)), {"key": LATELY}) == []


def test_those_without_a_handshake_come_first_and_the_failed_last() -> None:
    members = [
        member(name, state, public_key=name)
        for name, state in (("old", "alive"), ("dead", "failed"), ("new", "alive"))
    ]
    peers = {"old": LATELY, "dead": NEVER, "new": NEVER}

    assert [one.member for one in tunnels_of(status(*members), peers)] == ["new", "old", "dead"]


def test_without_an_agent_or_peers_there_is_nothing_to_try() -> None:
    alone = case(account=account(), status=status(), wireguard=WireGuardState())

    assert verdicts(check_tunnels, case()) == [("unknown", None)]
    assert verdicts(check_tunnels, alone) == [("ok", None)]


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        ({}, "narrow-tunnel"),
        ({"192.0.2.2": 1500}, "narrow-tunnel"),
        ({"192.0.2.2": 1280}, "narrow-path"),
    ],
)
def test_a_path_is_told_with_its_width_where_it_could_be_measured(
    measured: dict[str, int], expected: str
) -> None:
    path = Path("web", ip_address("10.0.0.2"), "192.0.2.2:7946")
    widths = {ip_address(ip): width for ip, width in measured.items()}

    finding = judge_path(case(network=network()), path, 1420, widths)

    assert finding.problem == expected
    assert "1480" in f"{finding.text} {finding.remedy}"
    lowered = "`ip link set dev wgoverlay mtu 1220` on both hosts"
    assert finding.remedy
    assert (lowered in finding.remedy) == (expected == "narrow-path")


@pytest.mark.parametrize(
    ("width", "expected", "command"),
    [
        (1340, "no-path-for-ipv6", "`ip link set dev eth0 mtu 1340`"),
        (1360, "narrow-path", "`ip link set dev wgoverlay mtu 1280`"),
    ],
)
def test_ipv6_inside_the_mesh_needs_1280_bytes(width: int, expected: str, command: str) -> None:
    path = Path("web", ip_address("fd99::2"), "[fd77::2]:7946")

    of = case(network=network())
    finding = judge_path(of, path, 1420, {ip_address("fd77::2"): width})

    assert finding.remedy
    assert (finding.problem, command in finding.remedy) == (expected, True)


def test_packets_are_as_large_as_the_route_to_a_member_says() -> None:
    marked = {"wgoverlay": {ip_network("10.0.0.2/32"): 1412, ip_network("10.0.0.3/32"): 0}}
    links = {"wgoverlay": Link("wgoverlay", True, 1420)}
    of = case(network=Network(links, marked))

    assert allowed_size(of, ip_address("10.0.0.2")) == 1412
    assert allowed_size(of, ip_address("10.0.0.3")) == 1420
    assert allowed_size(of, ip_address("10.0.0.4")) == 1420
    assert allowed_size(case(), ip_address("10.0.0.2")) == 1420
