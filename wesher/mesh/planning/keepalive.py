"""Towards whom an idle tunnel is kept open.

A NAT forgets whom it lets in once nobody inside has sent for a while, often after 30 s of UDP. Then
a member behind it cannot be reached until it sends something itself. WireGuard's keepalive, a
packet of 32 bytes, is that something. It is of use only on the inside of a NAT, and costs every
idle host packets; so by itself, `--keepalive auto`, a member sends it only where a NAT is sure:

* its own address is none of the public internet's, or others are told one that this host does not
  have (1:1 NAT, a port that is forwarded), and the peer's is a public one;
* the peer has answered a ping and said that this came from an address which is none of this host's.

Neither is so within one network, nor between public hosts, whatever firewalls they have: those must
let WireGuard's port in anyway.
"""

from ipaddress import ip_address

from wesher.base.addresses import Address
from wesher.base.frozen import frozen
from wesher.gossip import SeenAt
from wesher.mesh.base.plan import IPAddress, LocalFacts

AUTO = 25  # seconds; shorter than any common NAT's patience, and what WireGuard's authors advise


@frozen
class Keepalive:
    """How often something is sent to whom.

    `seconds` are what an operator fixed, 0 for never, None to decide for each peer: then those with
    a public address are sent something if we are `inside` a NAT, and whoever sees us `elsewhere`.
    """

    seconds: int | None = None
    inside: bool = False
    elsewhere: frozenset[Address] = frozenset()

    def towards(self, gossip: Address, endpoint: str) -> int:
        """Return the seconds for a peer, 0 for never, by where its gossip and WireGuard are."""
        if self.seconds is not None:
            return self.seconds
        behind = gossip in self.elsewhere or (self.inside and ip_address(endpoint).is_global)
        return AUTO if behind else 0


OFF = Keepalive(0)


class Keepalives:
    """Remembers where the members see us come from."""

    def __init__(self) -> None:
        self._seen: dict[Address, IPAddress] = {}

    def note(self, event: SeenAt) -> None:
        """Hear from where somebody sees us come."""
        if event.ip:
            self._seen[event.by] = ip_address(event.ip)
        else:
            self._seen.pop(event.by, None)

    def decide(self, seconds: int | None, advertised: str, facts: LocalFacts) -> Keepalive:
        """Decide by what an operator fixed, the address that others are told, and this host."""
        if seconds is not None:
            return Keepalive(seconds)
        ip, ours = ip_address(advertised), facts.own_addresses
        elsewhere = frozenset(by for by, seen in self._seen.items() if seen not in ours)
        return Keepalive(None, not ip.is_global or ip not in ours, elsewhere)
