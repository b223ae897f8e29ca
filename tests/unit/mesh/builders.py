"""Values that tests of the decisions need by the dozen."""

from ipaddress import ip_address, ip_interface
from typing import Any

from tests.testbed.keys import key
from wesher.gossip import Member, MemberState, Record
from wesher.gossip.messages import pack_ip
from wesher.mesh.base.metadata import Metadata, encode_metadata
from wesher.mesh.planning.validation import LocalMember

VERSIONS = bytes([1, 5, 2, 0, 0, 0])
LOCAL = LocalMember(
    name="local",
    network=ip_interface("10.0.0.0/8"),
    overlay_addr=ip_address("10.0.0.1"),
    public_key=key(1),
    wireguard_port=51820,
)


def member(
    name: str, overlay: str = "10.0.0.2", number: int = 2, ip: str = "192.0.2.2", **extra: Any
) -> Record:
    """Announce a member: one of ours, or without `extra` a Go peer."""
    metadata = Metadata(ip_address(overlay), key(number), has_ext=bool(extra), **extra)
    return record(name, ip=ip, meta=encode_metadata(metadata, "current"))


def ours(
    name: str, overlay: str = "10.0.0.2", number: int = 2, ip: str = "192.0.2.2", **extra: Any
) -> Record:
    """Announce a member that can move."""
    return member(name, overlay, number, ip, version="1", **extra)


def record(
    name: str,
    *,
    ip: str = "192.0.2.2",
    addr: bytes | None = None,
    port: int = 7946,
    mapped: bool = False,
    meta: bytes | None = None,
    **held: Any,
) -> Record:
    """Return a push/pull's record of a member, alive unless `state` says otherwise."""
    told: dict[str, Any] = {"incarnation": 1, "state": 0, "versions": VERSIONS} | held
    return Record(name, addr or pack_ip(ip, mapped=mapped), port, meta, **told)


def announced(name: str, addr: bytes, meta: bytes | None, port: int = 7946) -> Record:
    """Return what a live member says of itself."""
    return record(name, addr=addr, meta=meta, port=port)


def live(claim: Record) -> Member:
    """Return the member that gossip holds for alive by what it says of itself."""
    return Member(claim.name, claim.addr, 7946, claim.meta, VERSIONS, 1, MemberState.ALIVE, 0.0)
