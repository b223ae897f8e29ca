"""Several messages in one packet (spec/memberlist.md, 2.5)."""

import struct
from collections.abc import Sequence

from wesher.base.errors import ProtocolError
from wesher.gossip.codec import MessageType

MAX_PARTS = 127  # members before v0.2.4 crash on more
MAX_PART_SIZE = 65_535


def join_parts(parts: Sequence[bytes]) -> bytes:
    """Return `parts` as one message; raises ValueError for what some member could not read."""
    if not 0 < len(parts) <= MAX_PARTS:
        raise ValueError(f"a compound has 1 to {MAX_PARTS} parts, not {len(parts)}")
    sizes = [len(part) for part in parts]
    if not 0 < min(sizes) <= max(sizes) <= MAX_PART_SIZE:
        raise ValueError(f"a part has 1 to {MAX_PART_SIZE} bytes")
    if len(parts) == 1:
        return parts[0]
    head = struct.pack(f">BB{len(parts)}H", MessageType.COMPOUND, len(parts), *sizes)
    return head + b"".join(parts)


def split_parts(data: bytes) -> tuple[list[bytes], int]:
    """Return the whole parts of a compound, and how many behind them were cut off.

    Raises ProtocolError when the table of lengths itself is cut off.
    """
    count = data[1] if len(data) > 1 else -1
    start = 2 + 2 * count
    if count < 0 or len(data) < start:
        raise ProtocolError("compound without its lengths")
    parts: list[bytes] = []
    for size in struct.unpack_from(f">{count}H", data, 2):
        if start + size > len(data):
            break
        parts.append(data[start : start + size])
        start += size
    return parts, count - len(parts)
