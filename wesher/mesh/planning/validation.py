"""What of a member's claims we act upon: the key says "member", not "honest".

Whoever fails a check gets no peer, no route and no line in the hosts file.
"""

import base64
import binascii
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network

from wesher.base.addresses import Address
from wesher.base.frozen import frozen
from wesher.mesh.base.address import OverlayNetwork
from wesher.mesh.base.hostnames import name_problem
from wesher.mesh.base.metadata import Metadata, Rejection, RejectionKind
from wesher.mesh.base.plan import IPAddress, IPNetwork, LocalFacts
from wesher.mesh.base.routes import Route, Routing
from wesher.mesh.planning.keepalive import OFF, Keepalive

KEY_SIZE = 32  # bytes of a WireGuard public key
BROADCAST = IPv4Address("255.255.255.255")
_ROUTING = Routing()


@frozen
class LocalMember:
    """Ourselves, as the others see us, and what an operator decided of our side of tunnels.

    `underlay` is where others reach us, `routes` the networks behind us, `mtu` only what is fixed.

    `immovable` members cannot choose another overlay address; who is `late` has taken one that
    another of these had. `kept` says that it is from before the member's start, or fixed and not
    late. `original` members run the Go program.
    """

    name: str
    network: OverlayNetwork
    overlay_addr: IPAddress
    public_key: str
    wireguard_port: int
    immovable: bool = False
    kept: bool = False
    late: bool = False
    keepalive: Keepalive = OFF
    mtu: int | None = None
    underlay: str = ""
    routes: tuple[Route, ...] = ()
    routing: Routing = _ROUTING
    has_identity: bool = False

    @property
    def original(self) -> bool:
        """Never."""
        return False


@frozen
class ValidMember:
    """A remote member whose every claim passed; `endpoint` is where its WireGuard listens.

    Its marks are those that LocalMember explains.
    """

    name: str
    overlay_addr: IPAddress
    public_key: str
    endpoint: Address
    allowed_ips: tuple[IPNetwork, ...]
    metadata: Metadata

    @property
    def immovable(self) -> bool:
        """Whether the member cannot move to another overlay address; Go peers never can."""
        return self.metadata.immovable or self.original

    @property
    def routes(self) -> tuple[Route, ...]:
        """The networks that it says to be behind it."""
        return self.metadata.routes

    @property
    def kept(self) -> bool:
        """Whether its overlay address is from before its start."""
        return self.metadata.kept

    @property
    def late(self) -> bool:
        """Whether it has taken an overlay address that another that cannot move had."""
        return self.metadata.late

    @property
    def has_identity(self) -> bool:
        """Whether it has one: whose claims were believed has proven it."""
        return self.metadata.identity is not None

    @property
    def original(self) -> bool:
        """Whether it runs the Go program."""
        return not self.metadata.has_ext


def validate_member(
    name: str, metadata: Metadata, underlay: IPAddress, local: LocalMember, facts: LocalFacts
) -> ValidMember | Rejection:
    """Check what can be checked without looking at the other members."""
    if problem := name_problem(name):
        return Rejection(RejectionKind.NAME, f"has an unusable name: {problem}")
    address = metadata.overlay_addr
    if address is None:
        return Rejection(RejectionKind.ADDRESS, "has no overlay address")
    if refusal := _network_refusal(address, metadata, local):
        return refusal
    if problem := _address_problem(address, local, facts):
        return Rejection(RejectionKind.ADDRESS, f"has overlay address {address}, which {problem}")
    if problem := _key_problem(metadata.public_key, local):
        return Rejection(RejectionKind.KEY, f"has a WireGuard key that {problem}")
    ip = ip_address(metadata.endpoint) if metadata.endpoint else underlay
    if problem := _endpoint_problem(ip, facts):
        return Rejection(RejectionKind.ENDPOINT, f"has endpoint {ip}, which {problem}")
    endpoint = Address(str(ip), metadata.wireguard_port or local.wireguard_port)
    allowed_ips = _host_routes(address)
    return ValidMember(name, address, metadata.public_key, endpoint, allowed_ips, metadata)


@lru_cache(maxsize=2048)
def _host_routes(address: IPAddress) -> tuple[IPNetwork]:
    return (ip_network(address),)


def _network_refusal(
    address: IPAddress, metadata: Metadata, local: LocalMember
) -> Rejection | None:
    ours = local.network.network
    theirs = metadata.overlay_net
    # Also where one network is inside the other: over there we are refused.
    if theirs is not None and theirs != _text(ours):
        reason = f"is in overlay network {theirs}, we are in {ours}"
        return Rejection(RejectionKind.NETWORK, reason)
    if address in ours:
        return None
    reason = f"has overlay address {address}, which is outside our overlay network {ours}"
    return Rejection(RejectionKind.ADDRESS, reason)


@lru_cache
def _text(network: IPNetwork) -> str:
    return str(network)


def _address_problem(address: IPAddress, local: LocalMember, facts: LocalFacts) -> str | None:
    if isinstance(address, IPv6Address) and address.scope_id:
        return "has a zone"
    if address.is_multicast or address.is_loopback or address.is_unspecified:
        return "is no host's"
    if address == local.overlay_addr:
        return None  # two claims to one address are weighed, not refused
    return facts.objection(address)


def _key_problem(key: str, local: LocalMember) -> str | None:
    try:
        raw = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return "is not base64"
    if len(raw) != KEY_SIZE:
        return f"is {len(raw)} bytes long instead of {KEY_SIZE}"
    # One key must have one text, since peers are told apart by it.
    if base64.b64encode(raw).decode() != key:
        return "is not in the usual form"
    if not any(raw):
        return "is zero"
    if key == local.public_key:
        return "is ours"
    return None


def _endpoint_problem(ip: IPAddress, facts: LocalFacts) -> str | None:
    if ip.is_unspecified:
        return "is unspecified"
    if ip.is_multicast:
        return "is multicast"
    if ip.is_loopback and not facts.loopback_bound:
        return "is a loopback address"
    if ip == BROADCAST or any(_is_broadcast(ip, network) for network in facts.connected):
        return "is a broadcast address"
    return None


def _is_broadcast(ip: IPAddress, network: IPNetwork) -> bool:
    if not isinstance(network, IPv4Network) or network.prefixlen > 30:
        return False
    return ip == network.broadcast_address
