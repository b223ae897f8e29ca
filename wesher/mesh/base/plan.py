"""The complete state we want on this host, as data, and how members become it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from wesher.base.frozen import frozen

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network


@frozen
class Endpoint:
    """Where a peer's WireGuard listens."""

    ip: IPAddress
    port: int

    @classmethod
    def parse(cls, text: str) -> "Endpoint":
        """Read `IP:PORT` or `[IPV6]:PORT`; raises ValueError, whatever the port's range."""
        ip, _, port = text.rpartition(":")
        return cls(ip_address(ip.strip("[]")), int(port))

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if self.ip.version == 6 else f"{self.ip}:{self.port}"


@frozen
class Peer:
    """One WireGuard peer; `keepalive` in seconds, 0 is off."""

    endpoint: Endpoint
    allowed_ips: tuple[IPNetwork, ...]
    keepalive: int = 0


@frozen
class HostsEntry:
    """One line of the hosts file."""

    ip: IPAddress
    name: str


@frozen
class InterfaceSettings:
    """Our own side of the interface; `address` is set as /32 or /128."""

    address: IPAddress
    listen_port: int
    mtu: int = 1420


@dataclass(frozen=True, slots=True)
class Plan:
    """What this host should look like; peers by WireGuard public key in base64.

    Every allowed-ip of a peer is also a route. While not `complete` nothing may be removed. The
    sessions with the `forgetful`, by key, are renewed whenever `renewal` grows.
    """

    interface: InterfaceSettings
    peers: Mapping[str, Peer] = field(default_factory=dict)
    hosts: tuple[HostsEntry, ...] = ()
    complete: bool = False
    forgetful: frozenset[str] = frozenset()
    renewal: int = 0
