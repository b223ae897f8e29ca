"""The cluster's keys, and AES-GCM as memberlist uses it (spec/memberlist.md, 2.2).

Who has a key is a member; there is no other proof of anything. All share the primary key, which
seals; the others only open. So a key can be changed while a cluster runs: give all the new one,
let all use it, take the old one from all.

A sealed text is version, nonce, ciphertext and tag. Version 1 is the usual one; version 0 pads the
text to whole blocks first, as if AES needed that in this mode, and is what the oldest members send:
it is read, never written. What goes with the text unsealed but authenticated (`additional`) depends
on where it is used: see `wire`.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wesher.base.errors import ProtocolError, UndecryptableError

NONCE_SIZE = 12
_TAG_SIZE = 16
_BLOCK = 16
OVERHEAD = 1 + NONCE_SIZE + _TAG_SIZE
"""Bytes that sealing adds."""
_VERSION = 1
_LEAST = {0: OVERHEAD + _BLOCK, 1: OVERHEAD}
"""The fewest bytes of a sealed text, by version."""
_KEY_SIZES = (16, 24, 32)


class Keyring:
    """Keys that open what members seal; the primary one, first, seals what we send."""

    def __init__(self, primary: bytes, *others: bytes) -> None:
        self._ciphers: dict[bytes, AESGCM] = {}
        for key in (primary, *others):
            self.add(key)

    @property
    def keys(self) -> tuple[bytes, ...]:
        """All keys, the primary one first."""
        return tuple(self._ciphers)

    def add(self, key: bytes) -> None:
        """Let `key` open too; raises ValueError unless it has 16, 24 or 32 bytes."""
        if len(key) not in _KEY_SIZES:
            raise ValueError(f"a cluster key has 16, 24 or 32 bytes, not {len(key)}")
        self._ciphers.setdefault(key, AESGCM(key))

    def use(self, key: bytes) -> None:
        """Make `key`, which is added if need be, the primary one."""
        self.add(key)
        cipher = self._ciphers.pop(key)
        self._ciphers = {key: cipher, **self._ciphers}

    def remove(self, key: bytes) -> None:
        """Forget `key`; an unknown one is fine, the primary one a ValueError."""
        if key == self.keys[0]:
            raise ValueError("the primary key cannot be removed")
        self._ciphers.pop(key, None)

    def seal(self, plain: bytes, additional: bytes, nonce: bytes) -> bytes:
        """Return version, `nonce` (12 fresh bytes), ciphertext and tag."""
        cipher = next(iter(self._ciphers.values()))
        return bytes([_VERSION]) + nonce + cipher.encrypt(nonce, plain, additional)

    def open(self, sealed: bytes, additional: bytes) -> bytes:
        """Return what a member encrypted with any of our keys.

        Raises UndecryptableError when no key fits, ProtocolError when `sealed` has another form.
        """
        version = sealed[0] if sealed else 0
        if version not in _LEAST or len(sealed) < _LEAST[version]:
            raise ProtocolError("not a sealed text")
        nonce, rest = sealed[1 : 1 + NONCE_SIZE], sealed[1 + NONCE_SIZE :]
        for cipher in self._ciphers.values():
            try:
                plain = cipher.decrypt(nonce, rest, additional)
            except InvalidTag:
                continue
            return _unpad(plain) if version == 0 else plain
        raise UndecryptableError("encrypted with another key")


def _unpad(padded: bytes) -> bytes:
    """Take off the padding; only its last byte counts, as in Go, but it must make sense."""
    size = padded[-1] if padded else 0
    if not 1 <= size <= min(_BLOCK, len(padded)):
        raise ProtocolError("sealed text with wrong padding")
    return padded[:-size]
