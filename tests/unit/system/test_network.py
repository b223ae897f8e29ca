"""What `ip` prints becomes interfaces, addresses and routes."""

import json
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from wesher.base.addresses import Prefixes, Ranges
from wesher.base.errors import CommandError
from wesher.system.network import Gateway, Link, LinkAddress, Network, Scope, parse_network

# As iproute2 6.1 printed them, less fields that nobody reads.
Shown = dict[str, Any]
"""What `ip -json` prints of one thing."""

LO = {"ifname": "lo", "flags": ["LOOPBACK", "UP"], "mtu": 65536}
WG = {"ifname": "wgoverlay", "flags": ["POINTOPOINT", "NOARP"], "mtu": 1420}


SCOPE = Scope("wgoverlay", ip_network("10.99.0.0/16"))


def parse(
    addresses: Iterable[Shown] = (),
    links: Iterable[Shown] = (),
    routes: Iterable[Shown] = (),
    scope: Scope | None = None,
) -> Network:
    lines = [json.dumps(list(each)) for each in (addresses, links, routes)]
    return parse_network("\n".join(lines) + "\n", scope)


def test_an_empty_host_is_an_empty_network() -> None:
    assert parse() == Network()


def test_links_carry_state_mtu_mark_and_addresses() -> None:
    addresses = [
        LO | {"addr_info": [{"local": "127.0.0.1", "prefixlen": 8, "scope": "254"}]},
        WG | {"addr_info": [{"local": "10.1.2.3", "prefixlen": 32, "scope": "0"}, {}]},
    ]

    network = parse(addresses, [LO, WG | {"ifalias": "wesher"}])

    assert network.links == {
        "lo": Link(
            "lo",
            True,
            65536,
            None,
            (LinkAddress(ip_address("127.0.0.1"), ip_network("127.0.0.0/8"), lasting=False),),
        ),
        "wgoverlay": Link(
            "wgoverlay",
            False,
            1420,
            "wesher",
            (LinkAddress(ip_address("10.1.2.3"), ip_network("10.1.2.3/32")),),
        ),
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"local": "192.0.2.7", "prefixlen": 24, "scope": "0"}, ("192.0.2.0/24", True)),
        (
            {"local": "192.0.2.7", "address": "203.0.113.1", "prefixlen": 32, "scope": "0"},
            ("203.0.113.1/32", True),
        ),
        ({"local": "fe80::7", "prefixlen": 64, "scope": "253"}, ("fe80::/64", False)),
        (
            {"local": "2001:db8::7", "prefixlen": 64, "scope": "0", "temporary": True},
            ("2001:db8::/64", False),
        ),
        (
            {"local": "2001:db8::7", "prefixlen": 64, "scope": "0", "deprecated": True},
            ("2001:db8::/64", False),
        ),
    ],
)
def test_an_address_tells_its_network_and_whether_it_lasts(
    fields: Shown, expected: tuple[str, bool]
) -> None:
    network = parse([LO | {"addr_info": [fields]}], [LO])

    (address,) = network.links["lo"].addresses
    assert (str(address.network), address.lasting) == expected
    assert str(address.ip) == fields["local"]


def test_our_routes_are_told_from_those_of_others() -> None:
    network = parse(
        routes=[
            {"dst": "10.9.9.9", "dev": "wgoverlay", "protocol": "87", "scope": "253"},
            {"dst": "10.9.9.0/24", "dev": "wgoverlay", "protocol": "87"},
            {"dst": "fd77::1", "dev": "wgoverlay", "protocol": "87", "pref": "medium"}
            | {"metrics": [{"mtu": 1291}]},
            {"dst": "10.8.8.8", "dev": "wg1", "protocol": "87", "metrics": [{"mtu": 1310}]},
            {"dst": "10.7.7.7", "dev": "eth0", "protocol": "3"},
            {"dst": "10.6.6.6", "protocol": "3", "nexthops": []},
            {"dst": "10.5.5.5", "dev": "wgoverlay", "protocol": "87", "table": "1000"},
            {"dst": "10.1.2.3", "type": "2", "dev": "wgoverlay", "protocol": "2", "table": "255"},
        ]
    )

    assert network.marked == {
        "wgoverlay": {
            ip_network("10.9.9.9/32"): 0,
            ip_network("10.9.9.0/24"): 0,
            ip_network("fd77::1/128"): 1291,
        },
        "wg1": {ip_network("10.8.8.8/32"): 1310},
    }
    assert network.foreign == {
        "10.7.7.7": "eth0",
        "10.6.6.6": "another table or several interfaces",
    }


@pytest.mark.parametrize(
    ("route", "inside", "outside"),
    [
        (
            {"dst": "10.99.50.0/24", "gateway": "192.0.2.1", "dev": "eth0"},
            "10.99.50.9",
            "10.99.51.1",
        ),
        ({"dst": "10.99.5.7", "dev": "ppp0", "protocol": "2"}, "10.99.5.7", "10.99.5.8"),
        ({"dst": "10.99.64.0/26", "type": "6", "protocol": "80"}, "10.99.64.63", "10.99.64.64"),
        ({"dst": "10.99.50.0/24", "nexthops": []}, "10.99.50.9", "10.99.51.1"),
    ],
)
def test_a_narrower_route_of_others_is_kept_clear_of(
    route: Shown, inside: str, outside: str
) -> None:
    network = parse(routes=[{"protocol": "3"} | route], scope=SCOPE)

    assert network.routed.containing(ip_address(inside)) == ip_network(route["dst"])
    assert network.routed.containing(ip_address(outside)) is None
    assert set(network.foreign) == {route["dst"]}


def test_that_holds_for_ipv6() -> None:
    scope = Scope("wgoverlay", ip_network("fd99::/32"))
    routes = [
        {"dst": "fd99:0:1::/48", "gateway": "fe80::1", "dev": "eth0", "pref": "medium"},
        {"dst": "fd99::/16", "gateway": "fe80::1", "dev": "eth0", "pref": "medium"},
        {"dst": "10.99.0.0/24", "dev": "eth0"},
    ]

    network = parse(routes=routes, scope=scope)

    assert network.routed == Prefixes.of([ip_network("fd99:0:1::/48")])


@pytest.mark.parametrize(
    "route",
    [
        {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "10.0.0.0/8", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "10.99.0.0/16", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "10.98.50.0/24", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "10.99.0.5", "dev": "wgother", "protocol": "87"},
        {"dst": "10.99.0.5", "dev": "wgoverlay", "protocol": "3"},
        {"dst": "10.99.50.0/24", "dev": "eth0", "table": "100"},
        {"dst": "fd99::/64", "dev": "eth0", "pref": "medium"},
    ],
)
def test_wider_routes_and_those_of_meshes_are_none_to_keep_clear_of(route: Shown) -> None:
    assert parse(routes=[route], scope=SCOPE).routed == Prefixes()


def own_routes(*routes: Shown, accepted: tuple[str, ...] = ("192.168.0.0/16",)) -> Ranges:
    scope = Scope("wgoverlay", ip_network("10.99.0.0/16"), tuple(map(ip_network, accepted)))
    return parse(routes=list(routes), scope=scope).own_routes


@pytest.mark.parametrize(
    "route",
    [
        {"dst": "192.168.7.0/24", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "192.168.0.0/16", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "192.168.7.1", "dev": "ppp0", "protocol": "2"},
        {"dst": "192.168.7.0/24", "type": "6", "protocol": "80"},
        {"dst": "192.168.7.0/24", "dev": "wgother", "protocol": "87"},
        {"dst": "192.168.7.0/24", "nexthops": []},
    ],
)
def test_networks_that_a_host_has_ways_to_are_its_own(route: Shown) -> None:
    found = own_routes(route)

    assert found == Ranges.of([ip_network(route["dst"])])
    assert found.inside(ip_network("192.168.0.0/16")) == ip_network(route["dst"])


@pytest.mark.parametrize(
    "route",
    [
        {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "192.0.0.0/8", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "172.16.7.0/24", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "192.168.7.0/24", "dev": "wgoverlay", "protocol": "87"},
        {"dst": "192.168.7.0/24", "dev": "wgoverlay", "protocol": "3"},
        {"dst": "192.168.7.0/24", "dev": "eth0", "table": "100"},
    ],
)
def test_wider_routes_ours_and_those_elsewhere_are_not(route: Shown) -> None:
    assert own_routes(route) == Ranges()


def test_a_scope_of_everything_takes_all_but_the_default_route() -> None:
    routes = [
        {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "8.8.8.0/24", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "2600::/32", "gateway": "fe80::1", "dev": "eth0"},
    ]

    found = own_routes(*routes, accepted=("0.0.0.0/0", "::/0"))

    assert found == Ranges.of(map(ip_network, ("8.8.8.0/24", "2600::/32")))


def test_routes_inside_what_is_accepted_do_not_forbid_overlay_addresses() -> None:
    scope = Scope("wgoverlay", ip_network("10.99.0.0/16"), (ip_network("10.0.0.0/8"),))
    routes = [
        {"dst": "10.5.0.0/16", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "10.99.0.0/16", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "10.99.5.0/24", "gateway": "192.0.2.1", "dev": "eth0"},
    ]

    network = parse(routes=routes, scope=scope)

    assert network.routed == Prefixes.of([ip_network("10.99.5.0/24")])
    assert network.own_routes.inside(ip_network("10.5.0.0/16"))


HOP = ip_address("192.0.2.1")
HOP6 = ip_address("fe80::1")


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        (
            {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0", "protocol": "3"},
            Gateway("eth0", HOP, 4, default=True),
        ),
        (
            {
                "dst": "default",
                "gateway": "192.0.2.1",
                "dev": "eth0",
                "prefsrc": "192.0.2.9",
                "metric": 100,
            },
            Gateway("eth0", HOP, 4, default=True, source=ip_address("192.0.2.9"), metric=100),
        ),
        ({"dst": "default", "dev": "ppp0"}, Gateway("ppp0", None, 4, default=True)),
        (
            {
                "dst": "default",
                "gateway": "fe80::1",
                "dev": "eth0",
                "metric": 1024,
                "pref": "medium",
            },
            Gateway("eth0", HOP6, 6, default=True, metric=1024),
        ),
        (
            {"dst": "default", "via": {"family": "inet6", "host": "fe80::1"}, "dev": "eth0"},
            Gateway("eth0", HOP6, 4, default=True),
        ),
        ({"dst": "10.0.0.0/8", "gateway": "192.0.2.1", "dev": "eth0"}, Gateway("eth0", HOP, 4)),
        (
            {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0", "table": "100"},
            Gateway("eth0", HOP, 4),
        ),
        (
            {"dst": "default", "nexthops": [{"gateway": "192.0.2.1", "dev": "eth0", "weight": 1}]},
            Gateway("eth0", HOP, 4, default=True),
        ),
    ],
)
def test_gateways_are_found(route: Shown, expected: Gateway) -> None:
    assert parse(routes=[route]).gateways == (expected,)


@pytest.mark.parametrize(
    "route",
    [
        {"dst": "192.0.2.0/24", "dev": "eth0", "protocol": "2"},
        {"type": "7", "dst": "default", "dev": "lo", "metric": 4294967295, "pref": "medium"},
        {"dst": "default", "protocol": "3"},
    ],
)
def test_other_routes_have_no_gateway(route: Shown) -> None:
    assert parse(routes=[route]).gateways == ()


@pytest.mark.parametrize(
    "text", ["", "[]\n[]\n", "[]\n[]\n[]\n[]\n", "{}\n[\n[]", "[]\n[{}]\n[]\n"]
)
def test_nonsense_is_a_command_error(text: str) -> None:
    with pytest.raises(CommandError, match="could not be understood"):
        parse_network(text)
