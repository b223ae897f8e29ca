"""The layers around messages: sealed, checksum, compressed, compound.

From the outside in (spec/memberlist.md, 2 and 3):

    packet    version nonce (ciphertext tag) | checksum?   | compressed?  | compound? | messages
    stream    type length | version nonce (ciphertext tag) | compressed?  | message

All is encrypted with a cluster key, or it is dropped; so is what bears a label, as that of
another cluster. What we write is neither compressed (decisions 11 and 12) nor labelled; others may
compress, and we read it.

A packet is checked layer by layer as it is opened, and what is wrong with one part of a compound
does not harm the others: a packet yields messages *and* reasons why something was dropped. Layers
may be nested, as memberlist allows, but what that costs us is bounded for the packet as a whole:
depth, parts, bytes that come out of compression. The checksum is only looked for right under the
encryption.

A stream is one message: it can be read or not. Its head says how long it is, so one that is too
long is refused before it has come; type and length are authenticated with what is sealed.

Compression is LZW as Go's compress/lzw writes it: least significant bit first, 8-bit literals
(spec/memberlist.md, 2.6; decision 8). The decoder keeps its table as byte strings. Each entry is
one byte longer than a string that it has put out, so the table never takes more memory than the
output, which is bounded, and 8 MB at most.
"""

import struct
from collections.abc import Callable, Sequence
from zlib import crc32

from wesher.base.errors import LimitError, ProtocolError, UndecryptableError
from wesher.base.frozen import frozen
from wesher.gossip.codec import MessageType, decode, decode_compressed, decode_stream
from wesher.gossip.events import DropReason
from wesher.gossip.keyring import OVERHEAD, Keyring
from wesher.gossip.messages import Message

MAX_PACKET = 1400  # bytes, memberlist's UDPBufferSize: what we aim at, not what we accept
BUDGET = MAX_PACKET - 2 - OVERHEAD
"""Bytes that a packet offers to gossip: all but a compound's head and the sealing. Each message
costs its length and 2. A checksum is not accounted for, as in memberlist."""
MAX_FRAME = 20_971_520  # bytes between a frame's head and its end, as in memberlist
MAX_STREAM = 4_194_304  # bytes of a stream's message, decompressed; 18,000 ordinary members
MAX_INFLATED = 65_536
"""Bytes decompressed from one packet, all its parts together. memberlist compresses what would fit
in a packet, so a datagram's size is plenty; reading so much takes us 20 milliseconds."""
MAX_DEPTH = 4  # layers of compounds and compression in one packet
MAX_MESSAGES = 512  # parts of one packet, all its compounds together
MAX_PARTS = 127  # members before v0.2.4 crash on more
MAX_PART_SIZE = 65_535
_HEAD = struct.Struct(">BI")  # type and length of a frame; type and value of a checksum
_LABELLED = "label of another cluster"
_CLEAR = 256
_END = 257
_FIRST_WIDTH = 9
_LAST_WIDTH = 12
_FIRST_TOP = 1 << _FIRST_WIDTH
_TABLE_SIZE = 1 << _LAST_WIDTH
_CHUNK = 6  # bytes read or written at once: with the bits in hand they fit a machine word
_CHUNK_BITS = 8 * _CHUNK
_CHUNK_MASK = (1 << _CHUNK_BITS) - 1
_FRESH_TABLE: list[bytes] = [*(bytes([value]) for value in range(256)), b"", b""]
_FEWEST_BETWEEN_CLEARS = 256
"""Bytes of output that justify one more clearing, which takes as long as that many codes. Encoders
clear their table once 3,838 codes have filled it."""

Drop = tuple[DropReason, str]


@frozen(hidden=("key",), uncompared=("key",))
class Opened:
    """What a packet held: its messages, and why parts of it (or all of it) were dropped.

    `key` is what opened it, and seals an answer.
    """

    messages: tuple[Message, ...] = ()
    problems: tuple[Drop, ...] = ()
    key: bytes | None = None


class LabelError(ProtocolError):
    """A packet or stream of another cluster."""


class ChecksumError(ProtocolError):
    """A packet that changed on its way."""


_REASONS = {
    UndecryptableError: DropReason.UNDECRYPTABLE,
    LimitError: DropReason.LIMIT,
    LabelError: DropReason.LABEL,
    ChecksumError: DropReason.CHECKSUM,
}


def drop_of(error: ProtocolError) -> Drop:
    """Return why what caused `error` is dropped, for the event that tells."""
    for kind, reason in _REASONS.items():
        if isinstance(error, kind):
            return reason, str(error)
    return DropReason.MALFORMED, str(error)


@frozen
class Wire:
    """How this node wraps what it sends and unwraps what it receives.

    `nonce` gives 12 fresh random bytes a call.
    """

    keyring: Keyring
    nonce: Callable[[], bytes]

    def seal_packet(
        self, parts: Sequence[bytes], *, checksum: bool, key: bytes | None = None
    ) -> bytes:
        """Return the datagram that carries the encoded messages `parts`.

        It is encrypted with the primary key, or with `key`, if that is one of ours.
        Raises ValueError for no part, more than 127, an empty one, or one over 65,535 bytes.
        """
        data = join_parts(parts)
        if checksum:
            data = _HEAD.pack(MessageType.CHECKSUM, crc32(data)) + data
        return self.keyring.seal(data, b"", self.nonce(), key)

    def open_packet(self, data: bytes) -> Opened:
        """Return whatever `data` holds that can be read; never raises."""
        try:
            plain, key = self._unseal_packet(data)
            body = _verify_checksum(plain)
        except ProtocolError as error:
            return Opened(problems=(drop_of(error),))
        return unfold(body, key)

    def _unseal_packet(self, data: bytes) -> tuple[bytes, bytes]:
        if not data:
            raise ProtocolError("empty packet")
        if data[0] == MessageType.LABEL:
            raise LabelError(_LABELLED)
        try:
            return self.keyring.open(data, b"")
        except ProtocolError as error:
            raise UndecryptableError(str(error)) from error

    def seal_frame(self, message: bytes, key: bytes | None = None) -> bytes:
        """Return the stream that carries one encoded message; `key` is as for a packet."""
        head = _HEAD.pack(MessageType.ENCRYPTED, len(message) + OVERHEAD)
        return head + self.keyring.seal(message, head, self.nonce(), key)

    def open_frame(self, data: bytes, *, reply: bool = False) -> Message:
        """Return the message that a whole stream carries; raises ProtocolError."""
        return self._open_frame(data, reply=reply)[0]

    def open_reply(self, data: bytes) -> tuple[Message, bytes]:
        """Return the message of a whole reply, and the key that opened it; raises ProtocolError."""
        return self._open_frame(data, reply=True)

    def _open_frame(self, data: bytes, *, reply: bool) -> tuple[Message, bytes]:
        body, key = self.unseal_frame(data, reply=reply)
        return decode_stream(inflate_frame(body)), key

    def unseal_frame(self, data: bytes, *, reply: bool = False) -> tuple[bytes, bytes]:
        """Return what a whole stream carries, perhaps compressed, and the key that opened it.

        A server answers what fails here or in `inflate_frame`, with a ProtocolError, by an error
        reply; not what then fails in `decode_stream` (spec/memberlist.md, 3.4). Bytes after the
        frame are ignored.
        """
        if not data:
            raise LabelError("stream ended early, before its first byte")
        size = self.frame_size(data, reply=reply)
        if size is None or len(data) < size:
            raise ProtocolError("stream ended early")
        return self.keyring.open(data[_HEAD.size : size], data[: _HEAD.size])

    def frame_size(self, head: bytes, *, reply: bool = False) -> int | None:
        """Return the size of the stream that starts with `head`; None to be asked again with more.

        Raises ProtocolError as soon as `head` cannot become a legal stream, LimitError when that
        would be too long. No label is looked for in a `reply`: memberlist's have none.
        """
        if not head:
            return None
        if head[0] == MessageType.LABEL and not reply:
            raise LabelError(_LABELLED)
        if head[0] != MessageType.ENCRYPTED:
            raise UndecryptableError("encryption is configured but the stream is not sealed")
        if len(head) < _HEAD.size:
            return None
        size = int(_HEAD.unpack_from(head)[1])
        if size > MAX_FRAME:
            raise LimitError(f"frame of {size} bytes")
        return _HEAD.size + size


def inflate_frame(body: bytes) -> bytes:
    """Return the encoded message in what a stream carries; raises ProtocolError."""
    if body[:1] == bytes([MessageType.COMPRESSED]):
        body = inflate(decode_compressed(body), MAX_STREAM)
    if not body:
        raise ProtocolError("empty message")
    return body


def _verify_checksum(data: bytes) -> bytes:
    """Take off the checksum, if there is one; only recognised right under the encryption."""
    if len(data) < _HEAD.size or data[0] != MessageType.CHECKSUM:
        return data
    body = data[_HEAD.size :]
    if _HEAD.unpack_from(data)[1] != crc32(body):
        raise ChecksumError("checksum mismatch")
    return body


def unfold(data: bytes, key: bytes | None = None) -> Opened:
    """Return whatever a packet holds that can be read, `key` having opened it; never raises."""
    unfolding = _Unfolding()
    unfolding.take(data)
    return Opened(tuple(unfolding.messages), tuple(unfolding.problems), key)


class _Unfolding:
    """One packet being taken apart, and what it may still cost us."""

    __slots__ = ("inflatable", "messages", "parts", "problems")

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.problems: list[Drop] = []
        self.parts = MAX_MESSAGES
        self.inflatable = MAX_INFLATED

    def take(self, data: bytes, depth: int = 0, *, inflated: bool = False) -> None:
        """Add the messages in `data`; one that cannot be read does not harm the others."""
        try:
            self._take(data, depth, inflated)
        except ProtocolError as error:
            self.problems.append(drop_of(error))

    def _take(self, data: bytes, depth: int, inflated: bool) -> None:
        kind = data[0] if data else None
        if kind not in (MessageType.COMPOUND, MessageType.COMPRESSED):
            self.messages.append(decode(data))
            return
        if depth == MAX_DEPTH:
            raise LimitError(f"more than {MAX_DEPTH} layers")
        if kind == MessageType.COMPOUND:
            self._split(data, depth + 1, inflated)
            return
        if inflated:
            raise LimitError("compressed twice")
        self.take(self._inflate(data), depth + 1, inflated=True)

    def _split(self, data: bytes, depth: int, inflated: bool) -> None:
        parts, lost = split_parts(data)
        for part in parts:
            if not self.parts:
                raise LimitError(f"more than {MAX_MESSAGES} parts")
            self.parts -= 1
            self.take(part, depth, inflated=inflated)
        if lost:
            raise ProtocolError(f"{lost} parts of a compound cut off")

    def _inflate(self, data: bytes) -> bytes:
        plain = inflate(decode_compressed(data), self.inflatable)
        self.inflatable -= len(plain)
        return plain


def join_parts(parts: Sequence[bytes]) -> bytes:
    """Return `parts` as one message; raises ValueError for what some member could not read."""
    if not 0 < len(parts) <= MAX_PARTS:
        raise ValueError(f"a compound has 1 to {MAX_PARTS} parts, not {len(parts)}")
    sizes = list(map(len, parts))
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


def inflate(data: bytes, limit: int) -> bytes:
    """Decompress LZW `data`, ignoring what follows its end code.

    Raises LimitError as soon as the output passes `limit` bytes, or the table is cleared more often
    than there is reason to, ProtocolError when `data` is not LZW or lacks its end.
    """
    output: list[bytes] = []
    strings: list[bytes] = []  # since the table was cleared: longer, they would keep it alive
    room = limit
    clears = limit // _FEWEST_BETWEEN_CLEARS + 1
    position = bits = count = 0
    width, top = _FIRST_WIDTH, _FIRST_TOP
    mask = top - 1
    table, size = _FRESH_TABLE.copy(), len(_FRESH_TABLE)
    previous = b""
    while True:
        if count < width:
            chunk = data[position : position + _CHUNK]
            bits |= int.from_bytes(chunk, "little") << count
            count += 8 * len(chunk)
            position += _CHUNK
            if count < width:
                raise ProtocolError("compressed data without an end")
        code = bits & mask
        bits >>= width
        count -= width
        if code < size:
            string = table[code]
        elif code == size and previous:
            string = previous + previous[:1]
        else:
            raise ProtocolError(f"compressed data with an unknown code {code}")
        if not string:
            if code == _END:
                return b"".join((*output, *strings))
            clears -= 1
            if clears < 0:
                raise LimitError("compressed data that clears its table time and again")
            output.append(b"".join(strings))
            strings.clear()
            width, top, mask = _FIRST_WIDTH, _FIRST_TOP, _FIRST_TOP - 1
            table, size = _FRESH_TABLE.copy(), len(_FRESH_TABLE)
            previous = b""
            continue
        room -= len(string)
        if room < 0:
            raise LimitError(f"compressed data of more than {limit} bytes")
        strings.append(string)
        if previous:
            table.append(previous + string[:1])
            size += 1
            if size == top and width < _LAST_WIDTH:
                width += 1
                top <<= 1
                mask = top - 1
        # A full table stays as it is: from then on codes are only looked up.
        previous = string if size < _TABLE_SIZE else b""
