"""A network behind a member: what the member says of it, and the bytes it takes to say so.

In `Ext` the networks are one string of bytes, the first ones in front. Each is a byte for family
and prefix length, 0 to 32 for IPv4 and 33 to 161 for IPv6 (33 more than its length), and as many
bytes of the prefix as that has. A byte 254 and another say the priority of all that follow, until
then 0; a byte 255 says that those which follow give way to another member's.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network

from wesher.base.frozen import frozen, replace
from wesher.mesh.base.plan import IPNetwork

MOST_PRIORITY = 255
MAX_ROUTES = 16  # of one member; most are less, and each may have to be weighed against all others
ROUTES_ROOM = 90
"""Bytes of a member's metadata for them, whatever else it says: eight IPv6 networks of 64 bits, or
sixteen IPv4 networks of 24, and what says their priorities."""

PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))
"""Those of RFC 1918 and RFC 4193."""
_EVERYWHERE = tuple(map(ip_network, ("0.0.0.0/0", "::/0")))
_ACCEPTED: Mapping[str, tuple[IPNetwork, ...]] = {
    "private": PRIVATE,
    "all": _EVERYWHERE,
    "none": (),
}

_IPV6 = 33
_PRIORITY, _YIELDING = 254, 255
_SPECIAL = (
    *map(ip_network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")),
    *map(ip_network, ("::/96", "::ffff:0:0/96", "fe80::/10", "ff00::/8")),
)
"""This host, loopback, one link's own, several hosts at a time, IPv4 written as IPv6."""


@frozen
class Route:
    """A network that is reached through the member; of equal ones the smallest `priority` is taken.

    One that is `yielding` leaves it to another member, which had a network like that first.
    """

    network: IPNetwork
    priority: int = 0
    yielding: bool = False

    @classmethod
    def parse(cls, text: str) -> "Route":
        """Read `CIDR` or `CIDR@PRIORITY`; raises ValueError with a reason for the operator."""
        word, at, priority = text.partition("@")
        try:
            network = ip_network(word)
        except ValueError:
            raise ValueError(_no_network(word)) from None
        if problem := unusable(network):
            raise ValueError(f"{network} {problem}")
        if at and not (priority.isascii() and priority.isdigit() and len(priority) <= 3):
            raise ValueError(f"{text!r} has no priority from 0 to {MOST_PRIORITY} after the @")
        if at and int(priority) > MOST_PRIORITY:
            raise ValueError(f"{text!r} has a priority above {MOST_PRIORITY}")
        return cls(network, int(priority or 0))

    @property
    def claim(self) -> tuple[IPNetwork, bool]:
        """What is had by whoever was first; to give way is to claim another thing."""
        return self.network, self.yielding

    def __str__(self) -> str:
        return f"{self.network}@{self.priority}" if self.priority else str(self.network)


@frozen
class Accepted:
    """Inside which networks those of other members are taken; an operator may have `named` them."""

    networks: tuple[IPNetwork, ...] = PRIVATE
    named: bool = False

    @classmethod
    def parse(cls, text: str) -> "Accepted":
        """Read `private`, `all`, `none` or `CIDR,…`; raises ValueError with a reason."""
        word = text.strip().lower()
        if word in _ACCEPTED:
            return cls(_ACCEPTED[word])
        networks = tuple(_parse_accepted(one.strip()) for one in text.split(",") if one.strip())
        if not networks:
            raise ValueError(f"{text!r} is neither private, all, none nor a list of networks")
        return cls(networks, named=True)


@frozen
class Routing:
    """What an operator decided of networks behind members.

    `announced` are those behind this one; without `routed` those of others get no routes.
    """

    announced: tuple[Route, ...] = ()
    accepted: Accepted = Accepted()
    routed: bool = True


def _parse_accepted(word: str) -> IPNetwork:
    try:
        network = ip_network(word)
    except ValueError:
        raise ValueError(_no_network(word)) from None
    if network.prefixlen == 0:
        raise ValueError(f"{word} is the default route, which no member can carry yet: write all")
    return network


def _no_network(word: str) -> str:
    try:
        meant = ip_network(word, strict=False)
    except ValueError:
        return f"{word!r} is not a network: write it like 192.168.7.0/24"
    return f"{word!r} is an address in a network: write {meant}"


def unusable(network: IPNetwork) -> str | None:
    """Say why no member can carry a network, as what goes after its name; None if one can."""
    if network.prefixlen == 0:
        return "is the default route, which no member can carry yet"
    special = (one for one in _SPECIAL if overlap(one, network))
    return next((f"overlaps {one}, which is no network of hosts" for one in special), None)


def overlap(one: IPNetwork, other: IPNetwork) -> bool:
    """Tell whether two networks of any family have an address in common."""
    return one.version == other.version and one.overlaps(other)


def inside(network: IPNetwork, networks: Iterable[IPNetwork]) -> bool:
    """Tell whether one of these wholly contains `network`."""
    if isinstance(network, IPv4Network):
        return any(network.subnet_of(one) for one in networks if isinstance(one, IPv4Network))
    return any(network.subnet_of(one) for one in networks if isinstance(one, IPv6Network))


def fitting(routes: Iterable[Route]) -> int:
    """Return how many of these, from the first, have room in a member's metadata."""
    fit: list[Route] = []
    for route in routes:
        fit.append(route)
        if len(fit) > MAX_ROUTES or most_bytes(fit) > ROUTES_ROOM:
            return len(fit) - 1
    return len(fit)


def most_bytes(routes: Iterable[Route]) -> int:
    """Return how many bytes these take at most, whichever of them come to be yielding."""
    routes = list(routes)
    entries = len(encode_routes(replace(one, priority=0, yielding=False) for one in routes))
    priorities = {one.priority for one in routes}
    return entries + 1 + 4 * len(priorities)


def encode_routes(routes: Iterable[Route]) -> bytes:
    """Return the bytes that say them."""
    data = bytearray()
    yielding, priority = False, 0
    for one in sorted(routes, key=_order):
        if one.yielding and not yielding:
            data.append(_YIELDING)
            yielding = True
        if one.priority != priority:
            data += bytes([_PRIORITY, one.priority])
            priority = one.priority
        length = one.network.prefixlen
        data.append(length + _IPV6 if one.network.version == 6 else length)
        data += one.network.network_address.packed[: _size(length)]
    return bytes(data)


def decode_routes(value: object) -> tuple[Route, ...]:
    """Read what `encode_routes` wrote; ValueError for anything else, and for too many."""
    if not isinstance(value, bytes):
        raise ValueError("malformed routes")
    routes = tuple(_decode(value))
    if len(routes) > MAX_ROUTES or len({one.network for one in routes}) < len(routes):
        raise ValueError("too many routes, or one twice")
    return routes


def _decode(data: bytes) -> Iterator[Route]:
    yielding, priority, at = False, 0, 0
    while at < len(data):
        head = data[at]
        at += 1
        if head == _YIELDING:
            yielding = True
        elif head == _PRIORITY:
            if at == len(data):
                raise ValueError("malformed routes")
            priority = data[at]
            at += 1
        else:
            end = at + _size(head - _IPV6 if head >= _IPV6 else head)
            if end > len(data):
                raise ValueError("malformed routes")
            yield Route(_network(head, data[at:end]), priority, yielding)
            at = end


def _network(head: int, prefix: bytes) -> IPNetwork:
    if head >= _IPV6:
        return IPv6Network((prefix.ljust(16, b"\0"), head - _IPV6))
    return IPv4Network((prefix.ljust(4, b"\0"), head))


def _size(length: int) -> int:
    return (length + 7) // 8


def _order(route: Route) -> tuple[bool, int, int, IPNetwork]:
    return route.yielding, route.priority, route.network.version, route.network
