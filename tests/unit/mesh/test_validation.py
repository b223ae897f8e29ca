"""What a member may claim, one refusal after the other."""

import base64
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network
from typing import Any

import pytest

from tests.testbed.keys import key
from tests.unit.mesh.builders import LOCAL
from wesher.base.addresses import Address
from wesher.base.frozen import replace
from wesher.mesh.base.metadata import Metadata, Rejection, RejectionKind
from wesher.mesh.base.plan import LocalFacts
from wesher.mesh.planning.validation import LocalMember, ValidMember, validate_member

FACTS = LocalFacts(
    connected=(ip_network("10.5.0.0/16"), ip_network("192.0.2.0/24"), ip_network("10.9.0.0/31")),
    next_hops=frozenset({ip_address("10.66.0.1")}),
    resolvers=frozenset({ip_address("10.66.0.53")}),
    own_addresses=frozenset({LOCAL.overlay_addr, ip_address("10.66.0.2")}),
)
GOOD = Metadata(ip_address("10.0.0.2"), key(2), has_ext=True)
UNDERLAY = ip_address("192.0.2.2")


def check(
    name: str = "web",
    underlay: IPv4Address | IPv6Address = UNDERLAY,
    local: LocalMember = LOCAL,
    facts: LocalFacts = FACTS,
    **changes: Any,
) -> Rejection | ValidMember:
    return validate_member(name, replace(GOOD, **changes), underlay, local, facts)


def valid(**changes: Any) -> ValidMember:
    member = check(**changes)
    assert isinstance(member, ValidMember)
    return member


def rejected(name: str = "web", **changes: Any) -> Rejection:
    member = check(name, **changes)
    assert isinstance(member, Rejection)
    return member


def test_a_member_without_fault_is_trusted() -> None:
    assert check() == ValidMember(
        name="web",
        overlay_addr=ip_address("10.0.0.2"),
        public_key=key(2),
        endpoint=Address(str(UNDERLAY), 51820),
        allowed_ips=(ip_network("10.0.0.2/32"),),
        metadata=GOOD,
    )


def test_an_ipv6_member_gets_a_route_of_128_bits() -> None:
    local = replace(LOCAL, network=ip_interface("fd00::/8"))

    trusted = valid(local=local, overlay_addr=ip_address("fd00::2"))

    assert trusted.allowed_ips == (ip_network("fd00::2/128"),)


@pytest.mark.parametrize(
    ("changes", "endpoint"),
    [
        ({}, "192.0.2.2:51820"),
        ({"wireguard_port": 4500}, "192.0.2.2:4500"),
        ({"endpoint": "198.51.100.7"}, "198.51.100.7:51820"),
        ({"endpoint": "2001:db8::7", "wireguard_port": 1}, "[2001:db8::7]:1"),
    ],
)
def test_the_endpoint_is_the_advertised_one_else_the_members_address_and_our_port(
    changes: dict[str, Any], endpoint: str
) -> None:
    assert str(valid(**changes).endpoint) == endpoint


@pytest.mark.parametrize(
    ("changes", "immovable"),
    [({}, False), ({"immovable": True}, True), ({"has_ext": False}, True)],
)
def test_go_peers_and_fixed_addresses_are_immovable(
    changes: dict[str, Any], immovable: bool
) -> None:
    assert valid(**changes).immovable is immovable


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        ("two words", "letters"),
        ("evil\n0.0.0.0", "letters"),
        ("x" * 254, "253"),
        ("10.0.0.2", "address"),
        ("localhost", "host itself"),
        ("ip6-loopback", "host itself"),
    ],
)
def test_names_that_could_mislead_are_refused(name: str, why: str) -> None:
    refusal = rejected(name)

    assert refusal.kind is RejectionKind.NAME
    assert why in refusal.reason


@pytest.mark.parametrize(
    ("address", "why"),
    [
        (None, "no overlay address"),
        ("11.0.0.2", "outside our overlay network"),
        ("fd00::2", "outside our overlay network"),
        ("::ffff:10.0.0.2", "outside our overlay network"),
        ("10.5.3.4", "inside 10.5.0.0/16"),
        ("10.66.0.1", "gateway"),
        ("10.66.0.53", "name server"),
        ("10.66.0.2", "address of this host"),
    ],
)
def test_overlay_addresses_that_would_divert_other_traffic_are_refused(
    address: str | None, why: str
) -> None:
    refusal = rejected(overlay_addr=address and ip_address(address))

    assert refusal.kind is RejectionKind.ADDRESS
    assert why in refusal.reason


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("0.0.0.0/0", "127.0.0.1"),
        ("0.0.0.0/0", "224.0.0.1"),
        ("0.0.0.0/0", "0.0.0.0"),
        ("::/0", "::1"),
        ("::/0", "ff02::1"),
        ("fe80::/10", "fe80::1%eth0"),
    ],
)
def test_special_addresses_are_refused_however_large_the_network(
    network: str, address: str
) -> None:
    local = replace(LOCAL, network=ip_interface(network))

    refusal = rejected(local=local, overlay_addr=ip_address(address))

    assert refusal.kind is RejectionKind.ADDRESS


def test_the_network_and_broadcast_address_of_a_go_peer_are_accepted() -> None:
    local = replace(LOCAL, network=ip_interface("10.0.7.0/24"))

    for address in "10.0.7.0", "10.0.7.255":
        assert isinstance(check(local=local, overlay_addr=ip_address(address)), ValidMember)


def test_a_claim_to_our_own_overlay_address_is_weighed_not_refused() -> None:
    assert isinstance(check(overlay_addr=LOCAL.overlay_addr), ValidMember)


def test_a_member_of_another_overlay_network_is_told_from_a_wrong_address() -> None:
    refusal = rejected(overlay_addr=ip_address("172.16.0.1"), overlay_net="172.16.0.0/12")

    assert refusal == Rejection(
        RejectionKind.NETWORK, "is in overlay network 172.16.0.0/12, we are in 10.0.0.0/8"
    )


@pytest.mark.parametrize(
    ("public_key", "why"),
    [
        ("", "0 bytes"),
        ("?" * 44, "base64"),
        ("é" * 44, "base64"),
        (key(2) + "\n", "base64"),
        (key(2)[:-1], "base64"),
        (base64.b64encode(bytes(31)).decode(), "31 bytes"),
        (base64.b64encode(bytes(33)).decode(), "33 bytes"),
        (key(2)[:-2] + "J=", "usual form"),
        (key(0), "zero"),
        (key(1), "ours"),
    ],
)
def test_keys_that_wireguard_or_we_could_not_use_are_refused(public_key: str, why: str) -> None:
    refusal = rejected(public_key=public_key)

    assert refusal.kind is RejectionKind.KEY
    assert why in refusal.reason


@pytest.mark.parametrize("advertised", [False, True])
@pytest.mark.parametrize(
    ("ip", "why"),
    [
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("192.0.2.255", "broadcast"),
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
    ],
)
def test_endpoints_that_are_no_hosts_are_refused(ip: str, why: str, advertised: bool) -> None:
    refusal = rejected(endpoint=ip) if advertised else rejected(underlay=ip_address(ip))

    assert refusal.kind is RejectionKind.ENDPOINT
    assert why in refusal.reason


@pytest.mark.parametrize("ip", ["10.9.0.1", "192.0.2.254", "10.0.0.255"])
def test_endpoints_that_only_look_like_broadcast_are_accepted(ip: str) -> None:
    assert isinstance(check(endpoint=ip), ValidMember)


def test_loopback_endpoints_are_accepted_where_we_bind_to_loopback() -> None:
    facts = replace(FACTS, loopback_bound=True)

    assert isinstance(check(underlay=ip_address("127.0.0.2"), facts=facts), ValidMember)
