"""What the mesh must know of this host: its networks, next hops, resolvers, and its own address."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path

from wesher.base.frozen import frozen
from wesher.base.prefixes import Prefixes
from wesher.mesh.base.plan import IPAddress, IPNetwork
from wesher.system.interface import MARKS
from wesher.system.network import Link, Network

# With systemd-resolved the first names a stub on loopback, the second the true resolvers.
RESOLVER_FILES = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))


@frozen
class HostFacts:
    """The host around our interface: nothing of our own is in it.

    `routed` are the networks that `Network.routed` are;
    `overlay_addresses` are those of `own_addresses` that other clusters of ours gave this host.
    """

    connected: tuple[IPNetwork, ...] = ()
    routed: Prefixes = Prefixes()
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
