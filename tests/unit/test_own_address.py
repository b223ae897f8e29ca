"""The advertised address is followed, and what cannot be followed is told."""

from ipaddress import ip_address, ip_interface

import pytest

from wesher.agent import own_address
from wesher.agent.own_address import STRANDED_AFTER, OwnAddress
from wesher.config.config import load
from wesher.system.network import Link, LinkAddress, Network

V4, V6 = "192.0.2.10/24", "2001:db8::5/64"


def network(*addresses: str) -> Network:
    found = tuple(LinkAddress(one.ip, one.network) for one in map(ip_interface, addresses))
    return Network({"eth0": Link("eth0", True, 1500, None, found)})


def own(current: str = V4, bind: str = "0.0.0.0", advertise: str | None = None) -> OwnAddress:
    flags = {"bind_addr": bind} | ({"advertise_addr": advertise} if advertise else {})
    config = load(flags, {})
    return OwnAddress(config, ip_interface(current).ip, network(V4, V6))


@pytest.mark.parametrize(("ours", "left"), [(V4, V6), (V6, V4)])
def test_a_host_that_lost_all_addresses_of_our_family_says_so_once(ours: str, left: str) -> None:
    address = own(ours)

    assert address.stranded(network(left), 100.0) is None
    assert address.stranded(network(left), 100.0 + STRANDED_AFTER) == ip_interface(left).ip
    assert address.stranded(network(left), 200.0) is None
    assert address.stranded(network(ours, left), 300.0) is None
    assert address.stranded(network(left), 400.0) is None
    assert address.stranded(network(left), 400.0 + STRANDED_AFTER) == ip_interface(left).ip


def test_an_address_that_is_only_being_replaced_is_no_reason_to_warn() -> None:
    address = own()

    assert address.stranded(network(V6), 100.0) is None
    assert address.stranded(network("192.0.2.11/24", V6), 101.0) is None
    assert address.stranded(network(V6), 100.0 + STRANDED_AFTER) is None


@pytest.mark.parametrize(
    ("address", "left"),
    [
        (own(), network()),
        (own(bind="192.0.2.10"), network(V6)),
        (own(advertise="192.0.2.10"), network(V6)),
        (own(), network(V4, V6)),
    ],
)
def test_others_are_not_told_so(address: OwnAddress, left: Network) -> None:
    for now in (100.0, 200.0, 300.0):
        assert address.stranded(left, now) is None


@pytest.mark.parametrize(
    ("address", "route", "told"),
    [
        (own(advertise="192.0.2.10"), "198.51.100.7", "198.51.100.7"),
        (own(bind="192.0.2.10"), "198.51.100.7", "198.51.100.7"),
        (own(advertise="192.0.2.10"), "192.0.2.10", None),
        (own(), "198.51.100.7", None),
        (own("203.0.113.9/24", advertise="203.0.113.9"), "192.0.2.10", None),
        (own(advertise="192.0.2.10"), "127.0.0.1", None),
    ],
)
def test_an_option_may_differ_from_the_route_to_the_seed(
    address: OwnAddress, route: str, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows the route by itself, or is of no interface here (NAT), does not differ."""
    monkeypatch.setattr(own_address, "sources_towards", lambda _: [ip_address(route)])
    two = network(V4, "198.51.100.7/24")

    found = address.talks_from(two, [ip_address("198.51.100.1")])

    assert found == (ip_address(told) if told else None)
