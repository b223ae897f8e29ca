"""What this host is, and the complete state that we want on it, as data."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from wesher.base.addresses import Address, Prefixes, Ranges
from wesher.base.frozen import EMPTY, frozen

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

USUAL_MTU = 1420  # bytes; fits links of 1500 with IPv4 and IPv6, as wg-quick's does
NO_KEY = ""
"""Instead of a preshared key."""


@frozen(hidden=("preshared_key",))
class Peer:
    """One WireGuard peer, which listens at `endpoint`; `keepalive` in seconds, 0 is off.

    `preshared_key` is in base64, NO_KEY for none; None leaves the peer the one that it has. Every
    allowed-ip is also a route, but for those that are `unrouted`.
    """

    endpoint: Address
    allowed_ips: tuple[IPNetwork, ...]
    keepalive: int = 0
    preshared_key: str | None = NO_KEY
    unrouted: frozenset[IPNetwork] = frozenset()


@frozen
class HostsEntry:
    """One line of the hosts file."""

    ip: IPAddress
    name: str


@frozen
class InterfaceSettings:
    """Our own side of the interface; `address` is set as /32 or /128.

    An `mtu` in bytes that an operator has `fixed` is set whatever the interface has, any other only
    where that is more. Routes to peers that are reached by a narrower one get less by themselves.
    """

    address: IPAddress
    listen_port: int
    mtu: int = USUAL_MTU
    fixed: bool = False


@frozen
class Plan:
    """What this host should look like; peers by WireGuard public key in base64.

    While not `complete` nothing may be removed. The
    sessions with the `forgetful`, by key, are renewed whenever `renewal` grows.
    """

    interface: InterfaceSettings
    peers: Mapping[str, Peer] = EMPTY
    hosts: tuple[HostsEntry, ...] = ()
    complete: bool = False
    forgetful: frozenset[str] = frozenset()
    renewal: int = 0


@frozen
class LocalFacts:
    """This host as it is without us: nothing here comes from our own interface."""

    connected: tuple[IPNetwork, ...] = ()
    """Networks that other interfaces are connected to."""
    routed: Prefixes = Prefixes()
    """Networks inside the overlay network, and narrower, that others' routes lead to."""
    own_routes: Ranges = Ranges()
    """Destinations of others' routes, as far as members may announce such networks."""
    own_addresses: frozenset[IPAddress] = frozenset()
    next_hops: frozenset[IPAddress] = frozenset()
    resolvers: frozenset[IPAddress] = frozenset()
    foreign_host_names: Mapping[str, int] = EMPTY
    """Names on lines of the hosts file that are not ours, in lower case, with the first line."""
    talks_from: IPAddress | None = None
    """Where our packets to members come from, if the operator had us announce another address."""
    loopback_bound: bool = False
    """Whether our gossip is bound to a loopback address."""

    def objection(self, ip: IPAddress) -> str | None:
        """Say what a host route to `ip` through the mesh would cut off, or None when nothing."""
        if ip in self.next_hops:
            return "is a gateway of this host"
        if ip in self.resolvers:
            return "is a name server of this host"
        if ip in self.own_addresses:
            return "is an address of this host"
        if network := next((network for network in self.connected if ip in network), None):
            return f"is inside {network}, which this host is connected to"
        if routed := self.routed.containing(ip):
            return f"is inside {routed}, which this host has another route to"
        return None
