"""Go structs as msgpack maps: the one reader and the one writer of them.

See spec/memberlist.md, 1.3 and 1.4.

What is read is hostile. Values of unknown keys are skipped without being built; values of known
keys are scalars or short arrays of bytes. So nothing takes much more memory than its bytes did.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Generic, TypeVar

from msgpack import Packer, Unpacker, UnpackException

from wesher.base.errors import LimitError, ProtocolError
from wesher.base.frozen import frozen

T = TypeVar("T")

MAX_FIELDS = 64  # keys of one struct; ours have 8 at most, so peers have room to grow
MAX_BYTE_ARRAY = 512  # elements, where a peer wrote bytes as an array of integers
_NIL = 0xC0
# RecursionError: msgpack's pure Python fallback, used where its C extension is missing.
_UNREADABLE = (UnpackException, ValueError, TypeError, RecursionError)


@frozen
class Kind:
    """Type of a field: `check` turns what msgpack gave into our value, `zero` stands for nil."""

    check: Callable[[object], object]
    zero: object


@frozen
class Field:
    """One field; an `optional` one is left out while it is zero or empty."""

    key: str
    attribute: str
    kind: Kind
    optional: bool = False


def _integer(low: int, high: int) -> Kind:
    def check(value: object) -> object:
        if type(value) is not int or not low <= value <= high:
            raise ProtocolError(f"not an integer from {low} to {high}")
        return value

    return Kind(check, 0)


def _boolean(value: object) -> object:
    if type(value) is not bool:
        raise ProtocolError("not a boolean")
    return value


def _octets(value: object) -> object:
    if type(value) is not bytes:
        raise ProtocolError("not a byte string")
    return value


def _text(value: object) -> object:
    if type(value) is not bytes:
        raise ProtocolError("not a text")
    return value.decode("utf-8", "surrogateescape")


def _refuse_map(value: object) -> object:
    raise ProtocolError("a map where none belongs")


U8 = _integer(0, 2**8 - 1)
U16 = _integer(0, 2**16 - 1)
U32 = _integer(0, 2**32 - 1)
INT = _integer(-(2**63), 2**63 - 1)
BOOL = Kind(_boolean, False)
TEXT = Kind(_text, "")
BYTES = Kind(_octets, b"")
NULLABLE_BYTES = Kind(_octets, None)


class Struct(Generic[T]):
    """The fields of one kind of struct, in the order in which `make` takes them."""

    def __init__(self, make: Callable[..., T], *fields: Field) -> None:
        self.make = make
        self.zeros = tuple(field.kind.zero for field in fields)
        self.slots = {
            field.key.encode(): (index, field.kind.check, field.kind.zero)
            for index, field in enumerate(fields)
        }
        # Go writes its keys in ascending order.
        ordered = sorted(fields, key=attrgetter("key"))
        self._keys = tuple(field.key for field in ordered)
        self._optional = frozenset(field.key for field in ordered if field.optional)
        self._values_of = _getter([field.attribute for field in ordered])

    def pack(self, value: T) -> bytes:
        """Return `value` as Go would write it."""
        fields = dict(zip(self._keys, self._values_of(value), strict=True))
        if self._optional:
            fields = {key: v for key, v in fields.items() if v or key not in self._optional}
        packed: bytes = _packer.pack(fields)
        return packed


def _getter(attributes: list[str]) -> Callable[[object], tuple[object, ...]]:
    """Return what gets the values of `attributes`; attrgetter, for a single one, gives it bare."""
    get = attrgetter(*attributes)
    return get if len(attributes) > 1 else lambda value: (get(value),)


# v0.5 codecs refuse the newer string and binary forms.
_packer = Packer(use_bin_type=False, unicode_errors="surrogateescape")


class StructReader:
    """Reads structs that follow each other in `data`, from `start` on."""

    def __init__(self, data: bytes, start: int = 0) -> None:
        size = max(1, len(data) - start)
        self._data = data
        self._start = start
        # Both hooks run as soon as their array or map ends, so nested ones fail before they grow.
        self._unpacker: Any = Unpacker(
            read_size=size,
            max_buffer_size=size,
            raw=True,
            list_hook=bytes,
            strict_map_key=False,
            max_array_len=MAX_BYTE_ARRAY,
            object_hook=_refuse_map,
            max_map_len=MAX_FIELDS,
            max_ext_len=0,
        )
        self._unpacker.feed(memoryview(data)[start:])

    @property
    def position(self) -> int:
        """Where in `data` the next struct starts."""
        return self._start + int(self._unpacker.tell())

    def read(self, struct: Struct[T]) -> T:
        """Return the next struct, missing fields zero; raises ProtocolError if it is unreadable."""
        try:
            return struct.make(*self._values(struct.slots, struct.zeros))
        except _UNREADABLE as error:
            raise ProtocolError(f"not a readable struct: {error}") from error

    def skip(self) -> None:
        """Pass over the next struct without building it."""
        try:
            self._unpacker.skip()
        except _UNREADABLE as error:
            raise ProtocolError(f"not a readable struct: {error}") from error

    def _values(
        self,
        slots: dict[bytes, tuple[int, Callable[[object], object], object]],
        zeros: Sequence[object],
    ) -> list[object]:
        unpack, skip = self._unpacker.unpack, self._unpacker.skip
        values = list(zeros)
        for _ in range(self._read_count()):
            key = unpack()
            slot = slots.get(key)
            if slot is None:
                _octets(key)
                skip()
                continue
            index, check, zero = slot
            value = unpack()
            values[index] = zero if value is None else check(value)
        return values

    def _read_count(self) -> int:
        position = self.position
        if position < len(self._data) and self._data[position] == _NIL:
            self._unpacker.skip()
            return 0
        count = int(self._unpacker.read_map_header())
        if count > MAX_FIELDS:
            raise LimitError(f"struct of {count} fields")
        return count
