"""Which of many networks contains an address."""

from ipaddress import ip_address, ip_network

import pytest

from wesher.base.addresses import Prefixes, Ranges

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


def networks(*words: str) -> Ranges:
    return Ranges.of(map(ip_network, words))


@pytest.mark.parametrize(
    ("within", "found"),
    [
        ("10.0.0.0/8", "10.1.0.0/16"),
        ("10.1.0.0/16", "10.1.0.0/16"),
        ("10.1.0.0/17", "10.1.2.0/24"),
        ("10.1.0.0/23", None),
        ("10.1.2.0/23", "10.1.2.0/24"),
        ("10.1.3.0/24", None),
        ("10.1.255.255/32", "10.1.255.255/32"),
        ("10.2.0.0/15", None),
        ("fd00::/8", "fd00:7::/48"),
        ("fd00:7::/47", "fd00:7::/48"),
        ("fd00:7::/49", None),
        ("::/0", "fd00:7::/48"),
    ],
)
def test_ranges_find_what_lies_inside_a_network(within: str, found: str | None) -> None:
    ranges = networks("10.1.0.0/16", "10.1.2.0/24", "10.1.255.255/32", "fd00:7::/48")

    assert ranges.inside(ip_network(within)) == (None if found is None else ip_network(found))


def test_in_no_ranges_is_nothing() -> None:
    assert networks().inside(ip_network("0.0.0.0/0")) is None
