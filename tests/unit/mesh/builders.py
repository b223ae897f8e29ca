"""Values that tests of the decisions need by the dozen."""

from dataclasses import dataclass
from ipaddress import ip_address, ip_interface

from tests.testbed.keys import key
from wesher.gossip import Record
from wesher.gossip.addresses import pack_ip
from wesher.mesh.base.metadata import Metadata, encode_metadata
from wesher.mesh.planning.validation import LocalMember

LOCAL = LocalMember(
    name="local",
    network=ip_interface("10.0.0.0/8"),
    overlay_addr=ip_address("10.0.0.1"),
    public_key=key(1),
    wireguard_port=51820,
)


@dataclass(frozen=True)
class Announcement:
    """What a member says of itself, as gossip's members and records carry it."""

    name: str
    addr: bytes
    meta: bytes | None


def member(name, overlay="10.0.0.2", number=2, ip="192.0.2.2", **extra):
    """Announce a member: one of ours, or without `extra` a Go peer."""
    metadata = Metadata(ip_address(overlay), key(number), has_ext=bool(extra), **extra)
    return Announcement(name, pack_ip(ip), encode_metadata(metadata, "current"))


def ours(name, overlay="10.0.0.2", number=2, ip="192.0.2.2", **extra):
    """Announce a member that can move."""
    return member(name, overlay, number, ip, version="1", **extra)


def record(name, *, ip="192.0.2.2", addr=None, port=7946, mapped=False, meta=None, **held):
    """Return a push/pull's record of a member, alive unless `state` says otherwise."""
    held = {"incarnation": 1, "state": 0, "versions": bytes([1, 5, 2, 0, 0, 0])} | held
    return Record(name, addr or pack_ip(ip, mapped=mapped), port, meta, **held)
