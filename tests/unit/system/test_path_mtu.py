"""How large packets to a peer may be follows from the route to where it is."""

from ipaddress import ip_address, ip_network

import pytest

from wesher.base.addresses import Address
from wesher.mesh.base.plan import InterfaceSettings, Peer, Plan
from wesher.system.path_mtu import route_mtu, tunnel_mtus
from wesher.system.wireguard import PeerState, WireGuardState

WEB = Address("198.51.100.7", 51820)
ROUTES = {"198.51.100.7": 1500, "2001:db8::7": 1492, "203.0.113.7": 1400}


def plan(**endpoints: Address) -> Plan:
    settings = InterfaceSettings(ip_address("10.0.0.9"), 51820)
    allowed = (ip_network("10.0.0.1/32"),)
    return Plan(settings, {key: Peer(one, allowed) for key, one in endpoints.items()})


def test_wireguard_takes_60_bytes_over_ipv4_and_80_over_ipv6() -> None:
    six = Address("2001:db8::7", 51820)

    found = tunnel_mtus(plan(web=WEB, db=six), WireGuardState(), ROUTES.get)

    assert found == {"web": 1440, "db": 1412}


def test_where_no_route_leads_nothing_is_known() -> None:
    assert tunnel_mtus(plan(web=Address("192.0.2.7", 1)), WireGuardState(), ROUTES.get) == {}


def test_the_endpoint_that_a_peer_roamed_to_counts() -> None:
    roamed = PeerState(Address("203.0.113.7", 40000), frozenset())

    assert tunnel_mtus(plan(web=WEB), WireGuardState(peers={"web": roamed}), ROUTES.get) == {
        "web": 1340
    }


def test_each_address_is_asked_for_once() -> None:
    asked = []

    def ask(ip: str) -> int:
        asked.append(ip)
        return 1500

    tunnel_mtus(plan(a=WEB, b=WEB._replace(port=2)), WireGuardState(), ask)

    assert asked == [WEB.ip]


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
def test_the_kernel_tells_what_a_route_carries(ip: str) -> None:
    assert (route_mtu(ip) or 0) >= 16384
