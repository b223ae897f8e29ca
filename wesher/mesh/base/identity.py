"""Who a member is, whatever it says: an Ed25519 key of its own, and the statements it signs.

The cluster key says "member", and whoever has it can speak in any member's name. So each host makes
a key at its first start, keeps it in its state file, and signs with it what it publishes of itself.
A signature proves that the host with this key said these words at this place; which host has a name
by right it does not say. That is for who sees both sides: the one who has it and answers keeps it.

The statement of a member is what it publishes (`meta`) with its name and the address and port of
its gossip before, so that a copy is of no use under another name or at another place. The signature
is the last of the metadata: 64 bytes, and the zero that ends gob's struct. So what is signed is all
that comes before it, byte for byte as it was received: nothing is decoded to be encoded again, and
what later versions put in is covered as well.

The incarnation is not signed, as it rises with every refutation. So who has the cluster key can say
a member's own words once more at a higher one; they are the same words, of the same host.
"""

import hashlib
from functools import lru_cache
from importlib import import_module
from typing import Any

from wesher.base.frozen import frozen

SEED_SIZE = 32  # bytes, of an Ed25519 private key
KEY_SIZE = 32  # bytes, of a public one
SIGNATURE_SIZE = 64  # bytes
MEMBER = b"wesher/member"
"""What a member says of itself; no statement of one kind can be taken for one of another."""
VERSION = 1
_FINGERPRINT_SIZE = 8
"""Bytes. It is compared by people, who must not be shown another key with the same one: with four,
somebody would find one in a day, with eight he makes 2**64 keys."""


def fingerprint(public_key: bytes) -> str:
    """Return 16 hexadecimal digits by which people tell an identity."""
    digest = hashlib.sha256(b"wesher/identity" + public_key).digest()
    return digest[:_FINGERPRINT_SIZE].hex()


@frozen(hidden=("seed",))
class Identity:
    """The key of one host, from `seed`, which is a secret of 32 random bytes."""

    seed: bytes

    @property
    def public_key(self) -> bytes:
        """The key that others know this host by."""
        return _raw(_private_key(self.seed).public_key())

    @property
    def fingerprint(self) -> str:
        """What people know this host by."""
        return fingerprint(self.public_key)

    def sign(self, kind: bytes, *fields: bytes) -> bytes:
        """Return the signature of a statement; the same one each time."""
        signature: bytes = _private_key(self.seed).sign(statement(kind, *fields))
        return signature


def statement(kind: bytes, *fields: bytes) -> bytes:
    """Return what is signed: its kind, the version, and each field after its length (2 bytes)."""
    parts = [kind, bytes([VERSION])]
    for field in fields:
        parts += [len(field).to_bytes(2, "big"), field]
    return b"".join(parts)


def is_signed(public_key: bytes, signature: bytes, kind: bytes, *fields: bytes) -> bool:
    """Tell whether the holder of a key has signed this, which takes 0.1 ms."""
    exceptions = import_module("cryptography.exceptions")
    try:
        key = _ed25519().Ed25519PublicKey.from_public_bytes(public_key)
        key.verify(signature, statement(kind, *fields))
    except (exceptions.InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=64)
def _private_key(seed: bytes) -> Any:
    return _ed25519().Ed25519PrivateKey.from_private_bytes(seed)


def _ed25519() -> Any:
    """Return the library, which who only reads a state file, as the doctor does, need not load."""
    return import_module("cryptography.hazmat.primitives.asymmetric.ed25519")


def _raw(key: Any) -> bytes:
    """Return the bytes of a public key."""
    try:
        raw: bytes = key.public_bytes_raw()
    except AttributeError:  # Debian 12's library; `serialization` takes 4 ms of a start to import
        by = import_module("cryptography.hazmat.primitives.serialization")
        raw = key.public_bytes(by.Encoding.Raw, by.PublicFormat.Raw)
    return raw
