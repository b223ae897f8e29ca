"""LZW as Go writes it, which we only read (spec/memberlist.md, 2.4 and 2.6)."""

from msgpack import packb

_CLEAR, _END = 256, 257


def deflate(data: bytes) -> bytes:
    """Compress as the pseudo-code of the specification does (2.6), slowly."""
    written, width, high, top = [(_CLEAR, 9)], 9, _END, 512
    table: dict[tuple[int, int], int] = {}

    def bump() -> bool:
        nonlocal width, high, top, table
        high += 1
        if high == top:
            width, top = width + 1, 2 * top
        if high == 4095:
            written.append((_CLEAR, width))
            width, high, top, table = 9, _END, 512, {}
            return False
        return True

    current = data[0] if data else 0
    for byte in data[1:]:
        if (current, byte) in table:
            current = table[current, byte]
            continue
        written.append((current, width))
        if bump():
            table[current, byte] = high
        current = byte
    if data:
        written.append((current, width))
        bump()
    written.append((_END, width))
    bits = "".join(reversed([f"{code:0{size}b}" for code, size in written]))
    return int(bits, 2).to_bytes((len(bits) + 7) // 8, "little")


def compressed_message(packed: bytes, algorithm: int = 0) -> bytes:
    """Return LZW data as a message of the layer."""
    return b"\x09" + bytes(packb({"Algo": algorithm, "Buf": packed}, use_bin_type=False))


def compressed(plain: bytes) -> bytes:
    """Return `plain` compressed, as a message of the layer."""
    return compressed_message(deflate(plain))
