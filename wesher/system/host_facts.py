"""What the mesh must know of this host: its networks, next hops, resolvers, and its own address."""

import socket
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from wesher.base.addresses import Prefixes, Ranges
from wesher.base.frozen import frozen, replace
from wesher.mesh.base.plan import IPAddress, IPNetwork
from wesher.system.interface import MARKS
from wesher.system.network import Link, LinkAddress, Network

# With systemd-resolved the first names a stub on loopback, the second the true resolvers.
RESOLVER_FILES = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
ASKED = 16  # members whose routes are looked up: more would hardly say something else
_DISCARD = 9  # a port (RFC 863); nothing is sent there


@frozen
class HostFacts:
    """The host around our interface: nothing of our own is in it.

    `routed` and `own_routes` are the networks that those of `Network` are;
    `overlay_addresses` are those of `own_addresses` that other clusters of ours gave this host.
    """

    connected: tuple[IPNetwork, ...] = ()
    routed: Prefixes = Prefixes()
    own_routes: Ranges = Ranges()
    own_addresses: frozenset[IPAddress] = frozenset()
    overlay_addresses: frozenset[IPAddress] = frozenset()
    next_hops: frozenset[IPAddress] = frozenset()
    resolvers: frozenset[IPAddress] = frozenset()


def host_facts(
    network: Network, interface: str, resolver_files: Iterable[Path] = RESOLVER_FILES
) -> HostFacts:
    """Gather the facts; `interface` is ours and left out."""
    links = [link for link in network.links.values() if link.name != interface]
    addresses = [address for link in links for address in link.addresses]
    connected = dict.fromkeys(
        address.network for address in addresses if address.network.num_addresses > 1
    )
    return HostFacts(
        connected=tuple(connected),
        routed=network.routed,
        own_routes=network.own_routes,
        own_addresses=frozenset(address.ip for address in addresses),
        overlay_addresses=frozenset(
            address.ip for link in links if link.alias in MARKS for address in link.addresses
        ),
        next_hops=frozenset(
            gateway.next_hop
            for gateway in network.gateways
            if gateway.next_hop is not None and gateway.link != interface
        ),
        resolvers=frozenset(ip for file in resolver_files for ip in _resolvers(file)),
    )


def default_route_address(network: Network) -> IPAddress | None:
    """Return the address that packets to the world leave from; IPv6 only if there is no IPv4.

    A default route through an interface of a mesh does not count.
    """
    meshes = {link.name for link in network.links.values() if link.alias in MARKS}
    for version in (4, 6):
        defaults = [
            gateway
            for gateway in network.gateways
            if gateway.default and gateway.version == version and gateway.link not in meshes
        ]
        for gateway in sorted(defaults, key=lambda gateway: gateway.metric):
            link = network.links.get(gateway.link)
            address = gateway.source or _address_towards(link, gateway.next_hop, version)
            if address is not None:
                return address
    return None


def first_global_address(network: Network, link_name: str) -> IPAddress | None:
    """Return the first address of an interface that others can reach, never a link-local one."""
    link = network.links.get(link_name)
    lasting = (address.ip for address in link.addresses if address.lasting) if link else iter(())
    return next(lasting, None)


def enclosing_network(overlay: IPNetwork, facts: HostFacts) -> IPNetwork | None:
    """Return the connected network that wholly contains `overlay`: such a mesh cannot work."""
    for connected in facts.connected:
        if connected.version == overlay.version and _contains(connected, overlay):
            return connected
    return None


def address_inside(overlay: IPNetwork, facts: HostFacts) -> IPAddress | None:
    """Return an address of this host that lies in `overlay`: worth a warning.

    Clusters on one host may share an overlay network: what another of ours took does not count.
    """
    foreign = facts.own_addresses - facts.overlay_addresses
    inside = sorted((ip for ip in foreign if ip in overlay), key=int)
    return inside[0] if inside else None


def _contains(outer: IPNetwork, inner: IPNetwork) -> bool:
    return inner.network_address in outer and inner.broadcast_address in outer


def _address_towards(
    link: Link | None, next_hop: IPAddress | None, version: int
) -> IPAddress | None:
    if link is None:
        return None
    usable = [one for one in link.addresses if one.lasting and one.ip.version == version]
    near = [one for one in usable if next_hop is not None and next_hop in one.network]
    return next((one.ip for one in (*near, *usable)), None)


def _resolvers(file: Path) -> Iterator[IPAddress]:
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                yield ip_address(words[1])
            except ValueError:
                continue


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
