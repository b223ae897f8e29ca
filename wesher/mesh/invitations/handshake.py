"""The exchange that redeems a token: Noise NNpsk0, one message each way.

Both sides know the key of the token and nothing else of each other. The pattern of the Noise
protocol framework (revision 34) for that is NNpsk0, here with X25519, AES-GCM and SHA-256, and a
bystander's implementation agrees with this one byte by byte (the tests hold a recording of it):

    -> psk, e      what the new host asks, encrypted with a key made of the token's and of e
    <- e, ee       the answer, encrypted with one made of both ephemeral keys as well

That gives what an invitation needs. Who does not have the token can neither ask nor answer, nor
change a bit of either. Whoever records the exchange and gets the token *later* opens the first
message only, which holds no secret; the answer, with the cluster keys, opens for nobody, as both
ephemeral keys are gone. What came first is checked before anything dear is computed: what was
guessed costs a few hashes, and no arithmetic on curves.

Random bytes are handed in. `cryptography`'s part of curves is imported when it is needed: few runs
of an agent ever do.
"""

import hashlib
import hmac
from importlib import import_module
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wesher.base.errors import ProtocolError, UndecryptableError

NAME = b"Noise_NNpsk0_25519_AESGCM_SHA256"  # of 32 bytes, as a hash is: it is the first one
KEY_SIZE = 32  # bytes, of everything here that is a key
TAG_SIZE = 16
_NONCE = bytes(12)  # each key seals one text


def hkdf(salt: bytes, secret: bytes, count: int) -> list[bytes]:
    """Return `count` keys of 32 bytes that are derived from a secret (RFC 5869 with SHA-256)."""
    extracted = hmac.digest(salt, secret, "sha256")
    keys = [b""]
    for number in range(1, count + 1):
        keys.append(hmac.digest(extracted, keys[-1] + bytes([number]), "sha256"))
    return keys[1:]


class _Symmetric:
    """What both sides have in common: a hash of all that was said, and keys that grow with it."""

    def __init__(self, prologue: bytes) -> None:
        self._hash = self._chaining = NAME
        self._key = b""
        self._mix_hash(prologue)

    def mix_psk(self, psk: bytes) -> None:
        self._chaining, told, self._key = hkdf(self._chaining, psk, 3)
        self._mix_hash(told)

    def mix_ephemeral(self, public: bytes) -> None:
        self._mix_hash(public)
        self.mix_key(public)

    def mix_key(self, secret: bytes) -> None:
        self._chaining, self._key = hkdf(self._chaining, secret, 2)

    def seal(self, text: bytes) -> bytes:
        sealed = AESGCM(self._key).encrypt(_NONCE, text, self._hash)
        self._mix_hash(sealed)
        return sealed

    def open(self, sealed: bytes) -> bytes:
        try:
            text = AESGCM(self._key).decrypt(_NONCE, sealed, self._hash)
        except InvalidTag:
            raise UndecryptableError("encrypted with another key, or changed on its way") from None
        self._mix_hash(sealed)
        return text

    def _mix_hash(self, data: bytes) -> None:
        self._hash = hashlib.sha256(self._hash + data).digest()


class Asking:
    """The side of the new host; `ephemeral` are 32 random bytes, used for one invitation only."""

    def __init__(self, psk: bytes, prologue: bytes, ephemeral: bytes) -> None:
        self._symmetric = _Symmetric(prologue)
        self._symmetric.mix_psk(psk)
        self._private = _private(ephemeral)
        self._public = _public(self._private)
        self._sent: bytes | None = None

    def ask(self, text: bytes) -> bytes:
        """Return the first message; the same again to whoever is asked, or asked once more."""
        if self._sent is None:
            self._symmetric.mix_ephemeral(self._public)
            self._sent = self._public + self._symmetric.seal(text)
        return self._sent

    def open(self, message: bytes) -> bytes:
        """Return what was answered, ProtocolError for what nobody with the token has sent."""
        theirs, sealed = _split(message)
        symmetric = _copy(self._symmetric)
        symmetric.mix_ephemeral(theirs)
        symmetric.mix_key(_shared(self._private, theirs))
        return symmetric.open(sealed)


class Answering:
    """The side of the inviting agent."""

    def __init__(self, psk: bytes, prologue: bytes) -> None:
        self._symmetric = _Symmetric(prologue)
        self._symmetric.mix_psk(psk)
        self._theirs = b""

    def open(self, message: bytes) -> bytes:
        """Return what was asked; ProtocolError for what nobody with the token has sent."""
        self._theirs, sealed = _split(message)
        self._symmetric.mix_ephemeral(self._theirs)
        return self._symmetric.open(sealed)

    def answer(self, text: bytes, ephemeral: bytes) -> bytes:
        """Return the second message; `ephemeral` are 32 random bytes, used once.

        Raises ProtocolError for an ephemeral key of theirs that makes none in common.
        """
        private = _private(ephemeral)
        public = _public(private)
        self._symmetric.mix_ephemeral(public)
        self._symmetric.mix_key(_shared(private, self._theirs))
        return public + self._symmetric.seal(text)


def ephemeral_of(message: bytes) -> bytes:
    """Return the ephemeral key that a message begins with."""
    return message[:KEY_SIZE]


def _split(message: bytes) -> tuple[bytes, bytes]:
    if len(message) < KEY_SIZE + TAG_SIZE:
        raise ProtocolError("too short")
    return message[:KEY_SIZE], message[KEY_SIZE:]


def _copy(symmetric: _Symmetric) -> _Symmetric:
    """Return the state after our message again: what a stranger answers must not spoil it."""
    copied = _Symmetric.__new__(_Symmetric)
    copied.__dict__.update(symmetric.__dict__)
    return copied


def _curve() -> Any:
    return import_module("cryptography.hazmat.primitives.asymmetric.x25519")


def _private(ephemeral: bytes) -> Any:
    return _curve().X25519PrivateKey.from_private_bytes(ephemeral)


def _public(private: Any) -> bytes:
    serialization: Any = import_module("cryptography.hazmat.primitives.serialization")
    raw: bytes = private.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )
    return raw


def _shared(private: Any, theirs: bytes) -> bytes:
    try:
        shared: bytes = private.exchange(_curve().X25519PublicKey.from_public_bytes(theirs))
    except ValueError:
        raise ProtocolError("an ephemeral key that is none") from None
    return shared
