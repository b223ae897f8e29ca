"""The overlay address: Go's hash, then candidates until every free address was offered."""

import json
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest

from wesher.mesh.base.address import candidates, choose_address, overlay_address

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/overlay_addr.json").read_text())


@pytest.mark.case(40)
@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['name']}-{v['prefix']}")
def test_the_first_attempt_is_what_go_computes(vector: dict[str, str]) -> None:
    network = ip_interface(vector["prefix"])

    address = overlay_address(vector["name"], network)

    assert address == ip_address(vector["addr"])


@pytest.mark.parametrize(
    ("prefix", "address"),
    [  # the last bits of 69d061a9c5757277b806e99413dd99a5
        ("10.0.0.0/12", "10.13.153.165"),
        ("10.0.0.0/25", "10.0.0.37"),
        ("192.168.7.64/26", "192.168.7.101"),
        ("10.255.255.252/30", "10.255.255.253"),
        ("fd00::/121", "fd00::25"),
        ("10.0.0.9/32", "10.0.0.9"),
    ],
)
def test_any_prefix_length_takes_the_last_bits_of_the_hash(prefix: str, address: str) -> None:
    assert overlay_address("test", ip_interface(prefix)) == ip_address(address)


def test_later_attempts_give_other_addresses_of_the_same_network() -> None:
    network = ip_interface("10.0.0.0/8")

    addresses = {overlay_address("test", network, attempt) for attempt in range(50)}

    assert len(addresses) == 50
    assert all(address in network.network for address in addresses)


def test_the_first_candidate_is_the_address_go_takes() -> None:
    assert next(candidates("test", ip_interface("10.0.0.0/24"))) == ip_address("10.0.0.165")


def test_names_with_one_hash_part_at_the_second_attempt() -> None:
    network = ip_interface("10.0.0.0/24")
    names = [f"node{number}" for number in range(2000)]
    colliding = [n for n in names if overlay_address(n, network) == ip_address("10.0.0.231")]

    second = {overlay_address(name, network, 1) for name in colliding}

    assert len(colliding) >= 5
    assert len(second) >= len(colliding) - 1


@pytest.mark.parametrize(
    ("prefix", "count"),
    [
        ("10.0.0.0/28", 14),
        ("10.0.0.16/28", 14),
        ("10.0.0.0/24", 254),
        ("10.0.0.0/22", 1022),
        ("10.0.0.0/30", 2),
        ("10.0.0.0/31", 2),
        ("10.0.0.7/32", 1),
        ("fd00::/126", 3),
        ("fd00::/127", 2),
        ("fd00::1/128", 1),
    ],
)
def test_a_small_network_is_offered_completely_and_each_address_once(
    prefix: str, count: int
) -> None:
    network = ip_interface(prefix)

    offered = list(candidates("somebody", network))

    assert len(offered) == len(set(offered)) == count
    assert all(address in network.network for address in offered)


def test_network_and_broadcast_address_are_never_offered() -> None:
    network = ip_interface("10.0.0.0/28")

    offered = {ip for name in "abcdefghijklmnop" for ip in candidates(name, network)}

    assert offered == set(network.network.hosts())


def test_an_address_that_names_no_host_is_passed_over() -> None:
    network = ip_interface("10.0.0.0/28")
    name = next(n for n in map(str, range(999)) if str(overlay_address(n, network)) == "10.0.0.15")

    assert next(candidates(name, network)) == overlay_address(name, network, 1)


@pytest.mark.parametrize("prefix", ["10.0.0.0/8", "fd00::/64", "0.0.0.0/0", "::/0"])
def test_a_large_network_offers_a_bounded_number_of_hashes(prefix: str) -> None:
    offered = list(candidates("test", ip_interface(prefix)))

    assert 50 <= len(offered) <= 64


def test_the_whole_of_ipv4_offers_neither_multicast_nor_loopback() -> None:
    network = ip_interface("224.0.0.0/3")

    offered = [ip for name in "abcdefgh" for ip in candidates(name, network)]

    assert offered
    assert not any(ip.is_multicast for ip in offered)


def test_the_last_free_address_is_found() -> None:
    network = ip_interface("10.0.0.0/28")
    free = ip_address("10.0.0.9")

    assert choose_address("test", network, lambda ip: ip != free) == free


def test_a_full_network_has_no_address_to_give() -> None:
    assert choose_address("test", ip_interface("10.0.0.0/28"), lambda ip: True) is None
