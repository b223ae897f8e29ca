"""Which of many networks contains an address."""

from ipaddress import ip_address, ip_network

import pytest

from wesher.base.addresses import Prefixes

SOME = Prefixes.of(
    map(ip_network, ["10.0.0.0/8", "10.5.0.0/16", "10.5.5.5/32", "fd00::/8", "fd05::1/128"])
)


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("10.4.0.1", "10.0.0.0/8"),
        ("10.5.0.1", "10.5.0.0/16"),
        ("10.5.5.5", "10.5.5.5/32"),
        ("11.0.0.1", None),
        ("fd06::1", "fd00::/8"),
        ("fd05::1", "fd05::1/128"),
        ("fe80::1", None),
    ],
)
def test_the_narrowest_network_is_found(ip: str, network: str | None) -> None:
    expected = None if network is None else ip_network(network)
    assert SOME.containing(ip_address(ip)) == expected


def test_the_same_networks_are_equal_in_any_order() -> None:
    one, other = ip_network("10.0.0.0/8"), ip_network("fd00::/8")
    assert Prefixes.of([one, other]) == Prefixes.of([other, one]) != Prefixes.of([one])


def test_every_address_is_in_the_default_network() -> None:
    everything = Prefixes.of([ip_network("0.0.0.0/0")])
    assert everything.containing(ip_address("192.0.2.1")) == ip_network("0.0.0.0/0")
    assert everything.containing(ip_address("fd00::1")) is None
