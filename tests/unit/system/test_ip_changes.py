"""The difference of addresses and routes, and what one `ip -batch` makes of it."""

import asyncio
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from tests.testbed.tools import Tools
from wesher.base.addresses import Address
from wesher.base.errors import CommandError
from wesher.mesh.base.plan import InterfaceSettings, IPNetwork, Peer, Plan
from wesher.system.changes import IpChanges, apply_lines, ip_changes
from wesher.system.network import Link, LinkAddress, Network

NAME = "wg0"
ENDPOINT = Address("198.51.100.7", 51820)


def address(word: str, lasting: bool = True) -> LinkAddress:
    return LinkAddress(ip_interface(word).ip, ip_interface(word).network, lasting)


OURS = address("10.0.0.9/32")
SETTLED = Link(NAME, up=True, mtu=1420, alias="wesher", addresses=(OURS,))


def plan(*routes: str, complete: bool = True, own: str = "10.0.0.9") -> Plan:
    peers = {word: Peer(ENDPOINT, (ip_network(word),)) for word in routes}
    return Plan(InterfaceSettings(ip_address(own), 51820), peers, complete=complete)


def changes(
    want: Plan,
    link: Link = SETTLED,
    *,
    routes: tuple[str, ...] = (),
    foreign: dict[str, str] | None = None,
    spared: tuple[LinkAddress, ...] = (),
    mtus: dict[str, int] | None = None,
) -> IpChanges:
    marked = {NAME: dict(map(with_mtu, routes))}
    network = Network({NAME: link}, marked, foreign or {})
    return ip_changes(network, NAME, want, "wesher", spared=spared, mtus=mtus or {})


def with_mtu(words: str) -> tuple[IPNetwork, int]:
    """Read `DESTINATION` or `DESTINATION mtu BYTES`."""
    destination, _, mtu = words.partition(" mtu ")
    return ip_network(destination), int(mtu or 0)


def test_equal_is_no_change() -> None:
    assert changes(plan("10.0.0.1/32"), routes=("10.0.0.1/32",)) == IpChanges()


def test_an_mtu_that_somebody_lowered_is_left_alone() -> None:
    narrow = Link(NAME, True, 1220, "wesher", (OURS,))

    assert changes(plan("10.0.0.1/32"), narrow, routes=("10.0.0.1/32",)) == IpChanges()


def test_one_that_an_operator_fixed_is_set_whatever_there_is() -> None:
    fixed = Plan(InterfaceSettings(OURS.ip, 51820, 1300, fixed=True), complete=True)

    for mtu in (1220, 1420):
        found = changes(fixed, Link(NAME, True, mtu, "wesher", (OURS,)))
        assert found.lines == ("link set dev wg0 mtu 1300",)


@pytest.mark.parametrize(
    ("tunnel", "at", "line"),
    [
        (1412, "10.0.0.1/32", "route replace 10.0.0.1/32 dev wg0 proto 87 scope link mtu 1412"),
        (1412, "fd00::1/128", "route replace fd00::1/128 dev wg0 proto 87 mtu 1412"),
        (1220, "fd00::1/128", "route replace fd00::1/128 dev wg0 proto 87 mtu 1280"),
        (500, "10.0.0.1/32", "route replace 10.0.0.1/32 dev wg0 proto 87 scope link mtu 576"),
        (1420, "10.0.0.1/32", "route replace 10.0.0.1/32 dev wg0 proto 87 scope link"),
        (8940, "10.0.0.1/32", "route replace 10.0.0.1/32 dev wg0 proto 87 scope link"),
    ],
)
def test_a_narrow_tunnel_has_a_route_of_its_own_mtu(tunnel: int, at: str, line: str) -> None:
    want = plan(at, "10.0.0.2/32")

    assert changes(want, routes=("10.0.0.2/32",), mtus={at: tunnel}).lines == (line,)


def test_a_route_is_set_anew_only_when_its_mtu_changes() -> None:
    want, name = plan("10.0.0.1/32"), "10.0.0.1/32"

    assert changes(want, routes=(f"{name} mtu 1412",), mtus={name: 1412}) == IpChanges()
    assert changes(want, routes=(name,), mtus={name: 1412}).lines == (
        f"route replace {name} dev wg0 proto 87 scope link mtu 1412",
    )
    assert changes(want, routes=(f"{name} mtu 1412",)).lines == (
        f"route replace {name} dev wg0 proto 87 scope link",
    )


def test_a_route_is_never_wider_than_a_lowered_interface() -> None:
    narrow, name = Link(NAME, True, 1300, "wesher", (OURS,)), "10.0.0.1/32"

    assert changes(plan(name), narrow, routes=(name,), mtus={name: 1412}) == IpChanges()


def test_a_new_interface_gets_all() -> None:
    found = changes(plan("10.0.0.1/32", "fd00::1/128"), Link(NAME, mtu=1500))

    assert found.lines == (
        "address replace 10.0.0.9/32 dev wg0",
        "link set dev wg0 mtu 1420 alias wesher up",
        "route replace 10.0.0.1/32 dev wg0 proto 87 scope link",
        "route replace fd00::1/128 dev wg0 proto 87",
    )


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        (Link(NAME, False, 1420, "wesher", (OURS,)), "link set dev wg0 up"),
        (Link(NAME, True, 1500, "wesher", (OURS,)), "link set dev wg0 mtu 1420"),
        (Link(NAME, True, 1420, None, (OURS,)), "link set dev wg0 alias wesher"),
        (Link(NAME, True, 1420, "wesher", ()), "address replace 10.0.0.9/32 dev wg0"),
    ],
)
def test_only_what_differs_is_set(link: Link, expected: str) -> None:
    assert changes(plan(), link).lines == (expected,)


def test_additions_come_before_removals() -> None:
    found = changes(plan("10.0.0.2/32", own="10.0.0.8"), routes=("10.0.0.1/32",))

    assert found.lines == (
        "address replace 10.0.0.8/32 dev wg0",
        "route replace 10.0.0.2/32 dev wg0 proto 87 scope link",
        "route del 10.0.0.1/32 dev wg0 proto 87",
        "address del 10.0.0.9/32 dev wg0",
    )


def test_nothing_is_removed_while_incomplete() -> None:
    found = changes(plan(complete=False, own="10.0.0.8"), routes=("10.0.0.1/32",))

    assert found.lines == ("address replace 10.0.0.8/32 dev wg0",)


def test_addresses_of_the_kernel_and_of_the_lender_stay() -> None:
    lent, local = address("10.200.0.1/24"), address("fe80::1/64", lasting=False)
    link = Link(NAME, True, 1420, "wesher", (OURS, lent, local))

    assert changes(plan(), link, spared=(lent,)) == IpChanges()
    assert changes(plan(), link).lines == ("address del 10.200.0.1/24 dev wg0",)


@pytest.mark.parametrize(
    ("route", "written"),
    [
        ("10.0.0.1/32", "10.0.0.1"),
        ("10.4.0.0/16", "10.4.0.0/16"),
        ("fd00::1/128", "fd00::1"),
        ("fd00::/64", "fd00::/64"),
    ],
)
def test_a_route_of_somebody_else_is_refused_not_replaced(route: str, written: str) -> None:
    found = changes(plan(route), foreign={written: "eth0"})

    assert found == IpChanges((), (f"route to {route}: one through eth0 exists",))


def test_a_route_through_our_interface_is_ours_to_mark() -> None:
    found = changes(plan("10.0.0.1/32"), foreign={"10.0.0.1": NAME})

    assert found.lines == ("route replace 10.0.0.1/32 dev wg0 proto 87 scope link",)


def test_a_route_to_a_network_through_our_interface_is_left_to_who_made_it() -> None:
    assert changes(plan("10.4.0.0/16"), foreign={"10.4.0.0/16": NAME}) == IpChanges()


def test_a_route_to_a_network_of_another_mesh_is_refused() -> None:
    network = ip_network("192.168.7.0/24")
    marked = {"wg1": {network: 0, ip_network("10.0.0.1/32"): 0}}

    found = ip_changes(
        Network({NAME: SETTLED}, marked), NAME, plan(str(network), "10.0.0.1/32"), "wesher"
    )

    assert found.refused == (f"route to {network}: one through wg1 exists",)
    assert found.lines == ("route replace 10.0.0.1/32 dev wg0 proto 87 scope link",)


def test_a_route_to_a_network_is_added_so_that_it_takes_no_place() -> None:
    want, name = plan("192.168.7.0/24"), "192.168.7.0/24"

    assert changes(want).lines == (f"route add {name} dev wg0 proto 87 scope link",)
    assert changes(want, routes=(name,), mtus={name: 1400}).lines == (
        f"route replace {name} dev wg0 proto 87 scope link mtu 1400",
    )
    assert changes(plan(), routes=(name,)).lines == (f"route del {name} dev wg0 proto 87",)


def test_what_is_to_have_no_route_gets_none_and_loses_it() -> None:
    host, network = ip_network("10.0.0.1/32"), ip_network("192.168.7.0/24")
    peer = Peer(ENDPOINT, (host, network), unrouted=frozenset({network}))
    want = Plan(InterfaceSettings(OURS.ip, 51820), {"key": peer}, complete=True)

    assert changes(want, routes=(str(host),)) == IpChanges()
    assert changes(want, routes=(str(host), str(network))).lines == (
        f"route del {network} dev wg0 proto 87",
    )


@pytest.fixture
def fake(tools: Tools) -> Tools:
    tools.do(f"ip link add {NAME} type wireguard")
    tools.do(f"ip link set {NAME} up")
    return tools


def route(number: int) -> str:
    return f"route replace 10.0.0.{number}/32 dev {NAME} proto 87 scope link"


def test_all_lines_go_into_one_call(fake: Tools) -> None:
    failed = asyncio.run(apply_lines([route(1), route(2)]))

    assert failed == {}
    assert fake.calls == ["ip -force -batch -"]
    assert fake.routes(NAME) == ["10.0.0.1", "10.0.0.2"]


def test_a_line_that_lastingly_fails_is_reported_at_once(fake: Tools) -> None:
    bad = "route replace 10.0.0.2/32 dev nowhere proto 87"

    failed = asyncio.run(apply_lines([route(1), bad, route(3)]))

    assert failed == {bad: 'Cannot find device "nowhere"'}
    assert len(fake.calls) == 1
    assert fake.routes(NAME) == ["10.0.0.1", "10.0.0.3"]


def test_only_the_line_that_failed_is_tried_again(fake: Tools) -> None:
    fake.do(f"ip link set {NAME} down")

    failed = asyncio.run(apply_lines([f"address replace 10.0.0.9/32 dev {NAME}", route(1)]))

    assert failed == {route(1): "Error: Device for nexthop is not up."}
    assert len(fake.calls) == 4
    assert fake.stdin("ip") == f"{route(1)}\n"


def test_taking_away_what_is_gone_is_no_failure(fake: Tools) -> None:
    lines = [
        f"route del 10.0.0.1/32 dev {NAME} proto 87",
        f"address del 10.0.0.9/32 dev {NAME}",
        "route del 10.0.0.1/32 dev nowhere proto 87",
        "link del dev nowhere",
    ]

    assert asyncio.run(apply_lines(lines)) == {}
    assert len(fake.calls) == 1


def test_a_tool_that_fails_as_a_whole_is_tried_again(fake: Tools) -> None:
    fake.fail("ip", 3)

    assert asyncio.run(apply_lines([route(1)])) == {}
    assert fake.routes(NAME) == ["10.0.0.1"]


def test_a_tool_that_keeps_failing_is_an_error(fake: Tools) -> None:
    fake.fail("ip", 4)

    with pytest.raises(CommandError, match="resource busy"):
        asyncio.run(apply_lines([route(1)]))
