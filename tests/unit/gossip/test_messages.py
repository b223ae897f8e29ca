"""Addresses as text and as bytes."""

import pytest

from wesher.gossip import Address, pack_ip, short_form, unpack_ip


@pytest.mark.parametrize(
    ("address", "text"),
    [(Address("10.0.0.1", 7946), "10.0.0.1:7946"), (Address("fd00::1", 7946), "[fd00::1]:7946")],
)
def test_an_address_reads_like_one(address: Address, text: str) -> None:
    assert str(address) == text


@pytest.mark.parametrize(
    ("ip", "mapped", "packed"),
    [
        ("10.0.0.1", False, "0a000001"),
        ("10.0.0.1", True, "00000000000000000000ffff0a000001"),
        ("fd00::1", True, "fd000000000000000000000000000001"),
    ],
)
def test_bytes_of_an_address_mean_the_address(ip: str, mapped: bool, packed: str) -> None:
    assert pack_ip(ip, mapped=mapped).hex() == packed
    assert unpack_ip(bytes.fromhex(packed)) == ip


def test_only_mapped_ipv4_is_shortened() -> None:
    assert short_form(pack_ip("10.0.0.1", mapped=True)) == pack_ip("10.0.0.1")
    assert short_form(pack_ip("fd00::1")) == pack_ip("fd00::1")


@pytest.mark.parametrize("size", [0, 3, 5, 15, 17])
def test_other_sizes_are_no_address(size: int) -> None:
    with pytest.raises(ValueError, match="address"):
        unpack_ip(bytes(size))
