"""What a route through the mesh would cut off on this host."""

from ipaddress import ip_address, ip_network

import pytest

from wesher.base.addresses import Prefixes
from wesher.mesh.base.plan import LocalFacts

FACTS = LocalFacts(
    connected=(ip_network("10.5.0.0/16"), ip_network("fd05::/64")),
    routed=Prefixes.of(map(ip_network, ["10.8.50.0/24", "10.9.0.7/32", "fd08:0:0:50::/64"])),
    own_addresses=frozenset({ip_address("10.6.0.1")}),
    next_hops=frozenset({ip_address("10.5.0.1")}),
    resolvers=frozenset({ip_address("10.7.0.53"), ip_address("fd07::53")}),
)


@pytest.mark.parametrize(
    ("ip", "why"),
    [
        ("10.5.0.1", "gateway"),
        ("10.5.200.1", "10.5.0.0/16"),
        ("fd05::9", "fd05::/64"),
        ("10.8.50.255", "10.8.50.0/24, which this host has another route to"),
        ("10.9.0.7", "10.9.0.7/32"),
        ("fd08:0:0:50::1", "fd08:0:0:50::/64"),
        ("10.6.0.1", "address of this host"),
        ("10.7.0.53", "name server"),
        ("fd07::53", "name server"),
    ],
)
def test_a_route_that_would_cut_the_host_off_is_objected_to(ip: str, why: str) -> None:
    assert why in str(FACTS.objection(ip_address(ip)))


@pytest.mark.parametrize(
    "ip", ["10.6.0.2", "10.4.255.255", "fd05:0:0:1::1", "10.8.51.1", "fd08:0:0:51::1"]
)
def test_other_addresses_are_free(ip: str) -> None:
    assert FACTS.objection(ip_address(ip)) is None
