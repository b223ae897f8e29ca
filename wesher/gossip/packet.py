"""What an unsealed packet holds: compounds and compressed messages, nested.

See spec/memberlist.md, 2.4, 2.5.
"""

from dataclasses import dataclass, field

from wesher.base.errors import LimitError, ProtocolError, UndecryptableError
from wesher.base.frozen import frozen
from wesher.gossip import lzw
from wesher.gossip.codec import MessageType, decode, decode_compressed
from wesher.gossip.compound import split_parts
from wesher.gossip.events import DropReason
from wesher.gossip.messages import Message

MAX_INFLATED = 65_536
"""Bytes decompressed from one packet, all its parts together. memberlist compresses what would fit
in a packet, so a datagram's size is plenty; reading so much takes us 20 milliseconds."""
MAX_DEPTH = 4  # layers of compounds and compression in one packet
MAX_MESSAGES = 512  # parts of one packet, all its compounds together

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
