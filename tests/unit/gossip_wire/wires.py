"""Wires to talk over in tests."""

import random

from wesher.gossip.keyring import Keyring
from wesher.gossip.wire import Wire

KEY, OTHER_KEY = bytes(range(32)), b"other" * 6 + b"!!"


def wire(key: bytes = KEY) -> Wire:
    """Return a wire with predictable nonces."""
    nonces = random.Random(1)
    return Wire(Keyring(key), lambda: nonces.randbytes(12))


def seal(data: bytes, label: bytes = b"", key: bytes = KEY, version: int = 1) -> bytes:
    """Return `data` sealed as a packet, whatever it is; in version 0 as the oldest members do."""
    if version == 0:
        return b"\0" + Keyring(key).seal(padded(data), label, b"n" * 12)[1:]
    return Keyring(key).seal(data, label, b"n" * 12)


def padded(data: bytes) -> bytes:
    """Return `data` in whole blocks of 16 bytes, as version 0 seals it."""
    size = 16 - len(data) % 16
    return data + bytes([size]) * size


def lzw_bomb(size: int) -> bytes:
    """Return the shortest LZW data (without an end) that inflates to more than `size` zeros."""
    bits = position = 0
    for index, code in enumerate([0, *range(258, 4096)]):
        bits |= code << position
        position += max(9, (257 + index).bit_length())
        size -= index + 1
    longest = max(0, size // 3839 + 1)  # strings of the last entry, whose code is all ones
    return (bits | ((1 << 12 * longest) - 1) << position).to_bytes(
        (position + 12 * longest + 7) // 8, "little"
    )


def seal_stream(data: bytes, label: bytes = b"", version: int = 1) -> bytes:
    """Return `data` sealed as a stream, whatever it is."""
    size = len(seal(data, version=version))
    head = b"\x0a" + size.to_bytes(4, "big")
    return head + seal(data, head + label, version=version)
