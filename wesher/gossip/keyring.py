"""The cluster's keys, and AES-GCM as memberlist uses it (spec/memberlist.md, 2.2).

Who has a key is a member; there is no other proof of anything. All share the primary key, which
seals; the others only open. So a key can be changed while a cluster runs: give all the new one,
let all use it, take the old one from all. So that nobody is taken for dead while some have come a
step further than others, each is sent what it can read. Who asks is answered with the key of the
question, which it has for certain. Who says which keys it holds is sent the first of ours among
them (`know`). Of others we know at best with which key they spoke last; who cannot say which it
holds, as Go, has the oldest rather than the newest.

A sealed text is version, nonce, ciphertext and tag. Version 1 is the usual one; version 0 pads the
text to whole blocks first, as if AES needed that in this mode, and is what the oldest members send:
it is read, never written. What goes with the text unsealed but authenticated (`additional`) depends
on where it is used: see `wire`.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wesher.base.addresses import Address
from wesher.base.errors import ProtocolError, UndecryptableError
from wesher.base.frozen import EMPTY
from wesher.base.naming import fingerprint

NONCE_SIZE = 12
_TAG_SIZE = 16
_BLOCK = 16
OVERHEAD = 1 + NONCE_SIZE + _TAG_SIZE
"""Bytes that sealing adds."""
_VERSION = 1
_LEAST = {0: OVERHEAD + _BLOCK, 1: OVERHEAD}
"""The fewest bytes of a sealed text, by version."""
_KEY_SIZES = (16, 24, 32)
_MAX_SPOKEN = 16384  # addresses, as many as the table has members; key holders can invent senders
MAX_KEYS = 8
"""A rotation takes two, a second one begun in its middle three. Each makes what strangers send 4
microseconds dearer, and is one more key that can be stolen."""


class Keyring:
    """Keys that open what members seal; the primary one, first, seals what we send."""

    def __init__(self, primary: bytes, *others: bytes) -> None:
        self._ciphers: dict[bytes, AESGCM] = {}
        self._spoken: OrderedDict[str, bytes] = OrderedDict()
        self._known: Mapping[Address, bytes | None] = EMPTY
        for key in (primary, *others):
            self.add(key)

    @property
    def primary(self) -> bytes:
        """The key that seals."""
        return next(iter(self._ciphers))

    @property
    def several(self) -> bool:
        """Whether there are others besides the primary key."""
        return len(self._ciphers) > 1

    @property
    def keys(self) -> tuple[bytes, ...]:
        """All keys, the primary one first."""
        return tuple(self._ciphers)

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The fingerprints of all keys, in their order."""
        return tuple(map(fingerprint, self._ciphers))

    def add(self, key: bytes) -> None:
        """Let `key` open too; ValueError unless it has 16, 24 or 32 bytes, and for a ninth."""
        if len(key) not in _KEY_SIZES:
            raise ValueError(f"a cluster key has 16, 24 or 32 bytes, not {len(key)}")
        if key not in self._ciphers and len(self._ciphers) == MAX_KEYS:
            raise ValueError(f"a cluster has at most {MAX_KEYS} keys")
        self._ciphers.setdefault(key, AESGCM(key))

    def use(self, key: bytes) -> None:
        """Make `key`, which is added if need be, the primary one."""
        self.add(key)
        cipher = self._ciphers.pop(key)
        self._ciphers = {key: cipher, **self._ciphers}

    def remove(self, key: bytes) -> None:
        """Forget `key`; an unknown one is fine, the primary one a ValueError."""
        if key == self.primary:
            raise ValueError("the primary key cannot be removed")
        self._ciphers.pop(key, None)

    def replace(self, keys: Sequence[bytes]) -> None:
        """Hold these keys instead, the primary one first; ValueError leaves all as it was."""
        self._ciphers = Keyring(*keys)._ciphers

    def note(self, ip: str, key: bytes | None) -> None:
        """Take note that somebody spoke with this key; with one key there is nothing to note."""
        if key is None or not self.several:
            return
        self._spoken[ip] = key
        self._spoken.move_to_end(ip)
        if len(self._spoken) > _MAX_SPOKEN:
            self._spoken.popitem(last=False)

    def spoken(self, ip: str) -> bytes | None:
        """Return the key that an address spoke with last; None while that is not known."""
        return self._spoken.get(ip) if self.several else self.primary

    def know(self, keys: Mapping[Address, bytes | None]) -> None:
        """Seal what goes to these addresses with these keys; None for who cannot say what it holds.

        This replaces what was said before.
        """
        self._known = keys

    def key_for(self, to: Address) -> bytes:
        """Return the key to seal with what goes there and is no answer."""
        if not self.several or to not in self._known:
            return self.primary
        key = self._known[to]
        if key is None:
            key = self._spoken.get(to.ip, self.keys[-1])
        return key if key in self._ciphers else self.keys[-1]

    def seal(
        self, plain: bytes, additional: bytes, nonce: bytes, key: bytes | None = None
    ) -> bytes:
        """Return version, `nonce` (12 fresh bytes), ciphertext and tag.

        The primary key seals, or `key`, if that is one of ours still.
        """
        cipher = self._ciphers.get(key) if key else None
        cipher = cipher or next(iter(self._ciphers.values()))
        return bytes([_VERSION]) + nonce + cipher.encrypt(nonce, plain, additional)

    def open(self, sealed: bytes, additional: bytes) -> tuple[bytes, bytes]:
        """Return what a member encrypted with any of our keys, and that key.

        Raises UndecryptableError when no key fits, ProtocolError when `sealed` has another form.
        """
        version = sealed[0] if sealed else 0
        if version not in _LEAST or len(sealed) < _LEAST[version]:
            raise ProtocolError("not a sealed text")
        nonce, rest = sealed[1 : 1 + NONCE_SIZE], sealed[1 + NONCE_SIZE :]
        for key, cipher in self._ciphers.items():
            try:
                plain = cipher.decrypt(nonce, rest, additional)
            except InvalidTag:
                continue
            return _unpad(plain) if version == 0 else plain, key
        raise UndecryptableError("encrypted with another key")


def _unpad(padded: bytes) -> bytes:
    """Take off the padding; only its last byte counts, as in Go, but it must make sense."""
    size = padded[-1] if padded else 0
    if not 1 <= size <= min(_BLOCK, len(padded)):
        raise ProtocolError("sealed text with wrong padding")
    return padded[:-size]
