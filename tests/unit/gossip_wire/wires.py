"""Wires to talk over in tests."""

import random
from typing import Any

from wesher.gossip.keyring import Keyring
from wesher.gossip.wire import Wire

KEY, OTHER_KEY = bytes(range(32)), b"other" * 6 + b"!!"


def wire(key: bytes | None = KEY, **options: Any) -> Wire:
    """Return a wire with predictable nonces; no `key`, no sealing."""
    nonces = random.Random(1)
    return Wire(Keyring(key) if key else None, lambda: nonces.randbytes(12), **options)


def seal(data: bytes, label: bytes = b"", key: bytes = KEY, version: int = 1) -> bytes:
    """Return `data` sealed as a packet, whatever it is."""
    return Keyring(key).seal(data, label, b"n" * 12, version)


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


def seal_stream(data: bytes, label: bytes = b"", key: bytes = KEY) -> bytes:
    """Return `data` sealed as a stream, whatever it is."""
    head = b"\x0a" + (len(data) + 29).to_bytes(4, "big")
    return head + Keyring(key).seal(data, head + label, b"n" * 12)
