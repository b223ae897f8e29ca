"""How members and cluster keys are told apart: the length of a name, and a key's fingerprint."""

import hashlib

MAX_NAME = 255  # bytes of a member's name
FINGERPRINT_SIZE = 4  # bytes: tells the keys of one operator apart, useless to guess one


def fingerprint(key: bytes) -> str:
    """Return 8 hexadecimal digits that operators can compare instead of a cluster key."""
    return hashlib.sha256(b"wesher cluster key " + key).digest()[:FINGERPRINT_SIZE].hex()


def split_fingerprints(joined: bytes) -> tuple[str, ...]:
    """Return the fingerprints of which these are the bytes, one behind the other."""
    size = FINGERPRINT_SIZE
    return tuple(joined[at : at + size].hex() for at in range(0, len(joined), size))
