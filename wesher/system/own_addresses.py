"""Which address of this host others are told: the one that our packets to them leave from."""

import socket
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import ip_address

from wesher.base.frozen import replace
from wesher.mesh.base.plan import IPAddress
from wesher.system.host_facts import default_route_address
from wesher.system.interface import MARKS
from wesher.system.network import Link, LinkAddress, Network

ASKED = 16  # members whose routes are looked up: more would hardly say something else
_DISCARD = 9  # a port (RFC 863); nothing is sent there


def sources_towards(targets: Iterable[IPAddress]) -> list[IPAddress]:
    """Return the addresses from which packets to the targets leave, without those of no route."""
    return [source for target in targets if (source := _source_towards(target))]


def commonest(sources: Iterable[IPAddress]) -> list[IPAddress]:
    """Return each source once, those of the most targets first."""
    return [source for source, _ in Counter(sources).most_common()]


def _source_towards(target: IPAddress) -> IPAddress | None:
    """Ask the kernel for a route; connecting a UDP socket sends nothing, and needs no process."""
    family = socket.AF_INET if target.version == 4 else socket.AF_INET6
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.connect((str(target), _DISCARD))
        return ip_address(asking.getsockname()[0])
    return None


def is_here(ip: IPAddress) -> bool:
    """Tell whether this host has the address now."""
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.bind((str(ip), 0))
        return True
    return False


def routed_address(
    network: Network, sources: Iterable[IPAddress], version: int | None
) -> IPAddress | None:
    """Return the first of `sources` that others may be told, else that of the default route.

    `version` is the only one of IP that counts, None for both: then IPv4 comes first.
    """
    usable = [ip for ip in sources if version in (None, ip.version)]
    for source in sorted(usable, key=lambda ip: ip.version):
        if address := _lasting_like(network, source):
            return address
    if version is not None:
        ours = tuple(one for one in network.gateways if one.version == version)
        network = replace(network, gateways=ours)
    return default_route_address(network)


def only_address(network: Network, version: int | None) -> IPAddress | None:
    """Return the first address of the only interface that has any others could reach."""
    for one in (4, 6) if version is None else (version,):
        if found := lasting_addresses(network, one):
            return found[0][1].ip if len({link.name for link, _ in found}) == 1 else None
    return None


def lasting_addresses(network: Network, version: int | None) -> list[tuple[Link, LinkAddress]]:
    """Return what others may reach this host at: nothing of loopback, nor of a mesh."""
    return [
        (link, address)
        for link, address in _addresses(network)
        if address.lasting and version in (None, address.ip.version)
    ]


def other_family(network: Network, version: int) -> IPAddress | None:
    """Return an address that others may reach this host at if it has none of this IP version."""
    found = lasting_addresses(network, None)
    if any(address.ip.version == version for _, address in found):
        return None
    return found[0][1].ip if found else None


def stays(network: Network, current: IPAddress, found: IPAddress) -> bool:
    """Tell whether `current` is as good as `found`: lasting, and on the same network."""
    places = {
        address.ip: (link.name, address.network)
        for link, address in lasting_addresses(network, None)
    }
    return current in places and places[current] == places.get(found)


def link_of(network: Network, ip: IPAddress) -> str | None:
    """Return the name of the interface that has this address."""
    return next((link.name for link, one in _addresses(network) if one.ip == ip), None)


def _addresses(network: Network) -> Iterator[tuple[Link, LinkAddress]]:
    for link in network.links.values():
        if link.alias not in MARKS and link.up:
            yield from ((link, one) for one in link.addresses if not one.ip.is_loopback)


def _lasting_like(network: Network, source: IPAddress) -> IPAddress | None:
    """Return `source`, or what lasts beside it: IPv6 prefers temporary addresses as sources."""
    places = [(link, one) for link, one in _addresses(network) if one.ip == source]
    if not places:
        return None
    link, place = places[0]
    if place.lasting:
        return source
    lasting = [one for one in link.addresses if one.lasting and one.ip.version == source.version]
    near = [one for one in lasting if one.network == place.network]
    return next((one.ip for one in (*near, *lasting)), None)
