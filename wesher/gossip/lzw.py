"""LZW as Go's compress/lzw writes it: least significant bit first, 8-bit literals.

See spec/memberlist.md, 2.6.

The decoder keeps its table as byte strings. Each entry is one byte longer than a string that it has
put out, so the table never takes more memory than the output, which is bounded, and 8 MB at most.
"""

from wesher.base.errors import LimitError, ProtocolError

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
_NO_STRING = -1
_FEWEST_BETWEEN_CLEARS = 256
"""Bytes of output that justify one more clearing, which takes as long as that many codes. Encoders
clear their table once 3,838 codes have filled it."""


def encode(data: bytes) -> bytes:
    """Compress `data`, byte for byte as Go does."""
    output = bytearray()
    bits, count = _CLEAR, _FIRST_WIDTH
    width, high, top = _FIRST_WIDTH, _END, _FIRST_TOP
    table: dict[int, int] = {}
    find = table.get
    current = data[0] if data else _NO_STRING
    for byte in data[1:]:
        key = current << 8 | byte
        code = find(key)
        if code is not None:
            current = code
            continue
        bits |= current << count
        count += width
        current = byte
        high += 1
        if high == top:
            width += 1
            top <<= 1
        table[key] = high
        if high == _TABLE_SIZE - 1:
            bits |= _CLEAR << count
            count += width
            width, high, top = _FIRST_WIDTH, _END, _FIRST_TOP
            table.clear()
        if count >= _CHUNK_BITS:
            output += (bits & _CHUNK_MASK).to_bytes(_CHUNK, "little")
            bits >>= _CHUNK_BITS
            count -= _CHUNK_BITS
    if current != _NO_STRING:
        bits |= current << count
        count += width
        high += 1
        if high == top:
            width += 1
        if high == _TABLE_SIZE - 1:
            bits |= _CLEAR << count
            count += width
            width = _FIRST_WIDTH
    bits |= _END << count
    output += bits.to_bytes((count + width + 7) // 8, "little")
    return bytes(output)


def decode(data: bytes, limit: int) -> bytes:
    """Decompress `data`, ignoring what follows its end code.

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
