"""Which address of this host is advertised, and when it stays."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from tests.unit.system.test_host_facts import gateway, link, network
from wesher.system.host_facts import (
    is_here,
    only_address,
    routed_address,
    sources_towards,
    stays,
)

WIFI = link("wlan0", "192.168.5.2/24", "fd05::2/64")
CABLE = link("eth0", "192.0.2.10/24", "192.0.2.11/24", "2001:db8::5/64")
BY_WIFI = gateway("wlan0", "192.168.5.1", default=True)


def ips(*words: str) -> list[IPv4Address | IPv6Address]:
    return [ip_address(word) for word in words]


@pytest.mark.parametrize(
    ("sources", "version", "found"),
    [
        (["192.0.2.10"], None, "192.0.2.10"),
        ([], None, "192.168.5.2"),
        (["127.0.0.1"], None, "192.168.5.2"),
        (["10.1.2.3"], None, "192.168.5.2"),
        (["2001:db8::5"], None, "2001:db8::5"),
        (["2001:db8::5", "192.0.2.10"], None, "192.0.2.10"),
        (["192.0.2.10", "2001:db8::5"], 6, "2001:db8::5"),
        (["2001:db8::5"], 4, "192.168.5.2"),
        (["192.0.2.10"], 6, None),
    ],
)
def test_the_route_to_a_seed_decides_then_the_default_route(
    sources: list[str], version: int | None, found: str | None
) -> None:
    host = network(link("lo", "127.0.0.1/8"), WIFI, CABLE, gateways=(BY_WIFI,))

    address = routed_address(host, ips(*sources), version)

    assert address == (found and ip_address(found))


def test_a_temporary_address_is_never_advertised() -> None:
    host = network(link("eth0", "fd77::1/64", "2001:db8::5/64", narrow=("2001:db8::abcd/64",)))

    assert routed_address(host, ips("2001:db8::abcd"), None) == ip_address("2001:db8::5")


def test_without_any_route_the_only_interface_decides() -> None:
    assert only_address(network(link("lo", "127.0.0.1/8"), CABLE), None) == ip_address("192.0.2.10")
    assert only_address(network(CABLE), 6) == ip_address("2001:db8::5")
    assert only_address(network(WIFI, CABLE), None) is None
    assert only_address(network(link("eth0", "fd77::1/64")), None) == ip_address("fd77::1")


@pytest.mark.parametrize(
    ("current", "found", "kept"),
    [
        ("192.0.2.10", "192.0.2.10", True),
        ("192.0.2.10", "192.0.2.11", True),
        ("192.0.2.10", "192.168.5.2", False),
        ("192.0.2.77", "192.0.2.10", False),
        ("2001:db8::5", "192.0.2.10", False),
    ],
)
def test_an_address_beside_ours_is_no_reason_to_move(current: str, found: str, kept: bool) -> None:
    assert stays(network(WIFI, CABLE), *ips(current, found)) == kept


def test_the_kernel_says_where_packets_leave_from() -> None:
    assert sources_towards(ips("127.0.0.1", "::ffff:0:0"))[:1] == ips("127.0.0.1")
    assert is_here(ip_address("127.0.0.1"))
    assert not is_here(ip_address("192.0.2.77"))
