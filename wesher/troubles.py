"""How trouble is put into words, and what can be wrong with a host before there is any mesh.

Errors, warnings and `wesher doctor` share these words. Those about the mesh: mesh/troubles.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trouble:
    """One kind of trouble: templates of what is wrong and of what to do about it.

    `name` never changes: scripts know the trouble by it, and docs/doctor.md explains it.
    """

    name: str
    fault: str
    remedy: str

    @property
    def text(self) -> str:
        """Return the template of a warning."""
        return f"{self.fault}: {self.remedy}"

    def fault_of(self, data: Mapping[str, object]) -> str:
        """Say what is wrong."""
        return self.fault.format(**data)

    def remedy_for(self, data: Mapping[str, object]) -> str:
        """Say what to do about it."""
        return self.remedy.format(**data)


NO_RIGHTS = Trouble(
    "no-rights",
    "configuring the network needs CAP_NET_ADMIN",
    "run wesher as root (`sudo wesher`), "
    "or give its systemd unit AmbientCapabilities=CAP_NET_ADMIN",
)
NO_TOOL = Trouble("no-tool", "`{tool}` is not installed", "run `apt install {package}`")
NO_WIREGUARD = Trouble(
    "no-wireguard",
    "this kernel has no WireGuard and wireguard-go is not installed",
    "run `apt install wireguard-go`, or a kernel with WireGuard",
)
NO_ADDRESS = Trouble(
    "no-address",
    "this host has no address that others could reach",
    "give it one, or give --advertise-addr",
)
SEVERAL_ADDRESSES = Trouble(
    "several-addresses",
    "this host has no default route and several addresses: {addresses}",
    "give one of them as --advertise-addr",
)
OTHER_FAMILY = Trouble(
    "other-family",
    "this host has no IPv{version} address any more, as the mesh uses, only {address}",
    "give it one again, or, once all members have addresses like that, restart wesher on each",
)
RENAMED = Trouble(
    "renamed",
    "this host is named {name} now, and the mesh knows it as {member}",
    "restart wesher: it keeps its overlay address, and the old name is given up",
)
OVERLAY_ENCLOSED = Trouble(
    "overlay-enclosed",
    "the overlay network {overlay} lies inside {network}, which this host is connected to",
    "choose another --overlay-net, the same on all hosts",
)
OVERLAY_HAS_US = Trouble(
    "overlay-has-us",
    "this host's address {address} is in the overlay network {network}",
    "choose another --overlay-net if hosts cannot be reached",
)
