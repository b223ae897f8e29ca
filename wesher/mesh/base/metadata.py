"""What a member publishes about itself: two fields as Go writes them, and a third of our own.

`Ext` is a byte string that Go peers ignore: a msgpack map with these keys.

| key | what | as |
|---|---|---|
| v | version of wesher | text, letters, digits and `.+~-`, 32 at most |
| p | WireGuard port | 1 to 65535 |
| e | advertised endpoint, when it differs from the member's address | 4 or 16 bytes |
| n | overlay network | text, `10.0.0.0/8` |
| i | the overlay address cannot move (`--overlay-addr`) | true |
| k | the overlay address was kept from before this start | true |
| y | the overlay address cannot move, and neither could its holder when we came | true |
| m | it answers questions of members (decision 27) | true |
| r | networks behind the member | bytes, see `routes` |
| q | preshared keys are used (planning/preshared_keys.py) | true |
| d | public key of the member's identity | 32 bytes of Ed25519 |
| g | its signature, see `signing`: always the last entry | 64 bytes |
| f | fingerprints of the cluster keys held, the primary one first | four bytes each, 4 at most |

Unknown keys are ignored. An `Ext` that is damaged counts as absent, so its member is treated as a
Go peer, which is what it looks like.
"""

import re
from collections.abc import Callable, Mapping
from enum import Enum
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Literal

import msgpack

from wesher.base.errors import ProtocolError
from wesher.base.frozen import frozen
from wesher.base.naming import FINGERPRINT_SIZE, split_fingerprints
from wesher.gossip import Alive, Member, Record
from wesher.mesh.base import gob
from wesher.mesh.base.identity import KEY_SIZE, SIGNATURE_SIZE
from wesher.mesh.base.plan import IPAddress
from wesher.mesh.base.routes import Route, decode_routes, encode_routes

MetadataFormat = Literal["current", "v0.2"]

MAX_METADATA = 512  # bytes, memberlist's limit
MAX_FINGERPRINTS = 4  # told of; a rotation takes two, a second one in its middle three
FINGERPRINT_ROOM = 4 + MAX_FINGERPRINTS * FINGERPRINT_SIZE
"""Bytes of it that fingerprints may take, kept free by those that tell of fewer."""

SIGNATURE_ENTRY = b"\xa1g\xc4\x40"
"""What msgpack puts before 64 bytes of a signature: its key, a byte string, and its length."""

_STRUCT_TYPE = 65
_ADDRESS_TYPE = 66
_ZONE = re.compile(r"[A-Za-z0-9._-]{1,32}")
_VERSION = re.compile(r"[A-Za-z0-9.+~-]{1,32}")


class RejectionKind(Enum):
    """Which claim of a member we do not act upon."""

    PENDING = "no metadata yet"
    METADATA = "unreadable metadata"
    NAME = "name"
    NETWORK = "another overlay network"
    ADDRESS = "overlay address"
    KEY = "WireGuard key"
    ENDPOINT = "endpoint"


@frozen
class Rejection:
    """Why a member is not a peer; `reason` is a text for the operator that goes after its name."""

    kind: RejectionKind
    reason: str


@frozen
class Metadata:
    """One member's metadata; only the shape has been checked, nothing is trusted yet.

    `endpoint` is the text of an IP address, `overlay_net` that of a network. Without `has_ext` the
    member is a Go peer, and none of the fields from `wireguard_port` to `version` is known.
    `key_fingerprints`, of the cluster keys that it holds, are those of `fingerprint`, the primary
    key's first; without any it is older than them. `identity` is a public key, of which `signing`
    tells whether it is the member's own.
    """

    overlay_addr: IPAddress | None = None
    public_key: str = ""
    wireguard_port: int | None = None
    endpoint: str | None = None
    overlay_net: str | None = None
    immovable: bool = False
    kept: bool = False
    late: bool = False
    preshared: bool = False
    answers: bool = False
    version: str | None = None
    routes: tuple[Route, ...] = ()
    key_fingerprints: tuple[str, ...] = ()
    identity: bytes | None = None
    format: MetadataFormat = "current"
    has_ext: bool = False


def encode_metadata(metadata: Metadata, format: MetadataFormat) -> bytes:
    """Return the bytes to publish; `Ext` is among them if the metadata says so.

    The metadata's own `format` does not matter here. With an identity there is room for a signature
    at the end. Raises ValueError when the result is too long.
    """
    fields = [("OverlayAddr", _ADDRESS_TYPE), ("PubKey", gob.STRING)]
    key = gob.encode_bytes(metadata.public_key.encode()) if metadata.public_key else b""
    values = [_ENCODE_ADDRESS[format](metadata.overlay_addr), key]
    if metadata.has_ext:
        fields.append(("Ext", gob.BYTES))
        values.append(gob.encode_bytes(_encode_ext(metadata)))
    data = (
        gob.define_struct(_STRUCT_TYPE, "nodeMeta", fields)
        + _ADDRESS_DEFINITION[format]
        + gob.encode_value(_STRUCT_TYPE, gob.encode_struct(values))
    )
    used = _fingerprint_bytes(metadata)
    if len(data) > MAX_METADATA - FINGERPRINT_ROOM + (4 + len(used) if used else 0):
        raise ValueError(f"metadata of {len(data)} bytes")
    return data


def decode_metadata(data: bytes) -> Metadata:
    """Read metadata of either Go format; raises ProtocolError and nothing else."""
    fields = gob.decode(data)
    if "OverlayAddr" not in fields and "PubKey" not in fields:
        raise ProtocolError("metadata has none of the fields we know")
    address = fields.get("OverlayAddr")
    key = fields.get("PubKey")
    if key is not None and not isinstance(key, str):
        raise ProtocolError("metadata holds a key that is no text")
    return Metadata(
        overlay_addr=_decode_address(address),
        public_key=key or "",
        format="v0.2" if isinstance(address, dict) else "current",
        **_decode_ext(fields.get("Ext")),
    )


def _encode_netip(address: IPAddress | None) -> bytes:
    """Encode Go's netip.Addr; an IPv6 zone follows the 16 bytes."""
    if address is None:
        return b""
    zone = address.scope_id if isinstance(address, IPv6Address) else None
    return gob.encode_bytes(address.packed + (zone or "").encode())


def _encode_ipnet(address: IPAddress | None) -> bytes:
    """Encode Go's net.IPNet, a plain struct, which gob never leaves out."""
    if address is None:
        return gob.encode_struct([])
    mask = b"\xff" * len(address.packed)
    return gob.encode_struct([gob.encode_bytes(address.packed), gob.encode_bytes(mask)])


_ENCODE_ADDRESS: Mapping[MetadataFormat, Callable[[IPAddress | None], bytes]] = {
    "current": _encode_netip,
    "v0.2": _encode_ipnet,
}
_ADDRESS_DEFINITION: Mapping[MetadataFormat, bytes] = {
    "current": gob.define_marshaler(_ADDRESS_TYPE, "Addr"),
    "v0.2": gob.define_struct(_ADDRESS_TYPE, "IPNet", [("IP", gob.BYTES), ("Mask", gob.BYTES)]),
}


def _decode_address(value: gob.Value) -> IPAddress | None:
    if isinstance(value, gob.Opaque):
        return _parse_address(value.data[:16], value.data[16:])
    if isinstance(value, dict):
        ip = value.get("IP")
        # Go's net.IP means one address by both its forms; netip.Addr, above, does not.
        return _unmapped(_parse_address(ip if isinstance(ip, bytes) else b"", b""))
    if value is not None:
        raise ProtocolError("metadata holds an overlay address of the wrong type")
    return None


def _parse_address(packed: bytes, zone: bytes) -> IPAddress | None:
    if not packed:
        return None
    if len(packed) not in (4, 16):
        raise ProtocolError(f"metadata holds an overlay address of {len(packed)} bytes")
    address = ip_address(packed)
    if not zone:
        return address
    text = zone.decode("ascii", "replace")
    if not _ZONE.fullmatch(text):
        raise ProtocolError("metadata holds an overlay address with a malformed zone")
    return IPv6Address(f"{address}%{text}")


def _unmapped(address: IPAddress | None) -> IPAddress | None:
    """Return the IPv4 address that an IPv4-mapped one means, any other as it is."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _encode_ext(metadata: Metadata) -> bytes:
    endpoint = metadata.endpoint and ip_address(metadata.endpoint).packed
    fields = {
        "v": metadata.version,
        "p": metadata.wireguard_port,
        "e": endpoint,
        "n": metadata.overlay_net,
        "i": metadata.immovable,
        "k": metadata.kept,
        "y": metadata.late,
        "q": metadata.preshared,
        "m": metadata.answers,
        "r": encode_routes(metadata.routes),
        "f": _fingerprint_bytes(metadata),
        "d": metadata.identity,
        "g": metadata.identity and bytes(SIGNATURE_SIZE),  # nothing comes after it
    }
    packed: bytes = msgpack.packb({key: value for key, value in fields.items() if value})
    return packed


def _fingerprint_bytes(metadata: Metadata) -> bytes:
    return b"".join(map(bytes.fromhex, metadata.key_fingerprints[:MAX_FINGERPRINTS]))


def _decode_ext(value: gob.Value) -> dict[str, Any]:
    """Return the fields of Metadata that come from `Ext`: none when it is missing or damaged."""
    if not isinstance(value, bytes):
        return {}
    try:
        fields = msgpack.unpackb(value)
        if not isinstance(fields, dict):
            raise ValueError("not a map")
        known = {field: parse(fields[key]) for key, (field, parse) in _EXT.items() if key in fields}
    except (ValueError, TypeError):
        return {}
    return {**known, "has_ext": True}


def _parse_version(value: object) -> str:
    if not isinstance(value, str) or not _VERSION.fullmatch(value):
        raise ValueError("malformed version")
    return value


def _parse_port(value: object) -> int:
    if type(value) is not int or not 1 <= value <= 65535:
        raise ValueError("malformed port")
    return value


def _parse_endpoint(value: object) -> str:
    if not isinstance(value, bytes):
        raise ValueError("malformed endpoint")
    return str(_unmapped(ip_address(value)))


def _parse_network(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("malformed network")
    return str(ip_network(value))


def _parse_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("malformed flag")
    return value


def _parse_fingerprints(value: object) -> tuple[str, ...]:
    if not isinstance(value, bytes) or not value or len(value) % FINGERPRINT_SIZE:
        raise ValueError("malformed fingerprints")
    return split_fingerprints(value[: MAX_FINGERPRINTS * FINGERPRINT_SIZE])


def _parse_identity(value: object) -> bytes:
    if not isinstance(value, bytes) or len(value) != KEY_SIZE:
        raise ValueError("malformed identity")
    return value


_EXT: Mapping[str, tuple[str, Callable[[object], object]]] = {
    "v": ("version", _parse_version),
    "p": ("wireguard_port", _parse_port),
    "e": ("endpoint", _parse_endpoint),
    "n": ("overlay_net", _parse_network),
    "i": ("immovable", _parse_flag),
    "k": ("kept", _parse_flag),
    "y": ("late", _parse_flag),
    "q": ("preshared", _parse_flag),
    "m": ("answers", _parse_flag),
    "r": ("routes", decode_routes),
    "f": ("key_fingerprints", _parse_fingerprints),
    "d": ("identity", _parse_identity),
}


DECODED = 2048  # metadata values kept decoded, shared by all nodes of this process


Announced = Member | Record | Alive
"""What a member, or a record of one, says of itself."""


def read_metadata(member: Announced) -> Metadata | Rejection:
    """Return a member's metadata, or why there is none."""
    if not member.meta:
        return Rejection(RejectionKind.PENDING, "has not published its key and address yet")
    return _decode(member.meta)


def read_key(meta: bytes | None) -> str | None:
    """Return the WireGuard key in a member's metadata, None if there is none to be read."""
    found = _decode(meta) if meta else None
    return (found.public_key or None) if isinstance(found, Metadata) else None


def key_fingerprints(member: Announced) -> tuple[str, ...]:
    """Return which keys a member says it holds, the primary one first; none if it says nothing."""
    found = _decode(member.meta) if member.meta else None
    return found.key_fingerprints if isinstance(found, Metadata) else ()


def is_of_ours(meta: bytes | None) -> bool:
    """Tell whether metadata is that of a member of ours, not of the original."""
    found = _decode(meta) if meta else None
    return isinstance(found, Metadata) and found.has_ext


@lru_cache(maxsize=DECODED)
def _decode(meta: bytes) -> Metadata | Rejection:
    try:
        return decode_metadata(meta)
    except ProtocolError as error:
        return Rejection(RejectionKind.METADATA, f"has unreadable metadata: {error}")
