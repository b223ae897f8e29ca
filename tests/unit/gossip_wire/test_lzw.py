"""LZW: round trips, limits and refusals; byte equality with Go is in tests/vectors."""

import tracemalloc

import pytest
from hypothesis import given, strategies

from tests.testbed.lzw import deflate
from tests.unit.gossip_wire.wires import lzw_bomb
from wesher.base.errors import LimitError, ProtocolError
from wesher.gossip.wire import inflate


def codes(*values: int, width: int = 9) -> bytes:
    """Return codes of one width, least significant bit first."""
    bits = sum(value << width * index for index, value in enumerate(values))
    return bits.to_bytes((width * len(values) + 7) // 8, "little")


def without_repeated_pairs(size: int) -> bytes:
    """Return bytes of which no two neighbours occur twice, so that each costs one code."""
    steps = (step for step in range(1, 256, 2) for _ in range(256))
    value, plain = 0, bytearray()
    for _, step in zip(range(size), steps, strict=False):
        plain.append(value)
        value = (value + step) % 256
    return bytes(plain)


@pytest.mark.case(4)
@given(strategies.binary(max_size=3000) | strategies.text("ab", max_size=9000).map(str.encode))
def test_whatever_is_compressed_comes_back(plain: bytes) -> None:
    assert inflate(deflate(plain), len(plain)) == plain


@pytest.mark.case(4)
@pytest.mark.parametrize("size", range(3834, 3844))
def test_a_table_that_is_full_just_at_the_end_is_cleared(size: int) -> None:
    plain = without_repeated_pairs(size)

    data = deflate(plain)

    assert inflate(data, size) == plain


@pytest.mark.case(4)
@given(strategies.binary(max_size=300), strategies.integers(0, 300))
def test_damaged_data_gives_nothing_worse_than_a_protocol_error(data: bytes, limit: int) -> None:
    try:
        plain = inflate(data, limit)
    except ProtocolError:
        return

    assert len(plain) <= limit


@pytest.mark.case(4)
def test_output_is_limited_to_the_byte() -> None:
    data = deflate(b"a" * 1000)

    assert inflate(data, 1000) == b"a" * 1000
    with pytest.raises(LimitError):
        inflate(data, 999)


@pytest.mark.case(4)
def test_a_bomb_costs_no_more_memory_than_its_limit() -> None:
    bomb = lzw_bomb(40_000_000)

    tracemalloc.start()
    with pytest.raises(LimitError):
        inflate(bomb, 262_144)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 4 * 262_144


@pytest.mark.case(4)
@pytest.mark.parametrize("text", ["hello", "the quick brown fox " * 30, "x" * 5000])
def test_data_without_its_end_is_refused(text: str) -> None:
    data = deflate(text.encode())

    for end in range(len(data) - 1):
        with pytest.raises(ProtocolError, match="without an end"):
            inflate(data[:end], 10_000)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(codes(256, 258, 257), id="an entry before there is one"),
        pytest.param(codes(256, 97, 259, 257), id="an entry too far ahead"),
        pytest.param(codes(256, 97, 97, 256, 258, 257), id="an entry from before the clear"),
    ],
)
def test_codes_that_stand_for_nothing_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="unknown code"):
        inflate(data, 1000)


def test_an_entry_may_be_used_while_it_is_made() -> None:
    assert inflate(codes(256, 97, 258, 257), 1000) == b"aaa"


def test_data_may_start_without_a_clear_and_go_on_behind_the_end() -> None:
    assert inflate(codes(97, 257) + b"whatever", 1000) == b"a"


def test_a_clear_code_starts_the_table_anew() -> None:
    assert inflate(codes(256, 97, 98, 256, 256, 97, 258, 257), 1000) == b"abaaa"


@pytest.mark.case(4)
def test_clearing_time_and_again_is_refused_since_it_takes_long_and_says_little() -> None:
    data = codes(*[256, 97] * 100, 257)

    assert inflate(data, 100 * 256) == b"a" * 100
    with pytest.raises(LimitError, match="clears"):
        inflate(data, 98 * 256)


def test_a_full_table_keeps_its_entries() -> None:
    # Go clears before the table is full; other encoders need not.
    def bits(values: list[int]) -> bytes:
        size, top = 258, 512
        position = total = 0
        for value in values:
            total |= value << position
            position += top.bit_length() - 1
            size += 1
            if size > top and top < 4096:
                top *= 2
        return total.to_bytes((position + 7) // 8, "little")

    literals = [index % 251 for index in range(4096 - 258 + 1)]

    plain = inflate(bits([*literals, 258, 4095, 65, 258, 257]), 10_000)

    tail = bytes([literals[0], literals[1]])
    assert plain == bytes(literals) + tail + bytes(literals[-2:]) + b"A" + tail
