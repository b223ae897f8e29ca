"""Metadata that its member has signed (see `identity`): written, and read with who it proves.

The signature is the value of `g`, the last entry of `Ext`, which is the last field of the metadata.
"""

from functools import lru_cache

from wesher.gossip import Address, pack_ip, short_form
from wesher.mesh.base.identity import MEMBER, SIGNATURE_SIZE, Identity, is_signed
from wesher.mesh.base.metadata import SIGNATURE_ENTRY, Announced, Metadata, read_metadata

FORGED = b""
"""The identity of who names a key, and has not signed what it says with it."""
_SIGNED = -SIGNATURE_SIZE - 1  # where the signature begins; a zero comes after it
_READ = 4096  # claims: two of each of as many members as there are for long


def sign_metadata(meta: bytes, identity: Identity, name: str, address: Address) -> bytes:
    """Return encoded metadata, which names the identity's key, with the member's signature.

    It is good for this name and this address of its gossip only.
    """
    signature = identity.sign(MEMBER, *_statement(name, pack_ip(address.ip), address.port, meta))
    return meta[:_SIGNED] + signature + meta[-1:]


def identity_of(member: Announced) -> bytes | None:
    """Return the public key of who says this, None for a member without any, or FORGED."""
    found = read_metadata(member)
    if not isinstance(found, Metadata) or found.identity is None or not member.meta:
        return None
    is_true = _is_true(found.identity, member.name, member.addr, member.port, member.meta)
    return found.identity if is_true else FORGED


@lru_cache(maxsize=_READ)
def _is_true(key: bytes, name: str, addr: bytes, port: int, meta: bytes) -> bool:
    if not meta[:_SIGNED].endswith(SIGNATURE_ENTRY) or not 0 <= port < 2**16:
        return False
    return is_signed(key, meta[_SIGNED:-1], MEMBER, *_statement(name, addr, port, meta))


def _statement(name: str, addr: bytes, port: int, meta: bytes) -> tuple[bytes, ...]:
    told = name.encode(errors="surrogateescape")
    return told, short_form(addr), port.to_bytes(2, "big"), meta[:_SIGNED]
