"""Go's gob encoding, as much of it as one struct value needs (spec/memberlist.md, 7.1 and 7.4).

A stream describes its own types before the value, so the reader follows the sender's description,
whatever it is, within fixed bounds. The writer offers the pieces of a stream.
"""

from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import TypeAlias

from wesher.base.errors import ProtocolError
from wesher.base.frozen import frozen

MAX_INPUT = 512  # bytes, memberlist's limit for metadata
MAX_DEFINITIONS = 32
MAX_NESTING = 8

BYTES = 5
STRING = 6
FIRST_USER_TYPE = 64


@frozen
class Opaque:
    """What a Go type encoded by its own binary marshaler."""

    data: bytes


Value: TypeAlias = "int | str | bytes | Opaque | list[Value] | dict[str, Value] | None"
"""A decoded value; None stands for a field left out and for kinds nobody needs."""


def decode(data: bytes) -> dict[str, Value]:
    """Return the fields of the one struct that `data` describes and holds, left out ones as None.

    Bytes after the value are ignored. Raises ProtocolError, and nothing else, whatever the input.
    """
    if len(data) > MAX_INPUT:
        raise ProtocolError(f"gob of {len(data)} bytes")
    stream = _Stream(data)
    types = dict(_PREDEFINED)
    while True:
        message = stream.part()
        type_id = message.int()
        if type_id >= 0:
            break
        _define(-type_id, message, types)
    value = _read(message, type_id, types, 1)
    if not isinstance(value, dict):
        raise ProtocolError("gob value is not a struct")
    return value


def encode_uint(number: int) -> bytes:
    """Encode an unsigned number."""
    if number < 128:
        return bytes([number])
    digits = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return bytes([256 - len(digits)]) + digits


def encode_int(number: int) -> bytes:
    """Encode a signed number."""
    return encode_uint(number << 1 if number >= 0 else ~number << 1 | 1)


def encode_bytes(data: bytes) -> bytes:
    """Encode a string, a []byte, or what a marshaler made."""
    return encode_uint(len(data)) + data


def encode_struct(fields: Sequence[bytes]) -> bytes:
    """Encode a struct of encoded fields, where an empty one is left out."""
    encoded = b""
    skipped = 0
    for field in fields:
        skipped += 1
        if field:
            encoded += encode_uint(skipped) + field
            skipped = 0
    return encoded + b"\x00"


def encode_value(type_id: int, value: bytes) -> bytes:
    """Encode the message that carries a value of this type."""
    return encode_bytes(encode_int(type_id) + value)


def define_struct(type_id: int, name: str, fields: Sequence[tuple[str, int]]) -> bytes:
    """Encode the message that defines a struct type of fields with these names and types."""
    entries = b"".join(_named(*field) for field in fields)
    description = encode_struct([_named(name, type_id), encode_uint(len(fields)) + entries])
    return encode_value(-type_id, encode_struct([b"", b"", description]))


def define_marshaler(type_id: int, name: str) -> bytes:
    """Encode the message that defines a type with a marshaler of its own (BinaryMarshaler)."""
    description = encode_struct([_named(name, type_id)])
    return encode_value(-type_id, encode_struct([b""] * 5 + [description]))


def _named(name: str, type_id: int) -> bytes:
    return encode_struct([encode_bytes(name.encode()), encode_int(type_id)])


class _Stream:
    """Bytes and how far they have been read."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise ProtocolError("gob is truncated")
        self._at += count
        return self._data[self._at - count : self._at]

    def uint(self) -> int:
        first = self.take(1)[0]
        if first < 128:
            return first
        if 256 - first > 8:
            raise ProtocolError("gob number of more than 64 bits")
        return int.from_bytes(self.take(256 - first), "big")

    def int(self) -> int:
        number = self.uint()
        return ~(number >> 1) if number & 1 else number >> 1

    def bytes(self) -> bytes:
        return self.take(self.uint())

    def part(self) -> "_Stream":
        return _Stream(self.bytes())


class _Kind(Enum):
    UINT = auto()
    INT = auto()
    BYTES = auto()
    STRING = auto()
    COMPLEX = auto()
    INTERFACE = auto()
    STRUCT = auto()
    LIST = auto()
    MAP = auto()
    OPAQUE = auto()


@frozen
class _Type:
    kind: _Kind
    fields: tuple[tuple[str, int], ...] = ()
    element: int = 0
    key: int = 0


_Types = dict[int, _Type]


def _struct(*fields: tuple[str, int]) -> _Type:
    return _Type(_Kind.STRUCT, fields)


_COMMON = ("common", 18)

_PREDEFINED: _Types = {
    1: _Type(_Kind.UINT),  # bool
    2: _Type(_Kind.INT),
    3: _Type(_Kind.UINT),
    4: _Type(_Kind.UINT),  # float: reversed bits, which nobody needs
    BYTES: _Type(_Kind.BYTES),
    STRING: _Type(_Kind.STRING),
    7: _Type(_Kind.COMPLEX),
    8: _Type(_Kind.INTERFACE),
    # What definitions are made of. Type 16 has one field for each kind of definition.
    16: _struct(
        ("array", 17),
        ("slice", 19),
        ("struct", 20),
        ("map", 23),
        ("gob", 24),
        ("binary", 24),
        ("text", 24),
    ),
    17: _struct(_COMMON, ("element", 2), ("length", 2)),
    18: _struct(("name", STRING), ("id", 2)),
    19: _struct(_COMMON, ("element", 2)),
    20: _struct(_COMMON, ("fields", 22)),
    21: _struct(("name", STRING), ("id", 2)),
    22: _Type(_Kind.LIST, element=21),
    23: _struct(_COMMON, ("key", 2), ("element", 2)),
    24: _struct(_COMMON),
}


def _define(type_id: int, message: _Stream, types: _Types) -> None:
    """Add the definition in `message` to `types`."""
    if type_id < FIRST_USER_TYPE or type_id in types:
        raise ProtocolError(f"gob type {type_id} must not be defined")
    if len(types) - len(_PREDEFINED) >= MAX_DEFINITIONS:
        raise ProtocolError("too many gob definitions")
    types[type_id] = _parse_definition(_read(message, 16, types, 1))
    if message.left:
        raise ProtocolError("gob definition is too long")


def _parse_definition(definition: Value) -> _Type:
    present = [(kind, body) for kind, body in _fields(definition).items() if body is not None]
    if len(present) != 1:
        raise ProtocolError("gob definition of no or several kinds")
    kind, body = present[0]
    match kind:
        case "array" | "slice":
            return _Type(_Kind.LIST, element=_type_id(body, "element"))
        case "map":
            return _Type(_Kind.MAP, element=_type_id(body, "element"), key=_type_id(body, "key"))
        case "struct":
            entries = _fields(body)["fields"]
            fields = entries if isinstance(entries, list) else []
            return _struct(*((_name(field), _type_id(field, "id")) for field in fields))
        case "text":
            return _Type(_Kind.STRING)
    return _Type(_Kind.OPAQUE)


def _fields(value: Value) -> dict[str, Value]:
    """Return a struct that one of our own types describes, so it is one."""
    assert isinstance(value, dict)
    return value


def _type_id(struct: Value, field: str) -> int:
    number = _fields(struct)[field]
    return number if isinstance(number, int) else 0  # zero is left out, and is no type


def _name(struct: Value) -> str:
    name = _fields(struct)["name"]
    return name if isinstance(name, str) else ""


def _read(stream: _Stream, type_id: int, types: _Types, depth: int) -> Value:
    """Read a value, `depth` structs, lists or maps deep."""
    declared = types.get(type_id)
    if declared is None:
        raise ProtocolError(f"gob type {type_id} is not defined")
    if depth > MAX_NESTING:
        raise ProtocolError("gob is nested too deeply")
    return _READERS[declared.kind](stream, declared, types, depth)


def _read_struct(stream: _Stream, declared: _Type, types: _Types, depth: int) -> Value:
    values: dict[str, Value] = {name: None for name, _ in declared.fields}
    at = -1
    while delta := stream.uint():
        at += delta
        if at >= len(declared.fields):
            raise ProtocolError("gob field number out of range")
        name, type_id = declared.fields[at]
        values[name] = _read(stream, type_id, types, depth + 1)
    return values


def _read_list(stream: _Stream, declared: _Type, types: _Types, depth: int) -> Value:
    return [_read(stream, declared.element, types, depth + 1) for _ in range(_count(stream))]


def _read_map(stream: _Stream, declared: _Type, types: _Types, depth: int) -> Value:
    for _ in range(_count(stream)):
        _read(stream, declared.key, types, depth + 1)
        _read(stream, declared.element, types, depth + 1)
    return None


def _read_interface(stream: _Stream, declared: _Type, types: _Types, depth: int) -> Value:
    if stream.bytes():
        stream.int()
        stream.bytes()
    return None


def _read_complex(stream: _Stream, declared: _Type, types: _Types, depth: int) -> Value:
    stream.uint()
    stream.uint()
    return None


def _count(stream: _Stream) -> int:
    """Read a number of elements, each of which takes a byte or more."""
    count = stream.uint()
    if count > stream.left:
        raise ProtocolError("gob is truncated")
    return count


_READERS: dict[_Kind, Callable[[_Stream, _Type, _Types, int], Value]] = {
    _Kind.UINT: lambda stream, *_: stream.uint(),
    _Kind.INT: lambda stream, *_: stream.int(),
    _Kind.BYTES: lambda stream, *_: stream.bytes(),
    _Kind.STRING: lambda stream, *_: stream.bytes().decode("utf-8", "surrogateescape"),
    _Kind.OPAQUE: lambda stream, *_: Opaque(stream.bytes()),
    _Kind.COMPLEX: _read_complex,
    _Kind.INTERFACE: _read_interface,
    _Kind.STRUCT: _read_struct,
    _Kind.LIST: _read_list,
    _Kind.MAP: _read_map,
}
