"""What the mesh must know of this host, and the address it advertises."""

from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Any

import pytest

from wesher.base.frozen import replace
from wesher.system.host_facts import (
    HostFacts,
    address_inside,
    default_route_address,
    enclosing_network,
    first_global_address,
    host_facts,
)
from wesher.system.interface import CREATED
from wesher.system.network import Gateway, Link, LinkAddress, Network


def link(name: str, *addresses: str, narrow: tuple[str, ...] = ()) -> Link:
    found = [
        LinkAddress(ip_interface(word).ip, ip_interface(word).network, lasting=word not in narrow)
        for word in (*addresses, *narrow)
    ]
    return Link(name, True, 1500, None, tuple(found))


def network(*links: Link, gateways: tuple[Gateway, ...] = ()) -> Network:
    return Network(links={each.name: each for each in links}, gateways=gateways)


def gateway(link_name: str, hop: str | None, **rest: Any) -> Gateway:
    version = 6 if hop and ":" in hop else 4
    return Gateway(link_name, ip_address(hop) if hop else None, version, **rest)


def test_facts_leave_out_what_is_our_own(tmp_path: Path) -> None:
    host = network(
        link("lo", "127.0.0.1/8"),
        link("eth0", "192.0.2.10/24", "2001:db8::5/64", "203.0.113.5/32"),
        link("wgoverlay", "10.1.2.3/32", "10.5.0.1/16"),
        gateways=(
            gateway("eth0", "192.0.2.1", default=True),
            gateway("eth0", "fe80::1", default=True),
            gateway("wgoverlay", "10.9.9.9"),
            gateway("ppp0", None, default=True),
        ),
    )

    facts = host_facts(host, "wgoverlay", [])

    assert facts == HostFacts(
        connected=tuple(map(ip_network, ["127.0.0.0/8", "192.0.2.0/24", "2001:db8::/64"])),
        own_addresses=frozenset(
            map(ip_address, ["127.0.0.1", "192.0.2.10", "2001:db8::5", "203.0.113.5"])
        ),
        next_hops=frozenset(map(ip_address, ["192.0.2.1", "fe80::1"])),
    )


def test_what_another_cluster_gave_this_host_is_no_reason_to_warn() -> None:
    other = replace(link("wgother", "10.1.2.3/32"), alias="wesher")

    facts = host_facts(network(other), "wgoverlay", [])

    assert facts.own_addresses == {ip_address("10.1.2.3")}
    assert address_inside(ip_network("10.0.0.0/8"), facts) is None


def test_resolvers_are_read_from_every_file_there_is(tmp_path: Path) -> None:
    stub, real = tmp_path / "resolv.conf", tmp_path / "real.conf"
    stub.write_bytes(b"# nameserver 9.9.9.9\nnameserver 127.0.0.53\nsearch \xff.example\n")
    real.write_text(
        "nameserver\nnameserver nonsense\n nameserver 192.0.2.53 # office\n"
        "nameserver fe80::1%eth0\n"
    )

    facts = host_facts(Network(), "wgoverlay", [stub, tmp_path / "missing", real])

    assert facts.resolvers == {
        ip_address("127.0.0.53"),
        ip_address("192.0.2.53"),
        ip_address("fe80::1%eth0"),
    }


ETH0 = link("eth0", "192.0.2.10/24", "198.51.100.4/24", "2001:db8::5/64", narrow=("fe80::5/64",))


@pytest.mark.parametrize(
    ("gateways", "expected"),
    [
        ((), None),
        ((gateway("eth0", "192.0.2.1", default=True),), "192.0.2.10"),
        ((gateway("eth0", "198.51.100.1", default=True),), "198.51.100.4"),
        ((gateway("eth0", None, default=True),), "192.0.2.10"),
        ((gateway("eth0", "192.0.2.1"),), None),
        ((gateway("eth0", "fe80::1", default=True),), "2001:db8::5"),
        (
            (
                gateway("eth0", "fe80::1", default=True),
                gateway("eth1", "203.0.113.1", default=True),
            ),
            "203.0.113.7",
        ),
        (
            (
                gateway("eth0", "192.0.2.1", default=True, metric=200),
                gateway("eth1", "203.0.113.1", default=True, metric=100),
            ),
            "203.0.113.7",
        ),
        (
            (gateway("eth0", "192.0.2.1", default=True, source=ip_address("203.0.113.99")),),
            "203.0.113.99",
        ),
        ((gateway("wgoverlay", None, default=True),), None),
        ((gateway("gone", "192.0.2.1", default=True),), None),
        ((gateway("bare", None, default=True), gateway("eth0", None, default=True)), "192.0.2.10"),
    ],
)
def test_the_default_route_gives_the_advertised_address(
    gateways: tuple[Gateway, ...], expected: str | None
) -> None:
    host = network(
        ETH0,
        link("eth1", "203.0.113.7/24"),
        replace(link("wgoverlay", "10.1.2.3/32"), alias=CREATED),
        link("bare"),
        gateways=gateways,
    )

    found = default_route_address(host)

    assert found == (None if expected is None else ip_address(expected))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (ETH0, "192.0.2.10"),
        (link("eth0", "2001:db8::5/64", narrow=("fe80::5/64",)), "2001:db8::5"),
        (link("eth0", narrow=("fe80::5/64",)), None),
        (link("other", "192.0.2.10/24"), None),
    ],
)
def test_the_first_global_address_is_never_link_local(found: Link, expected: str | None) -> None:
    ip = first_global_address(network(replace(found)), "eth0")

    assert ip == (None if expected is None else ip_address(expected))


FACTS = HostFacts(
    connected=tuple(map(ip_network, ["192.168.0.0/16", "10.0.0.0/8", "2001:db8::/32"])),
    own_addresses=frozenset(map(ip_address, ["10.7.0.2", "10.7.0.1", "2001:db8::1"])),
)


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ("10.1.0.0/16", "10.0.0.0/8"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0/7", None),
        ("172.16.0.0/12", None),
        ("2001:db8:1::/48", "2001:db8::/32"),
        ("fd00::/8", None),
    ],
)
def test_an_overlay_inside_a_connected_network_is_found(overlay: str, expected: str | None) -> None:
    found = enclosing_network(ip_network(overlay), FACTS)

    assert found == (None if expected is None else ip_network(expected))


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [("10.0.0.0/8", "10.7.0.1"), ("10.8.0.0/16", None), ("2001::/16", "2001:db8::1")],
)
def test_an_own_address_inside_the_overlay_is_found(overlay: str, expected: str | None) -> None:
    found = address_inside(ip_network(overlay), FACTS)

    assert found == (None if expected is None else ip_address(expected))
