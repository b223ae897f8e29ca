"""Networks behind a member as an operator writes them, and as a member announces them."""

from ipaddress import ip_address, ip_network

import pytest

from tests.testbed.keys import key
from wesher.mesh.base.metadata import (
    MAX_METADATA,
    Metadata,
    MetadataFormat,
    decode_metadata,
    encode_metadata,
)
from wesher.mesh.base.routes import (
    MAX_ROUTES,
    PRIVATE,
    ROUTES_ROOM,
    Accepted,
    Route,
    decode_routes,
    encode_routes,
    fitting,
    most_bytes,
)


def route(text: str, *, yielding: bool = False) -> Route:
    parsed = Route.parse(text)
    return Route(parsed.network, parsed.priority, yielding)


EIGHT = tuple(route(f"fd00:0:0:{number:x}::/64@{number % 2}") for number in range(8))


@pytest.mark.parametrize(
    ("text", "network", "priority"),
    [
        ("192.168.7.0/24", "192.168.7.0/24", 0),
        ("192.168.7.0/24@0", "192.168.7.0/24", 0),
        ("192.168.7.5", "192.168.7.5/32", 0),
        ("fd00:7::/48@255", "fd00:7::/48", 255),
    ],
)
def test_a_route_is_a_network_and_perhaps_a_priority(
    text: str, network: str, priority: int
) -> None:
    assert route(text) == Route(ip_network(network), priority)
    assert Route.parse(str(route(text))) == route(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("office", "is not a network"),
        ("192.168.7.0/33", "is not a network"),
        ("192.168.7.9/24", "write 192.168.7.0/24"),
        ("192.168.7.0/24@", "has no priority from 0 to 255"),
        ("192.168.7.0/24@-1", "has no priority from 0 to 255"),
        ("192.168.7.0/24@٣", "has no priority from 0 to 255"),
        ("192.168.7.0/24@256", "has a priority above 255"),
        ("0.0.0.0/0", "is the default route"),
        ("::/0", "is the default route"),
        ("0.0.0.0/1", "overlaps 0.0.0.0/8"),
        ("128.0.0.0/1", "overlaps 169.254.0.0/16"),
        ("127.0.0.0/8", "overlaps 127.0.0.0/8"),
        ("169.254.1.0/24", "overlaps 169.254.0.0/16"),
        ("224.1.0.0/16", "overlaps 224.0.0.0/3"),
        ("fe80::/64", "overlaps fe80::/10"),
        ("::ffff:192.168.7.0/120", "overlaps ::ffff:0:0/96"),
    ],
)
def test_what_no_member_can_carry_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("+", r"\+")):
        Route.parse(text)


@pytest.mark.parametrize(
    ("text", "networks", "named"),
    [
        ("private", PRIVATE, False),
        ("NONE", (), False),
        ("all", (ip_network("0.0.0.0/0"), ip_network("::/0")), False),
        ("192.168.0.0/16, fd00::/8", (ip_network("192.168.0.0/16"), ip_network("fd00::/8")), True),
    ],
)
def test_what_is_accepted_is_a_word_or_networks(
    text: str, networks: tuple[object, ...], named: bool
) -> None:
    accepted = Accepted.parse(text)

    assert (accepted.networks, accepted.named) == (networks, named)


@pytest.mark.parametrize("text", ["", "some", "192.168.7.9/24", "0.0.0.0/0", "all,10.0.0.0/8"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"network|default route"):
        Accepted.parse(text)


# The bytes


def test_a_network_takes_a_byte_and_what_its_prefix_has() -> None:
    assert encode_routes([route("192.168.7.0/24")]) == bytes([24, 192, 168, 7])
    assert encode_routes([route("10.0.0.0/8")]) == bytes([8, 10])
    assert encode_routes([route("192.168.7.128/25@9")]) == bytes([254, 9, 25, 192, 168, 7, 128])
    assert encode_routes([route("fd00:7::/32", yielding=True)]) == b"\xff" + bytes(
        [65, 0xFD, 0, 0, 7]
    )


@pytest.mark.parametrize(
    "routes",
    [
        (),
        (route("10.0.0.0/8"), route("10.0.0.0/16"), route("fd00::1"), route("192.168.7.5")),
        (route("10.0.0.0/8@3"), route("10.1.0.0/16", yielding=True), route("fd00::/16@3")),
        (route("10.1.0.0/16@3", yielding=True), route("10.2.0.0/16@3"), route("10.3.0.0/16")),
        EIGHT,
    ],
)
def test_what_is_written_is_read(routes: tuple[Route, ...]) -> None:
    read = decode_routes(encode_routes(routes))

    assert set(read) == set(routes)
    assert len(read) == len(routes)
    assert encode_routes(read) == encode_routes(routes)
    assert len(encode_routes(routes)) <= most_bytes(routes)


@pytest.mark.parametrize(
    "data",
    [
        "text",
        bytes([24, 192, 168]),
        bytes([25, 192, 168, 7, 1]),
        bytes([254]),
        bytes([162]) + bytes(17),
        bytes([200]) + bytes(24),
        bytes([8, 10, 8, 10]),
        b"".join(bytes([16, 10, number]) for number in range(MAX_ROUTES + 1)),
    ],
)
def test_damaged_or_too_many_are_not_read(data: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_routes(data)


def test_any_bytes_are_read_or_refused() -> None:
    for head in range(256):
        for size in (0, 1, 4, 16, 17):
            try:
                decode_routes(bytes([head]) + bytes(size))
            except ValueError:
                continue


# Their room


def test_eight_ipv6_networks_and_sixteen_of_ipv4_fit() -> None:
    assert fitting(EIGHT) == 8
    assert fitting([route(f"192.168.{number}.0/24") for number in range(20)]) == MAX_ROUTES == 16
    assert fitting([route(f"fd00::{number:x}") for number in range(20)]) == 5


@pytest.mark.parametrize("format", ["current", "v0.2"])
def test_they_fit_beside_all_else_that_a_member_says(format: MetadataFormat) -> None:
    routes = tuple(route(f"fd00::{number:x}@{number}", yielding=number > 2) for number in range(4))
    assert ROUTES_ROOM - 17 <= most_bytes(routes) <= ROUTES_ROOM
    longest = "fdaa:bbbb:cccc:dddd:eeee:ffff:1111:2200"
    everything = Metadata(
        overlay_addr=ip_address(longest),
        public_key=key(1),
        wireguard_port=51820,
        overlay_net=f"{longest}/120",
        immovable=True,
        kept=True,
        late=True,
        preshared=True,
        answers=True,
        version="9" * 32,
        routes=routes,
        key_fingerprints=("01234567",) * 4,
        identity=bytes(32),
        has_ext=True,
    )

    data = encode_metadata(everything, format)

    assert len(data) <= MAX_METADATA
    assert set(decode_metadata(data).routes) == set(routes)
