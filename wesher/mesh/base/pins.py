"""Which identity each name is pinned to, and the words of operators about it, as they travel.

A pin without an author is what a node saw first. One with an author is an operator's word, typed on
the member with that identity and signed by it; of two words the one with the higher serial counts,
at equal serials the greater identity, so that all members come to the same.

Words travel as a user message, and with tables as a part of the user state: 0xF7, a second byte of
their own, and a msgpack list of [name, identity, serial, author, signature]. An empty identity
withdraws a pin: whoever comes next has the name. What is signed is, each after its length, the
name, the identity, the serial (4 bytes) and the author, with `wesher/trust` before them.
"""

from collections.abc import Iterable

import msgpack

from wesher.base.errors import ProtocolError
from wesher.base.frozen import frozen
from wesher.base.naming import MAX_NAME
from wesher.mesh.base.identity import KEY_SIZE, SIGNATURE_SIZE, Identity, is_signed
from wesher.mesh.base.user_state import FIRST_BYTE

TRUST = b"wesher/trust"
VERSION = 4  # the second byte
MAX_WORDS = 256  # that are told, the newest
MAX_SERIAL = 2**31


@frozen
class Pin:
    """`name` is for the `identity`, None for whoever comes next."""

    name: str
    identity: bytes | None
    serial: int = 0
    author: bytes = b""
    signature: bytes = b""

    def outdoes(self, other: "Pin | None") -> bool:
        """Tell whether this counts, not what was held before."""
        if other is None:
            return True
        return (self.serial, self.identity or b"") > (other.serial, other.identity or b"")

    @property
    def is_true(self) -> bool:
        """Whether its author has signed it."""
        return is_signed(self.author, self.signature, TRUST, *_fields(self))


def signed_pin(name: str, identity: bytes | None, serial: int, author: Identity) -> Pin:
    """Return an operator's word."""
    pin = Pin(name, identity, serial, author.public_key)
    return Pin(name, identity, serial, author.public_key, author.sign(TRUST, *_fields(pin)))


def _fields(pin: Pin) -> tuple[bytes, ...]:
    name = pin.name.encode(errors="surrogateescape")
    return name, pin.identity or b"", pin.serial.to_bytes(4, "big"), pin.author


def encode_words(words: Iterable[Pin]) -> bytes:
    """Return the bytes that tell others."""
    entries = [
        (one.name, one.identity or b"", one.serial, one.author, one.signature) for one in words
    ]
    packed: bytes = msgpack.packb(entries, unicode_errors="surrogateescape")
    return bytes([FIRST_BYTE, VERSION]) + packed


def decode_words(payload: bytes) -> list[Pin]:
    """Read what somebody told; nothing when it is something else. Raises ProtocolError."""
    if payload[:2] != bytes([FIRST_BYTE, VERSION]):
        return []
    try:
        entries = msgpack.unpackb(
            payload[2:], unicode_errors="surrogateescape", max_array_len=MAX_WORDS
        )
    except (ValueError, TypeError) as error:
        raise ProtocolError(f"malformed words of trust: {error}") from error
    if not isinstance(entries, list):
        raise ProtocolError("words of trust are no list")
    return [_decode(entry) for entry in entries]


def _decode(entry: object) -> Pin:
    match entry:
        case [str(name), bytes(identity), int(serial), bytes(author), bytes(signature)] if (
            0 < len(name.encode(errors="surrogateescape")) <= MAX_NAME
            and len(identity) in (0, KEY_SIZE)
            and 0 < serial <= MAX_SERIAL
            and not isinstance(serial, bool)
            and len(author) == KEY_SIZE
            and len(signature) == SIGNATURE_SIZE
        ):
            return Pin(name, identity or None, serial, author, signature)
    raise ProtocolError("malformed word of trust")
