"""What parts of the mesh tell with every table, as the one user state that a push/pull has.

Each part's bytes begin with 0xF7, as no other application's on memberlist are known to, and with a
second byte that says whose they are; so do the user messages. While one part has something to say,
its bytes are the user state. When several have, they are the items of a msgpack list behind a
second byte of its own. Who does not know a second byte, as earlier versions, ignores it all.
"""

from collections.abc import Iterator

import msgpack

from wesher.base.errors import ProtocolError

FIRST_BYTE = 0xF7
SEVERAL = 3  # the second byte
MAX_PARTS = 8


class UserState:
    """The bytes of each part that has something to tell."""

    def __init__(self) -> None:
        self._parts: dict[str, bytes] = {}

    def put(self, part: str, payload: bytes) -> bytes:
        """Tell this of a part from now on, nothing if it is empty; return the whole."""
        self._parts.pop(part, None)
        if payload:
            self._parts[part] = payload
        return pack(*self._parts.values())


def pack(*payloads: bytes) -> bytes:
    """Return payloads as one."""
    if len(payloads) < 2:
        return b"".join(payloads)
    packed: bytes = msgpack.packb(payloads)
    return bytes([FIRST_BYTE, SEVERAL]) + packed


def unpack(payload: bytes) -> Iterator[bytes]:
    """Yield the payloads in one; raises ProtocolError, before the first, when it is damaged."""
    if payload[:2] != bytes([FIRST_BYTE, SEVERAL]):
        return iter((payload,))
    try:
        parts = msgpack.unpackb(payload[2:], max_array_len=MAX_PARTS)
    except (ValueError, TypeError) as error:
        raise ProtocolError(f"malformed user state: {error}") from error
    if not isinstance(parts, list) or not all(isinstance(one, bytes) for one in parts):
        raise ProtocolError("malformed user state")
    return iter(parts)
