"""What the decisions must know of this host, handed in as one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from wesher.base.addresses import Prefixes
from wesher.mesh.base.plan import IPAddress, IPNetwork


@dataclass(frozen=True, slots=True)
class LocalFacts:
    """This host as it is without us: nothing here comes from our own interface."""

    connected: tuple[IPNetwork, ...] = ()
    """Networks that other interfaces are connected to."""
    routed: Prefixes = field(default_factory=Prefixes)
    """Networks inside the overlay network, and narrower, that others' routes lead to."""
    own_addresses: frozenset[IPAddress] = frozenset()
    next_hops: frozenset[IPAddress] = frozenset()
    resolvers: frozenset[IPAddress] = frozenset()
    foreign_host_names: Mapping[str, int] = field(default_factory=dict)
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
