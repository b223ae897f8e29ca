"""What a MeshNode is told when it starts."""

from wesher.base.frozen import frozen
from wesher.gossip import GossipSettings, Timing, pack_ip
from wesher.gossip.members import MAX_UNPROVEN
from wesher.mesh.base.address import OverlayNetwork
from wesher.mesh.base.hostnames import is_host_name
from wesher.mesh.base.identity import Identity
from wesher.mesh.base.metadata import MetadataFormat
from wesher.mesh.base.plan import IPAddress
from wesher.mesh.base.routes import Routing
from wesher.mesh.base.seeds import Seed
from wesher.mesh.base.trust import Trust


@frozen
class HostsNaming:
    """What the operator decided about the hosts file; `file` is None where it is left alone.

    Members are also written under the domain `suffix`, in lower case; `dots` says to write names of
    every domain.
    """

    file: str | None = "/etc/hosts"
    suffix: str | None = None
    dots: bool = False

    def names_of(self, member: str) -> tuple[str, ...]:
        """Return the names that a member should have, before it is asked whether it may."""
        if self.file is None:
            return ()
        ending = f".{self.suffix}"
        if self.suffix is None or member.lower().endswith(ending):
            return (member,)
        names = (member, member + ending)
        return tuple(name for name in names if is_host_name(name))


_NAMING = HostsNaming()
_ROUTING = Routing()


@frozen
class NodeSettings:
    """What the operator decided about this node.

    `ip` and `port` are where we advertise our gossip; `mapped` says to write the address in the
    16-byte form, as a Go node bound to 0.0.0.0 does. `forget_after` is in seconds, infinity for
    never. `interface_kept` says that our interface outlived the last agent: flows go on through it.
    `trust` says whom a name is believed to be.
    Without an `identity` we are a member that cannot prove who it is, as older versions are.
    `keepalive` is in seconds, 0 for never, None to decide for each peer, `mtu` what an operator
    fixed for the interface, in bytes, `told_wireguard_port` the port that others are told in place
    of `wireguard_port`. `first_sequence` is a random number of 32 bits; see GossipSettings for it
    and the last two of gossip.
    """

    name: str
    ip: str
    port: int
    mapped: bool
    seeds: tuple[Seed, ...]
    overlay_net: OverlayNetwork
    overlay_addr: IPAddress | None
    public_key: str
    wireguard_port: int
    metadata_format: MetadataFormat
    forget_after: float
    timing: Timing
    hosts: HostsNaming = _NAMING
    first_sequence: int = 0
    interface_kept: bool = False
    preshared_keys: bool = True
    max_members: int = 16384
    max_unproven: int = MAX_UNPROVEN
    identity: Identity | None = None
    keepalive: int | None = 0
    mtu: int | None = None
    routing: Routing = _ROUTING
    told_wireguard_port: int | None = None
    trust: Trust = "live"

    def for_gossip(self) -> GossipSettings:
        """Return what of it concerns gossip."""
        return GossipSettings(
            self.name,
            pack_ip(self.ip, mapped=self.mapped),
            self.port,
            self.timing,
            first_sequence=self.first_sequence,
            max_members=self.max_members,
            max_unproven=self.max_unproven,
        )


@frozen
class Adjustable:
    """What of the settings an operator may change while the node runs."""

    seeds: tuple[Seed, ...]
    forget_after: float
    keepalive: int | None = 0
    mtu: int | None = None
    preshared_keys: bool = True
    routing: Routing = _ROUTING
