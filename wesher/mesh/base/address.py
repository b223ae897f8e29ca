"""A host name's overlay address: the Go hash first, then further candidates.

See spec/memberlist.md, 8.1.
"""

from collections.abc import Callable, Iterator
from hashlib import sha256
from ipaddress import IPv4Interface, IPv6Interface

from wesher.mesh.base.plan import IPAddress

OverlayNetwork = IPv4Interface | IPv6Interface
"""The prefix as the operator wrote it, host bits included."""

HASHED = 64  # candidates by hash; in a network half full, all taken once in 2^64
SCANNED = 2**16  # addresses; networks up to this size are searched to the last one

_OFFSET = 0x6C62272E07BB014262B821756295C58D
_PRIME = 0x1000000000000000000013B
_MASK = 2**128 - 1


def overlay_address(name: str, network: OverlayNetwork, attempt: int = 0) -> IPAddress:
    """Return the address that `name` hashes to in `network`.

    Attempt 0 is what Go nodes take, unusable results included. Attempt n > 0 is the SHA-256 of
    `name#n`: the last bits of FNV depend on little but the last bits before, so names that collide
    once would collide again.
    """
    data = name.encode("utf-8", "surrogateescape")
    hashed = _sha256(data + b"#%d" % attempt) if attempt else _fnv1a(data)
    host_bits = network.max_prefixlen - network.network.prefixlen
    return network.network.network_address + (hashed & ((1 << host_bits) - 1))


def candidates(name: str, network: OverlayNetwork) -> Iterator[IPAddress]:
    """Yield usable addresses for `name`, each once, in the order in which to try them.

    After a number of hashes, networks small enough are searched completely, from the first hash
    upwards and around.
    """
    tried: set[IPAddress] = set()
    for address in _attempts(name, network):
        if address not in tried and is_usable(address, network):
            tried.add(address)
            yield address


def choose_address(
    name: str, network: OverlayNetwork, taken: Callable[[IPAddress], bool]
) -> IPAddress | None:
    """Return the first candidate that is not `taken`, or None when the network is full."""
    return next((ip for ip in candidates(name, network) if not taken(ip)), None)


def is_usable(address: IPAddress, network: OverlayNetwork) -> bool:
    """Say whether `address` may be chosen: never the network's, the broadcast or a special one.

    Networks of one or two addresses (RFC 3021, RFC 6164) have neither; in larger IPv6 ones the
    first belongs to all routers (RFC 4291, 2.6.1) and the last is as good as any.
    """
    if address.is_multicast or address.is_loopback or address.is_unspecified:
        return False
    prefix = network.network
    if prefix.prefixlen >= prefix.max_prefixlen - 1:
        return True
    if address == prefix.network_address:
        return False
    return address.version == 6 or address != prefix.broadcast_address


def _attempts(name: str, network: OverlayNetwork) -> Iterator[IPAddress]:
    for attempt in range(HASHED):
        yield overlay_address(name, network, attempt)
    size = network.network.num_addresses
    if size <= SCANNED:
        first = network.network.network_address
        start = int(overlay_address(name, network)) - int(first)
        for step in range(1, size):
            yield first + (start + step) % size


def _sha256(data: bytes) -> int:
    return int.from_bytes(sha256(data).digest(), "big")


def _fnv1a(data: bytes) -> int:
    """Return the 128-bit FNV-1a hash."""
    value = _OFFSET
    for byte in data:
        value = (value ^ byte) * _PRIME & _MASK
    return value
