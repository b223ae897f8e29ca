"""The layers around messages: compound, compressed, checksum, sealed, label.

From the outside in (spec/memberlist.md, 2 and 3):

    packet    label? | sealed: version nonce ciphertext tag | checksum? | compressed? | compound?
    stream    label? | type and length | sealed the same    | compressed?             | message

A packet is checked as it is opened, layer by layer, and what is wrong with one part of a compound
does not harm the others: a packet yields messages *and* reasons why something was dropped. Layers
may be nested, as memberlist allows, but what that costs us is bounded for the packet as a whole:
depth, parts, bytes that come out of compression. A stream is one message: it can be read or not.

How long a stream is says the head of its frame, so it is bounded before it is read. The checksum
is only looked for right under the encryption, and the label is authenticated with what is sealed
(but not secret): in a packet alone, in a stream with type and length behind it.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from zlib import crc32

from wesher.base.errors import LimitError, ProtocolError, UndecryptableError
from wesher.base.frozen import frozen
from wesher.gossip import lzw
from wesher.gossip.codec import (
    MessageType,
    decode,
    decode_compressed,
    decode_stream,
    encode_compressed,
    stream_size,
)
from wesher.gossip.events import DropReason
from wesher.gossip.keyring import Keyring, overhead, sealed_size
from wesher.gossip.messages import Message

MAX_PACKET = 1400  # bytes, memberlist's UDPBufferSize: what we aim at, not what we accept
MAX_LABEL = 255
MAX_FRAME = 20_971_520  # bytes between a frame's head and its end
MAX_STREAM = 4_194_304  # bytes of a stream's message, decompressed; 18,000 ordinary members
MAX_INFLATED = 65_536
"""Bytes decompressed from one packet, all its parts together. memberlist compresses what would fit
in a packet, so a datagram's size is plenty; reading so much takes us 20 milliseconds."""
MAX_DEPTH = 4  # layers of compounds and compression in one packet
MAX_MESSAGES = 512  # parts of one packet, all its compounds together
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


Drop = tuple[DropReason, str]


@frozen
class Opened:
    """What a packet held: its messages, and why parts of it (or all of it) were dropped."""

    messages: tuple[Message, ...] = ()
    problems: tuple[Drop, ...] = ()


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


def unfold(data: bytes) -> Opened:
    """Return whatever an unsealed packet holds that can be read; never raises."""
    unfolding = _Unfolding()
    unfolding.take(data)
    return Opened(tuple(unfolding.messages), tuple(unfolding.problems))


@dataclass(slots=True)
class _Unfolding:
    """One packet being taken apart, and what it may still cost us."""

    messages: list[Message] = field(default_factory=list)
    problems: list[Drop] = field(default_factory=list)
    parts: int = MAX_MESSAGES
    inflatable: int = MAX_INFLATED

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
        plain = lzw.decode(decode_compressed(data), self.inflatable)
        self.inflatable -= len(plain)
        return plain


_FRAME_HEAD = struct.Struct(">BI")
_CHECKSUM_HEAD = struct.Struct(">BI")
_COMPOUND_OVERHEAD = 2


@dataclass(slots=True)
class Wire:
    """How this node wraps what it sends and unwraps what it receives.

    `nonce` gives 12 fresh random bytes a call. Without a keyring nothing is sealed. The `verify`
    flags, taken off, bring a key into a running cluster: accept and send what is not sealed.
    What to compress is for the sender to decide; everything compressed is read.
    With `skip_label_check` somebody else has checked and taken off the labels of what arrives.
    """

    keyring: Keyring | None
    nonce: Callable[[], bytes]
    label: bytes = b""
    verify_incoming: bool = True
    verify_outgoing: bool = True
    compress_packets: bool = True
    compress_streams: bool = True
    skip_label_check: bool = False
    encryption_version: int = 1

    def __post_init__(self) -> None:
        if len(self.label) > MAX_LABEL:
            raise ValueError(f"a label has at most {MAX_LABEL} bytes")
        if self.encryption_version not in (0, 1):
            raise ValueError("the encryption version is 0 or 1")

    @property
    def budget(self) -> int:
        """Bytes that a packet offers to gossip; each message costs its length and 2."""
        sealing = overhead(self.encryption_version) if self.keyring else 0
        return MAX_PACKET - _COMPOUND_OVERHEAD - len(self._label_header) - sealing

    def seal_packet(self, parts: Sequence[bytes], *, checksum: bool) -> bytes:
        """Return the datagram that carries the encoded messages `parts`.

        Raises ValueError for no part, more than 127, an empty one, or one over 65,535 bytes.
        """
        data = join_parts(parts)
        if self.compress_packets:
            data = min(data, _compressed(data), key=len)
        if checksum:
            data = _CHECKSUM_HEAD.pack(MessageType.CHECKSUM, crc32(data)) + data
        if self.keyring and self.verify_outgoing:
            data = self.keyring.seal(data, self.label, self.nonce(), self.encryption_version)
        return self._label_header + data

    def open_packet(self, data: bytes) -> Opened:
        """Return whatever `data` holds that can be read; never raises."""
        try:
            body = _verify_checksum(self._unseal_packet(self._strip_label(data)))
        except ProtocolError as error:
            return Opened(problems=(drop_of(error),))
        return unfold(body)

    def seal_frame(self, message: bytes, *, reply: bool = False) -> bytes:
        """Return the stream that carries one encoded message; a `reply` has no label header."""
        header = b"" if reply else self._label_header
        if self.compress_streams:
            message = encode_compressed(lzw.encode(message))
        if not self.keyring or not self.verify_outgoing:
            return header + message
        size = sealed_size(len(message), self.encryption_version)
        head = _FRAME_HEAD.pack(MessageType.ENCRYPTED, size)
        sealed = self.keyring.seal(
            message, head + self.label, self.nonce(), self.encryption_version
        )
        return header + head + sealed

    def open_frame(self, data: bytes, *, reply: bool = False) -> Message:
        """Return the message that a whole stream carries; raises ProtocolError."""
        return decode_stream(self.unseal_frame(data, reply=reply))

    def unseal_frame(self, data: bytes, *, reply: bool = False) -> bytes:
        """Return the encoded message that a whole stream carries.

        A server answers what fails here, with a ProtocolError, by an error reply; not what then
        fails in `decode_stream` (spec/memberlist.md, 3.4). Bytes after the frame are ignored.
        """
        start = self._frame_start(data, reply=reply)
        if start is None:
            raise LabelError("stream ended early, before its first byte")
        size = self.frame_size(data, reply=reply)
        if size is None or len(data) < size:
            raise ProtocolError("stream ended early")
        message = data[start:size]
        if message[0] == MessageType.ENCRYPTED:
            message = self._open_frame_body(message)
        if message[:1] == bytes([MessageType.COMPRESSED]):
            message = lzw.decode(decode_compressed(message), MAX_STREAM)
        if not message:
            raise ProtocolError("empty message")
        return message

    def frame_size(self, head: bytes, *, reply: bool = False) -> int | None:
        """Return the size of the stream that starts with `head`; None to be asked again with more.

        Raises ProtocolError as soon as `head` cannot become a legal stream, LimitError when that
        would be too long.
        """
        start = self._frame_start(head, reply=reply)
        if start is None:
            return None
        if head[start] != MessageType.ENCRYPTED:
            return self._plain_size(head, start)
        if not self.keyring:
            raise UndecryptableError("stream is sealed but we have no key")
        if len(head) < start + _FRAME_HEAD.size:
            return None
        size = _FRAME_HEAD.unpack_from(head, start)[1]
        if size > MAX_FRAME:
            raise LimitError(f"frame of {size} bytes")
        return start + _FRAME_HEAD.size + int(size)

    @property
    def _label_header(self) -> bytes:
        if not self.label:
            return b""
        return bytes([MessageType.LABEL, len(self.label)]) + self.label

    def _strip_label(self, data: bytes) -> bytes:
        if not data:
            raise ProtocolError("empty packet")
        start = self._label_end(data)
        if start is None:
            raise LabelError("label cut off")
        return data[start:]

    def _label_end(self, data: bytes) -> int | None:
        """Return where the label header ends, None when it is cut off; raise unless it is ours."""
        label, end = b"", 0
        if data[0] == MessageType.LABEL:
            if len(data) < 2 or len(data) < 2 + data[1]:
                return None
            end = 2 + data[1]
            label = data[2:end]
        expected = b"" if self.skip_label_check else self.label
        if label != expected or end == 2:
            raise LabelError("label of another cluster")
        return end

    def _frame_start(self, head: bytes, *, reply: bool) -> int | None:
        """Return where the frame's first byte is, None when it has not come yet."""
        if not head:
            return None
        start = 0 if reply else self._label_end(head)
        return start if start is not None and start < len(head) else None

    def _plain_size(self, head: bytes, start: int) -> int | None:
        if self.keyring and self.verify_incoming:
            raise UndecryptableError("encryption is configured but the stream is not sealed")
        size = stream_size(head[start:])
        if size is None and len(head) > MAX_FRAME:
            raise LimitError(f"stream of more than {MAX_FRAME} bytes")
        return None if size is None else start + size

    def _unseal_packet(self, data: bytes) -> bytes:
        if not self.keyring:
            return data
        try:
            return self.keyring.open(data, self.label)
        except ProtocolError as error:
            if not self.verify_incoming:
                return data
            raise UndecryptableError(str(error)) from error

    def _open_frame_body(self, frame: bytes) -> bytes:
        assert self.keyring is not None, "frame_size refuses sealed streams without a key"
        head, sealed = frame[: _FRAME_HEAD.size], frame[_FRAME_HEAD.size :]
        return self.keyring.open(sealed, head + self.label)


def _verify_checksum(data: bytes) -> bytes:
    """Take off the checksum, if there is one; only recognised right under the encryption."""
    if len(data) < _CHECKSUM_HEAD.size or data[0] != MessageType.CHECKSUM:
        return data
    body = data[_CHECKSUM_HEAD.size :]
    if _CHECKSUM_HEAD.unpack_from(data)[1] != crc32(body):
        raise ChecksumError("checksum mismatch")
    return body


@lru_cache(maxsize=16)
def _compressed(data: bytes) -> bytes:
    """Compress what one packet carries; the rounds send the same to several members."""
    return encode_compressed(lzw.encode(data))
