"""Metadata: both Go formats to the byte, and our own fields beside them."""

import json
import random
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgpack
import pytest

from wesher.base.errors import ProtocolError
from wesher.base.frozen import replace
from wesher.mesh.base import gob
from wesher.mesh.base.metadata import (
    FINGERPRINT_ROOM,
    MAX_FINGERPRINTS,
    MAX_METADATA,
    Metadata,
    MetadataFormat,
    decode_metadata,
    encode_metadata,
)

KEY = "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXpBQkNERUY="
GO = Metadata(ip_address("10.0.0.1"), KEY)
OURS = Metadata(
    overlay_addr=ip_address("10.0.0.1"),
    public_key=KEY,
    wireguard_port=51820,
    endpoint="192.0.2.7",
    overlay_net="10.0.0.0/8",
    immovable=True,
    kept=True,
    late=True,
    preshared=True,
    answers=True,
    version="1.2.3",
    key_fingerprints=("01020304", "fffefdfc"),
    has_ext=True,
)
LONGEST = replace(
    OURS,
    overlay_addr=ip_address("fd00:1111:2222:3333:4444:5555:6666:7777"),
    endpoint="2001:db8:1111:2222:3333:4444:5555:6666",
    overlay_net="fd00:1111:2222:3333:4444:5555:6666:7770/124",
    version="v" * 32,
    key_fingerprints=tuple(f"{number:08x}" for number in range(MAX_FINGERPRINTS)),
)


def vectors(name: str) -> list[dict[str, Any]]:
    path = Path(__file__).parents[2] / "vectors" / f"{name}.json"
    found: list[dict[str, Any]] = json.loads(path.read_text())
    return found


FORMATS = [("current", v) for v in vectors("gob_master")]
FORMATS += [("v0.2", v) for v in vectors("gob_v0.2.6")]


@pytest.mark.case(40)
@pytest.mark.parametrize(("format", "vector"), FORMATS)
def test_what_go_wrote_is_read_and_written_back_to_the_byte(
    format: MetadataFormat, vector: dict[str, Any]
) -> None:
    data = bytes.fromhex(vector["gob"])
    address = ip_address(vector["overlay_addr"]) if vector["overlay_addr"] else None

    metadata = decode_metadata(data)

    assert metadata == Metadata(address, vector["pubkey"], format=format)
    assert encode_metadata(metadata, format) == data


@pytest.mark.case(40)
@pytest.mark.parametrize("format", ["current", "v0.2"])
@pytest.mark.parametrize("metadata", [OURS, LONGEST, replace(GO, has_ext=True)])
def test_our_own_fields_survive_in_both_formats(metadata: Metadata, format: MetadataFormat) -> None:
    data = encode_metadata(metadata, format)

    assert decode_metadata(data) == replace(metadata, format=format)


@pytest.mark.parametrize("format", ["current", "v0.2"])
def test_the_longest_metadata_has_room_for_fingerprints(format: MetadataFormat) -> None:
    without = replace(LONGEST, key_fingerprints=())

    assert len(encode_metadata(LONGEST, format)) <= MAX_METADATA
    assert len(encode_metadata(without, format)) + FINGERPRINT_ROOM <= MAX_METADATA


def test_what_leaves_no_room_for_all_fingerprints_is_not_written() -> None:
    def longest(fingerprints: int) -> int:
        told = tuple(f"{number:08x}" for number in range(fingerprints))
        metadata = replace(OURS, key_fingerprints=told)
        lengths = range(512)
        return max(n for n in lengths if _fits(replace(metadata, version="v" * n)))

    assert len({longest(fingerprints) for fingerprints in range(MAX_FINGERPRINTS + 1)}) == 1


def test_of_many_fingerprints_the_first_are_told() -> None:
    many = tuple(f"{number:08x}" for number in range(MAX_FINGERPRINTS + 2))

    told = decode_metadata(encode_metadata(replace(OURS, key_fingerprints=many), "current"))

    assert told.key_fingerprints == many[:MAX_FINGERPRINTS]


def _fits(metadata: Metadata) -> bool:
    try:
        return bool(encode_metadata(metadata, "current"))
    except ValueError:
        return False


def test_metadata_that_grows_too_long_is_not_written() -> None:
    with pytest.raises(ValueError, match="bytes"):
        encode_metadata(replace(OURS, version="v" * 400), "current")


@pytest.mark.case(40)
@pytest.mark.parametrize(
    ("metadata", "value"),
    [
        (Metadata(), "03ff8200"),
        (replace(GO, overlay_addr=None), "31ff82022c" + KEY.encode().hex() + "00"),
    ],
)
def test_empty_fields_are_left_out_as_go_does(metadata: Metadata, value: str) -> None:
    assert encode_metadata(metadata, "current").hex().endswith("0000" + value)


def test_an_empty_address_in_v02_format_is_an_empty_struct() -> None:
    data = encode_metadata(replace(GO, overlay_addr=None), "v0.2")

    assert gob.decode(data)["OverlayAddr"] == {"IP": None, "Mask": None}
    assert decode_metadata(data) == replace(GO, overlay_addr=None, format="v0.2")


def test_the_extra_field_changes_nothing_that_go_reads() -> None:
    go, ours = (gob.decode(encode_metadata(metadata, "current")) for metadata in (GO, OURS))

    assert {name: ours[name] for name in go} == go
    assert list(ours) == [*go, "Ext"]


def test_an_ipv4_mapped_address_in_v02_format_means_the_ipv4_address() -> None:
    mapped = ip_address("::ffff:10.0.0.1").packed
    data = struct_of({"OverlayAddr": (66, gob.encode_struct([gob.encode_bytes(mapped)]))}, IPNET)

    assert decode_metadata(data).overlay_addr == ip_address("10.0.0.1")


ADDR = gob.define_marshaler(66, "Addr")
IPNET = gob.define_struct(66, "IPNet", [("IP", gob.BYTES), ("Mask", gob.BYTES)])
IP = gob.encode_bytes(bytes([10, 0, 0, 1]))


def struct_of(fields: dict[str, tuple[int, bytes]], *definitions: bytes) -> bytes:
    """Build a stream of one struct: name -> (type, encoded value)."""
    types = [(name, type_id) for name, (type_id, _) in fields.items()]
    value = gob.encode_struct([encoded for _, encoded in fields.values()])
    return (
        gob.define_struct(65, "other", types) + b"".join(definitions) + gob.encode_value(65, value)
    )


KEY_FIELD = (gob.STRING, gob.encode_bytes(KEY.encode()))


@pytest.mark.case(40)
@pytest.mark.parametrize(
    "fields",
    [
        {"PubKey": KEY_FIELD, "OverlayAddr": (66, IP)},
        {"Before": (1, b"\x01"), "OverlayAddr": (66, IP), "PubKey": KEY_FIELD},
        {"OverlayAddr": (66, IP), "Between": (7, b"\x01\x01"), "PubKey": KEY_FIELD},
    ],
)
def test_fields_are_found_by_name_in_any_order_among_others(
    fields: dict[str, tuple[int, bytes]],
) -> None:
    assert decode_metadata(struct_of(fields, ADDR)) == GO


@pytest.mark.parametrize(
    ("fields", "metadata"),
    [
        ({"PubKey": KEY_FIELD}, replace(GO, overlay_addr=None)),
        ({"OverlayAddr": (66, IP)}, replace(GO, public_key="")),
        ({"OverlayAddr": (66, b"\x00"), "PubKey": (gob.STRING, b"")}, Metadata()),
    ],
)
def test_missing_fields_stay_empty(
    fields: dict[str, tuple[int, bytes]], metadata: Metadata
) -> None:
    assert decode_metadata(struct_of(fields, ADDR)) == metadata


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (struct_of({"Proto": KEY_FIELD}), "none of the fields"),
        (struct_of({"OverlayAddr": (gob.STRING, IP)}), "wrong type"),
        (struct_of({"OverlayAddr": (gob.BYTES, IP)}), "wrong type"),
        (struct_of({"OverlayAddr": (2, b"\x01")}), "wrong type"),
        (struct_of({"PubKey": (gob.BYTES, IP)}), "no text"),
        (struct_of({"PubKey": (2, b"\x01")}), "no text"),
        (struct_of({"OverlayAddr": (66, b"\x05abcde")}, ADDR), "5 bytes"),
        (struct_of({"OverlayAddr": (66, b"\x12" + bytes(16) + b"e\n")}, ADDR), "zone"),
        (struct_of({"OverlayAddr": (66, b"\x12" + bytes(16) + b"e\xff")}, ADDR), "zone"),
        (struct_of({"OverlayAddr": (66, b"\x31" + bytes(16) + b"z" * 33)}, ADDR), "zone"),
        (struct_of({"OverlayAddr": (66, b"\x01\x03abc\x00")}, IPNET), "3 bytes"),
        (b"gometa", "gob"),
    ],
)
def test_metadata_of_another_shape_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        decode_metadata(data)


def with_ext(ext: bytes, field_type: int = gob.BYTES) -> bytes:
    return struct_of(
        {"OverlayAddr": (66, IP), "PubKey": KEY_FIELD, "Ext": (field_type, gob.encode_bytes(ext))},
        ADDR,
    )


def test_unknown_keys_of_a_later_version_are_ignored() -> None:
    ext = msgpack.packb({"z": [1, {"deep": None}], "p": 51821, "x": ["10.9.0.0/16"]})

    metadata = decode_metadata(with_ext(ext))

    assert metadata == replace(GO, wireguard_port=51821, has_ext=True)


@pytest.mark.parametrize(
    "ext",
    [
        b"",
        b"\xc1",
        b"\x80\x00",
        b"\x91" * 350,
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\x81\x90\x01",
        *map(
            msgpack.packb,
            [
                7,
                ["p", 1],
                {1: 2},
                {"p": 0},
                {"p": 65536},
                {"p": True},
                {"p": "51820"},
                {"p": 1.5},
                {"e": "10.0.0.1"},
                {"e": b"abc"},
                {"e": 7},
                {"n": "10.0.0.1/8"},
                {"n": "nonsense\n"},
                {"n": 8},
                {"v": ""},
                {"v": "1\n2"},
                {"v": "1" * 33},
                {"v": 1},
                {"i": 1},
                {"k": None},
                {"f": b""},
                {"f": b"12345"},
                {"f": "1234"},
            ],
        ),
    ],
)
def test_damaged_extras_count_as_absent(ext: bytes) -> None:
    assert decode_metadata(with_ext(ext)) == GO


def test_extras_of_another_type_count_as_absent() -> None:
    assert decode_metadata(with_ext(b"\x80", gob.STRING)) == GO


def test_an_ipv4_mapped_endpoint_means_the_ipv4_address() -> None:
    ext = msgpack.packb({"e": ip_address("::ffff:127.0.0.1").packed})

    assert decode_metadata(with_ext(ext)).endpoint == "127.0.0.1"


@pytest.mark.parametrize("seed", range(10))
def test_mutated_metadata_raises_nothing_but_protocol_errors(seed: int) -> None:
    rng = random.Random(seed)
    samples = [encode_metadata(OURS, "current"), encode_metadata(LONGEST, "v0.2")]
    refused = 0

    for _ in range(500):
        data = bytearray(rng.choice(samples))
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
        try:
            assert isinstance(decode_metadata(bytes(data)), Metadata)
        except ProtocolError:
            refused += 1

    assert 0 < refused < 500
