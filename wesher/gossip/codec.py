"""Messages as bytes and back: a type byte, then a struct (spec/memberlist.md, 1).

Here is which message has which fields under which keys; how a struct is written is said in
`msgpack_structs`. Three messages are more than one struct: a push/pull, a header with as many
records and as many bytes of user state behind it as it says; a user message, in a stream; and the
compressed one, which is a layer (see `wire`). In a stream other types are legal than in a packet.

All sizes are checked before anything is built. What is rejected is rejected with a ProtocolError,
a LimitError when it might have been legal.

The same news comes many times, from everybody who passes it on, and so do the same records, with
every table: small ones are decoded once and remembered.
"""

from enum import IntEnum
from functools import lru_cache
from typing import Any, NamedTuple

from wesher.base.errors import LimitError, ProtocolError
from wesher.gossip.messages import (
    Ack,
    Alive,
    Dead,
    ErrorReply,
    IndirectPing,
    Message,
    Nack,
    Ping,
    PushPull,
    Record,
    Suspect,
    UserMessage,
)
from wesher.gossip.msgpack_structs import (
    BOOL,
    BYTES,
    INT,
    NULLABLE_BYTES,
    TEXT,
    U8,
    U16,
    U32,
    Field,
    Struct,
    StructReader,
)

MAX_RECORDS = 65_536
"""Records of one push/pull: far more than a node keeps, far below memberlist's 1,048,576."""
MAX_USER_DATA = 20_971_520  # bytes, memberlist's limit for user state and user messages
MAX_REMEMBERED = 1024  # bytes of what is remembered decoded; an ordinary claim has 300
# What strangers fill these with must stay below 5 MB, with all else that they make us keep.
REMEMBERED_CLAIMS = 512
REMEMBERED_RECORDS = 1024


class MessageType(IntEnum):
    """First byte of a message or of a layer around it."""

    PING = 0
    INDIRECT_PING = 1
    ACK = 2
    SUSPECT = 3
    ALIVE = 4
    DEAD = 5
    PUSH_PULL = 6
    COMPOUND = 7
    USER = 8
    COMPRESSED = 9
    ENCRYPTED = 10
    NACK = 11
    CHECKSUM = 12
    ERROR = 13
    LABEL = 244


class _PushPullHeader(NamedTuple):
    nodes: int
    user_state_len: int
    join: bool


class _UserHeader(NamedTuple):
    user_msg_len: int


class _Compressed(NamedTuple):
    """The struct around a compressed message; algorithm 0, the only one, is LZW."""

    algorithm: int
    data: bytes


_SEQUENCE = Field("SeqNo", "sequence", U32)
_INCARNATION = Field("Incarnation", "incarnation", U32)
_NODE = Field("Node", "node", TEXT)
_ACCUSER = Field("From", "accuser", TEXT)
_ADDR = Field("Addr", "addr", BYTES)
_PORT = Field("Port", "port", U16)
_META = Field("Meta", "meta", NULLABLE_BYTES)
_VERSIONS = Field("Vsn", "versions", NULLABLE_BYTES)
_SOURCE = (
    Field("SourceAddr", "source_addr", BYTES, optional=True),
    Field("SourcePort", "source_port", U16, optional=True),
    Field("SourceNode", "source_node", TEXT, optional=True),
)
_TARGET = Field("Target", "target", BYTES)
_NACK = Field("Nack", "nack", BOOL)

_PING = Struct(Ping, _SEQUENCE, _NODE, *_SOURCE)
_ACK = Struct(Ack, _SEQUENCE, Field("Payload", "payload", NULLABLE_BYTES))
_ERROR = Struct(ErrorReply, Field("Error", "error", TEXT))
_RECORD = Struct(
    Record,
    Field("Name", "name", TEXT),
    _ADDR,
    _PORT,
    _META,
    _INCARNATION,
    Field("State", "state", INT),
    _VERSIONS,
)
_PUSH_PULL_HEADER = Struct(
    _PushPullHeader,
    Field("Nodes", "nodes", INT),
    Field("UserStateLen", "user_state_len", INT),
    Field("Join", "join", BOOL),
)
_USER_HEADER = Struct(_UserHeader, Field("UserMsgLen", "user_msg_len", INT))
_COMPRESSED = Struct(_Compressed, Field("Algo", "algorithm", U8), Field("Buf", "data", BYTES))

_PACKET_STRUCTS: dict[int, Struct[Any]] = {
    MessageType.PING: _PING,
    MessageType.INDIRECT_PING: Struct(
        IndirectPing, _SEQUENCE, _TARGET, _PORT, _NODE, _NACK, *_SOURCE
    ),
    MessageType.ACK: _ACK,
    MessageType.SUSPECT: Struct(Suspect, _INCARNATION, _NODE, _ACCUSER),
    MessageType.ALIVE: Struct(Alive, _INCARNATION, _NODE, _ADDR, _PORT, _META, _VERSIONS),
    MessageType.DEAD: Struct(Dead, _INCARNATION, _NODE, _ACCUSER),
    MessageType.NACK: Struct(Nack, _SEQUENCE),
}
_STREAM_STRUCTS: dict[int, Struct[Any]] = {
    MessageType.PING: _PING,
    MessageType.ACK: _ACK,
    MessageType.ERROR: _ERROR,
}
_ENCODERS = {
    struct.make: (bytes([kind]), struct)
    for kind, struct in (_PACKET_STRUCTS | _STREAM_STRUCTS).items()
}


_CLAIMS = (MessageType.SUSPECT, MessageType.ALIVE, MessageType.DEAD)


def encode(message: Message) -> bytes:
    """Return `message` with its type byte; a UserMessage in the form that packets carry."""
    if isinstance(message, PushPull):
        return _encode_push_pull(message)
    if isinstance(message, UserMessage):
        return bytes([MessageType.USER]) + message.payload
    kind, struct = _ENCODERS[type(message)]
    return kind + struct.pack(message)


def decode(data: bytes) -> Message:
    """Return the one message that a packet, or a part of a compound, consists of.

    Bytes after it are ignored, as Go does. Raises ProtocolError.
    """
    kind = _kind_of(data)
    if kind == MessageType.USER:
        return UserMessage(data[1:])
    if kind in _CLAIMS and len(data) <= MAX_REMEMBERED:
        return _remembered_claim(data)
    return _decode_packet(data)


def decode_stream(data: bytes) -> Message:
    """Return the message a stream consists of; raises ProtocolError, LimitError for wrong sizes."""
    kind = _kind_of(data)
    if kind == MessageType.PUSH_PULL:
        return _decode_push_pull(data)
    if kind == MessageType.USER:
        reader = StructReader(data, 1)
        size = reader.read(_USER_HEADER).user_msg_len
        return UserMessage(_take(data, reader.position, size))
    return _decode_struct(data, _STREAM_STRUCTS)


def decode_compressed(data: bytes) -> bytes:
    """Return the LZW data in a compressed message; raises ProtocolError."""
    algorithm, compressed = StructReader(data, 1).read(_COMPRESSED)
    if algorithm != 0:
        raise ProtocolError(f"unknown compression algorithm {algorithm}")
    return compressed


def _kind_of(data: bytes) -> int:
    if not data:
        raise ProtocolError("empty message")
    return data[0]


def _decode_packet(data: bytes) -> Message:
    return _decode_struct(data, _PACKET_STRUCTS)


# News reaches everybody many times.
_remembered_claim = lru_cache(maxsize=REMEMBERED_CLAIMS)(_decode_packet)


def _decode_struct(data: bytes, structs: dict[int, Struct[Any]]) -> Message:
    struct = structs.get(data[0])
    if struct is None:
        raise ProtocolError(f"message type {data[0]} out of place")
    message: Message = StructReader(data, 1).read(struct)
    return message


def _encode_push_pull(message: PushPull) -> bytes:
    header = _PushPullHeader(len(message.records), len(message.user_state), message.join)
    parts = [bytes([MessageType.PUSH_PULL]), _PUSH_PULL_HEADER.pack(header)]
    parts += map(_RECORD.pack, message.records)
    parts.append(message.user_state)
    return b"".join(parts)


def _decode_push_pull(data: bytes) -> PushPull:
    reader = StructReader(data, 1)
    header = _read_push_pull_header(reader)
    if header.nodes <= REMEMBERED_RECORDS:
        records = tuple([_next_record(reader, data) for _ in range(header.nodes)])
    else:
        records = tuple([reader.read(_RECORD) for _ in range(header.nodes)])
    user_state = _take(data, reader.position, header.user_state_len)
    return PushPull(header.join, records, user_state)


def _next_record(reader: StructReader, data: bytes) -> Record:
    start = reader.position
    reader.skip()
    raw = data[start : reader.position]
    return _remembered_record(raw) if len(raw) <= MAX_REMEMBERED else _decode_record(raw)


def _decode_record(data: bytes) -> Record:
    return StructReader(data).read(_RECORD)


# Most of a table is as it was in the last one; a larger one than this would only push itself out.
_remembered_record = lru_cache(maxsize=REMEMBERED_RECORDS)(_decode_record)


def _read_push_pull_header(reader: StructReader) -> _PushPullHeader:
    header = reader.read(_PUSH_PULL_HEADER)
    if not 0 <= header.nodes <= MAX_RECORDS:
        raise LimitError(f"push/pull of {header.nodes} records")
    _check_size(header.user_state_len)
    return header


def _take(data: bytes, start: int, size: int) -> bytes:
    end = start + _check_size(size)
    if end > len(data):
        raise ProtocolError(f"{end - len(data)} bytes of user data missing")
    return data[start:end]


def _check_size(size: int) -> int:
    if not 0 <= size <= MAX_USER_DATA:
        raise LimitError(f"{size} bytes of user data")
    return size
