"""Go's gob: every kind of type is read or skipped, and nothing hostile does harm."""

import random

import pytest

from wesher.base.errors import ProtocolError
from wesher.mesh.base import gob
from wesher.mesh.base.gob import Opaque, decode, encode_bytes, encode_int, encode_uint

PROTO = bytes.fromhex(  # protocol 7.5, with an extra string field
    "3cff8103 0101086e6f64654d65746101ff82000103010b4f7665726c61794164647201ff840001065075624b6579"
    "010c00010550726f746f010c000000"
    "10ff83060101044164647201ff84000000"
    "3cff8201040a000001012c59574a6a5a47566d5a326870616d7473625735766348467963335231646e643465587042"
    "516b4e455255593d010370793100".replace(" ", "")
)


def common(type_id: int) -> bytes:
    return gob.encode_struct([encode_bytes(b"T"), encode_int(type_id)])


def definition(type_id: int, kind: int, *details: int) -> bytes:
    """Define a type of the given kind: 0 array, 1 slice, 3 map, 4 gob, 5 binary, 6 text."""
    body = gob.encode_struct([common(type_id), *map(encode_int, details)])
    return gob.encode_value(-type_id, gob.encode_struct([b""] * kind + [body]))


def stream(field_type: int, field: bytes, *definitions: bytes) -> bytes:
    """Build a struct of one field `x` of this type, then a string `after` that must survive it."""
    fields = [("x", field_type), ("after", gob.STRING)]
    value = gob.encode_struct([field, encode_bytes(b"kept")])
    return gob.define_struct(65, "T", fields) + b"".join(definitions) + gob.encode_value(65, value)


@pytest.mark.case(40)
@pytest.mark.parametrize(
    ("number", "encoded"),
    [(0, "00"), (127, "7f"), (128, "ff80"), (300, "fe012c"), (2**64 - 1, "f8" + "ff" * 8)],
)
def test_unsigned_numbers_are_written_as_go_writes_them(number: int, encoded: str) -> None:
    assert encode_uint(number).hex() == encoded


@pytest.mark.case(40)
@pytest.mark.parametrize(
    ("number", "encoded"), [(-65, "ff81"), (65, "ff82"), (66, "ff84"), (0, "00"), (-1, "01")]
)
def test_signed_numbers_are_written_as_go_writes_them(number: int, encoded: str) -> None:
    assert encode_int(number).hex() == encoded


@pytest.mark.case(40)
def test_an_extra_field_is_read_beside_the_others() -> None:
    fields = decode(PROTO)

    assert fields["OverlayAddr"] == Opaque(b"\x0a\0\0\x01")
    assert fields["PubKey"] == "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXpBQkNERUY="
    assert fields["Proto"] == "py1"


NESTED = gob.define_struct(70, "N", [("a", 2), ("b", gob.STRING)])


@pytest.mark.case(40)
@pytest.mark.parametrize(
    ("data", "value"),
    [
        (stream(1, b"\x01"), 1),
        (stream(2, encode_int(-300)), -300),
        (stream(3, encode_uint(2**63)), 2**63),
        (stream(4, b"\xfe\xf0\x3f"), 0xF03F),
        (stream(5, encode_bytes(b"\0\xff")), b"\0\xff"),
        (stream(6, encode_bytes(b"a\xff")), "a\udcff"),
        (stream(7, b"\xfe\xf0\x3f\xfe\xf0\x3f"), None),
        (stream(8, b"\x00"), None),
        (stream(8, encode_bytes(b"main.T") + b"\xff\x82" + encode_bytes(b"whatever")), None),
        (stream(70, gob.encode_struct([b"\x07", b""]), NESTED), {"a": -4, "b": None}),
        (stream(70, b"\x02\x01z\x00", NESTED), {"a": None, "b": "z"}),
        (stream(71, b"\x02\x02\x04", definition(71, 0, 2, 2)), [1, 2]),
        (stream(71, b"\x02\x01a\x01b", definition(71, 1, gob.STRING)), ["a", "b"]),
        (stream(71, b"\x01\x01k\x02", definition(71, 3, gob.STRING, 2)), None),
        (stream(71, b"\x02ab", definition(71, 4)), Opaque(b"ab")),
        (stream(71, b"\x02ab", definition(71, 5)), Opaque(b"ab")),
        (stream(71, b"\x02ab", definition(71, 6)), "ab"),
        (stream(71, b"\x00", gob.define_struct(71, "E", [])), {}),
        (stream(1, b""), None),
    ],
)
def test_each_kind_of_type_is_read_or_skipped(data: bytes, value: object) -> None:
    assert decode(data) == {"x": value, "after": "kept"}


@pytest.mark.case(40)
def test_every_truncation_is_an_error() -> None:
    for length in range(len(PROTO)):
        with pytest.raises(ProtocolError):
            decode(PROTO[:length])


def test_bytes_after_the_value_are_ignored() -> None:
    assert decode(PROTO + b"\xff\xff") == decode(PROTO)


def list_of_itself(depth: int) -> bytes:
    """Nest a list type that contains itself."""
    return stream(71, b"\x01" * depth + b"\x00", definition(71, 1, 71))


def test_nesting_ends_at_eight() -> None:
    assert decode(list_of_itself(6))["after"] == "kept"
    with pytest.raises(ProtocolError, match="nested"):
        decode(list_of_itself(7))


def many_definitions(count: int) -> bytes:
    return (
        b"".join(definition(100 + n, 5) for n in range(count - 1))
        + gob.define_struct(65, "T", [])
        + gob.encode_value(65, b"\x00")
    )


def test_definitions_end_at_thirty_two() -> None:
    assert decode(many_definitions(32)) == {}
    with pytest.raises(ProtocolError, match="too many"):
        decode(many_definitions(33))


def test_input_ends_at_512_bytes() -> None:
    padded = PROTO.ljust(512, b"\0")

    assert decode(padded) == decode(PROTO)
    with pytest.raises(ProtocolError, match="513 bytes"):
        decode(padded + b"\0")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "truncated"),
        (b"\x00", "truncated"),
        (b"\x02\xff", "truncated"),
        (b"\x80", "64 bits"),
        (b"\xf7" + bytes(9), "64 bits"),
        (b"\xf8" + b"\xff" * 8, "truncated"),
        (gob.encode_value(0, b"\x00"), "not defined"),
        (gob.encode_value(65, b"\x00"), "not defined"),
        (gob.encode_value(6, encode_bytes(b"text")), "not a struct"),
        (stream(71, b"\x01"), "not defined"),
        (stream(5, b"\x7f"), "truncated"),
        (stream(71, b"\x7f", definition(71, 1, 6)), "truncated"),
        (stream(71, b"\xf8" + b"\xff" * 8, definition(71, 3, 6, 6)), "truncated"),
        (gob.define_struct(65, "T", []) + gob.encode_value(65, b"\x01\x00"), "out of range"),
        (gob.define_struct(65, "T", []) * 2, "must not be defined"),
        (gob.define_struct(6, "T", []), "must not be defined"),
        (gob.encode_value(-65, b"\x00"), "no or several"),
        (gob.encode_value(-65, b"\x05\x00\x01\x00\x00"), "no or several"),
        (gob.encode_value(-65, b"\x05\x00\x00\x00"), "too long"),
    ],
)
def test_malformed_gob_is_refused_saying_why(data: bytes, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        decode(data)


@pytest.mark.parametrize("seed", range(10))
def test_hostile_bytes_raise_nothing_but_protocol_errors(seed: int) -> None:
    rng = random.Random(seed)
    samples = [PROTO, list_of_itself(5), stream(8, encode_bytes(b"T") + b"\xff\x82\x00")]
    refused = 0

    for _ in range(500):
        data = bytearray(rng.choice(samples))
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.choice(
                [0, 1, 127, 128, 248, 255, rng.randrange(256)]
            )
        try:
            assert isinstance(decode(bytes(data)), dict)
        except ProtocolError:
            refused += 1

    assert 100 < refused < 500


@pytest.mark.parametrize("seed", range(3))
def test_noise_raises_nothing_but_protocol_errors(seed: int) -> None:
    rng = random.Random(seed)

    for length in range(512):
        with pytest.raises(ProtocolError):
            decode(rng.randbytes(length))
