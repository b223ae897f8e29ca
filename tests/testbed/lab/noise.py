"""WireGuard's handshake and packets (its paper, section 5.4), for who plays a peer or listens.

Noise IKpsk2 with Curve25519, ChaCha20Poly1305 and BLAKE2s. Both sides compute the same four curve
secrets, and with the preshared key the keys of their session. A listener has only what was sent;
one that can break the curve has the four secrets, too, which stands here as: it has the private
keys, the static ones and the initiator's ephemeral one. What it lacks then is the preshared key.
"""

import hashlib
import hmac
import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NO_PRESHARED_KEY = bytes(32)
INITIATION, RESPONSE, DATA = 1, 2, 4
_CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
_IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
_TAI_EPOCH = 2**62 + 10  # seconds that TAI64N adds to those since 1970
_BLOCK = 16  # bytes to a multiple of which a packet is padded


def new_private() -> bytes:
    return os.urandom(32)


def public_of(private: bytes) -> bytes:
    public = X25519PrivateKey.from_private_bytes(private).public_key()
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


@dataclass
class _Symmetric:
    """The chaining key and the hash that all of a handshake goes into (Noise, 5.2)."""

    chaining: bytes
    hashed: bytes

    @classmethod
    def begin(cls, responder: bytes) -> "_Symmetric":
        chaining = _hash(_CONSTRUCTION)
        return cls(chaining, _hash(_hash(chaining + _IDENTIFIER) + responder))

    def mix_hash(self, data: bytes) -> None:
        self.hashed = _hash(self.hashed + data)

    def mix(self, secret: bytes) -> bytes:
        """Mix a secret in; return the key that follows from it."""
        self.chaining, key = _kdf(self.chaining, secret, 2)
        return key

    def mix_ephemeral(self, public: bytes) -> None:
        self.mix_hash(public)
        (self.chaining,) = _kdf(self.chaining, public, 1)

    def mix_preshared(self, preshared: bytes) -> bytes:
        self.chaining, temporary, key = _kdf(self.chaining, preshared, 3)
        self.mix_hash(temporary)
        return key

    def encrypt(self, key: bytes, plain: bytes) -> bytes:
        sealed = ChaCha20Poly1305(key).encrypt(_nonce(0), plain, self.hashed)
        self.mix_hash(sealed)
        return sealed

    def decrypt(self, key: bytes, sealed: bytes) -> bytes:
        plain = ChaCha20Poly1305(key).decrypt(_nonce(0), sealed, self.hashed)
        self.mix_hash(sealed)
        return plain


@dataclass
class Session:
    """The keys of one session, for what the initiator sends and for what it receives."""

    to_responder: bytes
    to_initiator: bytes

    def data_to_responder(self, receiver: int, counter: int, packet: bytes) -> bytes:
        padded = packet + bytes(-len(packet) % _BLOCK)
        head = struct.pack("<IIQ", DATA, receiver, counter)
        return head + ChaCha20Poly1305(self.to_responder).encrypt(_nonce(counter), padded, b"")

    def open_to_initiator(self, data: bytes) -> bytes:
        """Return the packet in what the responder sent; raises InvalidTag."""
        (counter,) = struct.unpack_from("<Q", data, 8)
        return ChaCha20Poly1305(self.to_initiator).decrypt(_nonce(counter), data[16:], b"")


class Initiator:
    """The side of a handshake that begins it, with the private keys of a member."""

    def __init__(self, static: bytes, responder: bytes, preshared: bytes) -> None:
        self.ephemeral = new_private()
        self._static = static
        self._responder = responder
        self._preshared = preshared
        self._index = int.from_bytes(os.urandom(4))

    def initiation(self) -> bytes:
        """Return the packet that begins a handshake."""
        public, state = public_of(self.ephemeral), _Symmetric.begin(self._responder)
        state.mix_ephemeral(public)
        static = state.encrypt(
            state.mix(_shared(self.ephemeral, self._responder)), public_of(self._static)
        )
        timestamp = state.encrypt(state.mix(_shared(self._static, self._responder)), _tai64n())
        self._state = state
        head = struct.pack("<II", INITIATION, self._index)
        return with_macs(head + public + static + timestamp, self._responder)

    def finish(self, response: bytes) -> tuple[int, Session]:
        """Return the responder's index and the session; raises InvalidTag."""
        session = _respond(self._state, response, self.ephemeral, self._static, self._preshared)
        (index,) = struct.unpack_from("<I", response, 4)
        return index, session


def listen(
    initiation: bytes,
    response: bytes,
    *,
    privates: tuple[bytes, bytes],
    ephemeral: bytes,
    preshared: bytes,
) -> Session:
    """Compute a session from what was sent; raises InvalidTag without the right preshared key.

    The curve is broken: known are the private keys of both, initiator first, and its ephemeral one.
    """
    initiator, responder = privates
    state = _Symmetric.begin(public_of(responder))
    state.mix_ephemeral(initiation[8:40])
    found = state.decrypt(state.mix(_shared(ephemeral, public_of(responder))), initiation[40:88])
    assert found == public_of(initiator)
    state.decrypt(state.mix(_shared(initiator, public_of(responder))), initiation[88:116])
    return _respond(state, response, ephemeral, initiator, preshared)


def respond(initiation: bytes, static: bytes, initiator: bytes, preshared: bytes) -> bytes:
    """Return the packet that answers an initiation; raises InvalidTag for that of another."""
    state = _Symmetric.begin(public_of(static))
    state.mix_ephemeral(initiation[8:40])
    found = state.decrypt(state.mix(_shared(static, initiation[8:40])), initiation[40:88])
    assert found == initiator
    state.decrypt(state.mix(_shared(static, initiator)), initiation[88:116])
    ephemeral = new_private()
    state.mix_ephemeral(public_of(ephemeral))
    state.mix(_shared(ephemeral, initiation[8:40]))
    state.mix(_shared(ephemeral, initiator))
    empty = state.encrypt(state.mix_preshared(preshared), b"")
    (index,) = struct.unpack_from("<I", initiation, 4)
    head = struct.pack("<III", RESPONSE, 7, index)
    return with_macs(head + public_of(ephemeral) + empty, initiator)


def _respond(
    state: _Symmetric, response: bytes, ephemeral: bytes, static: bytes, preshared: bytes
) -> Session:
    other = response[12:44]
    state.mix_ephemeral(other)
    state.mix(_shared(ephemeral, other))
    state.mix(_shared(static, other))
    state.decrypt(state.mix_preshared(preshared), response[44:60])
    return Session(*_kdf(state.chaining, b"", 2))


def with_macs(message: bytes, receiver: bytes) -> bytes:
    """Add mac1, without which nobody answers, and an empty mac2 (section 5.4.4)."""
    key = _hash(b"mac1----" + receiver)
    return message + hashlib.blake2s(message, key=key, digest_size=16).digest() + bytes(16)


def _shared(private: bytes, public: bytes) -> bytes:
    key = X25519PrivateKey.from_private_bytes(private)
    return key.exchange(X25519PublicKey.from_public_bytes(public))


def _hash(data: bytes) -> bytes:
    return hashlib.blake2s(data).digest()


def _kdf(key: bytes, secret: bytes, count: int) -> tuple[bytes, ...]:
    return tuple(_expanded(hmac.digest(key, secret, "blake2s"), count))


def _expanded(secret: bytes, count: int) -> Iterator[bytes]:
    last = b""
    for number in range(1, count + 1):
        last = hmac.digest(secret, last + bytes([number]), "blake2s")
        yield last


def _nonce(counter: int) -> bytes:
    return struct.pack("<4xQ", counter)


def _tai64n() -> bytes:
    now = time.time_ns()
    return struct.pack(">QI", _TAI_EPOCH + now // 10**9, now % 10**9)
