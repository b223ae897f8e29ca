"""Messages and their structs: what we write, and what we accept from others."""

from typing import Any

import pytest
from msgpack import packb

from wesher.base.errors import LimitError, ProtocolError
from wesher.base.frozen import replace
from wesher.gossip import Message
from wesher.gossip.codec import (
    MAX_RECORDS,
    MAX_REMEMBERED,
    MAX_USER_DATA,
    REMEMBERED_RECORDS,
    decode,
    decode_stream,
    encode,
)
from wesher.gossip.messages import (
    Ack,
    Alive,
    Dead,
    ErrorReply,
    IndirectPing,
    Nack,
    Ping,
    PushPull,
    Record,
    Suspect,
    UserMessage,
)

ADDR = bytes([10, 0, 0, 1])
VERSIONS = bytes([1, 5, 2, 0, 0, 0])
ALIVE = Alive(1, "n1", ADDR, 7946, b"m", VERSIONS)
RECORD = Record("n1", ADDR, 7946, None, 3, 2, VERSIONS)
HEADER = "83a44a6f696ec3a54e6f64657302ac5573657253746174654c656e00"
RECORD_HEX = (
    "87a441646472a40a000001ab496e6361726e6174696f6e03a44d657461c0a44e616d65a26e31a4506f7274cd1f0a"
    "a5537461746502a356736ea6010502000000"
)
ALIVE_HEX = (
    "86a441646472a40a000001ab496e6361726e6174696f6e01a44d657461a16da44e6f6465a26e31a4506f7274cd1f0a"
    "a356736ea6010502000000"
)
PING_HEX = (
    "85a44e6f6465a26e31a55365714e6fcd012caa536f7572636541646472a40a000002aa536f757263654e6f6465a26e"
    "32aa536f75726365506f7274cd1f0a"
)
INDIRECT_HEX = (
    "85a44e61636bc3a44e6f6465a26e31a4506f7274cd1f0aa55365714e6f01a6546172676574a40a000001"
)
ACCUSATION_HEX = "83a446726f6da26e32ab496e6361726e6174696f6e01a44e6f6465a26e31"

REFERENCE = [
    (Ping(1, "n1"), "0082a44e6f6465a26e31a55365714e6f01"),
    (Ping(300, "n1", bytes([10, 0, 0, 2]), 7946, "n2"), "00" + PING_HEX),
    (IndirectPing(1, ADDR, 7946, "n1", True), "01" + INDIRECT_HEX),
    (Ack(1), "0282a75061796c6f6164c0a55365714e6f01"),
    (Ack(1, b""), "0282a75061796c6f6164a0a55365714e6f01"),
    (Nack(7), "0b81a55365714e6f07"),
    (Suspect(1, "n1", "n2"), "03" + ACCUSATION_HEX),
    (Dead(1, "n1", "n2"), "05" + ACCUSATION_HEX),
    (ALIVE, "04" + ALIVE_HEX),
    (
        Alive(1, "n1", ADDR, 7946, None, None),
        "0486a441646472a40a000001ab496e6361726e6174696f6e01a44d657461c0a44e6f6465a26e31"
        "a4506f7274cd1f0aa356736ec0",
    ),
    (UserMessage(b"hello"), "0868656c6c6f"),
]
STREAM_REFERENCE = [
    (ErrorReply("boom"), "0d81a54572726f72a4626f6f6d"),
    (Ping(1, "n1"), "0082a44e6f6465a26e31a55365714e6f01"),
    (PushPull(True, (RECORD, RECORD)), "06" + HEADER + RECORD_HEX + RECORD_HEX),
]


def struct(kind: int, fields: object) -> bytes:
    """Return a message of any fields, written as Go writes them."""
    body: bytes = packb(fields, use_bin_type=False)
    return bytes([kind]) + body


def push_pull(
    nodes: float | str, *records: dict[str, Any], user_len: int = 0, tail: bytes = b""
) -> bytes:
    header = {"Join": True, "Nodes": nodes, "UserStateLen": user_len}
    parts = [packb(part, use_bin_type=False) for part in (header, *records)]
    return b"\x06" + b"".join(parts) + tail


def push_pull_of(*names: str) -> bytes:
    return encode(PushPull(False, tuple(replace(RECORD, name=name) for name in names)))


def table_of(data: bytes) -> PushPull:
    message = decode_stream(data)
    assert isinstance(message, PushPull)
    return message


@pytest.mark.case(1)
@pytest.mark.parametrize(("message", "text"), REFERENCE)
def test_packet_messages_have_the_reference_encoding(message: Message, text: str) -> None:
    assert encode(message).hex() == text
    assert decode(bytes.fromhex(text)) == message


@pytest.mark.case(1)
@pytest.mark.parametrize(("message", "text"), STREAM_REFERENCE)
def test_stream_messages_have_the_reference_encoding(
    message: ErrorReply | Ping | PushPull, text: str
) -> None:
    assert encode(message).hex() == text
    assert decode_stream(bytes.fromhex(text)) == message


@pytest.mark.case(1)
def test_user_state_travels_behind_the_records() -> None:
    message = PushPull(False, (RECORD,), b"state")

    assert encode(message).endswith(b"state")
    assert decode_stream(encode(message)) == message


def test_a_user_message_on_a_stream_has_a_length() -> None:
    data = bytes.fromhex("0881aa557365724d73674c656e05") + b"hello, ignored"

    assert decode_stream(data) == UserMessage(b"hello")


@pytest.mark.parametrize("length", [31, 32, 255, 256, 65535, 65536])
def test_strings_and_bytes_are_written_as_raw_of_any_length(length: int) -> None:
    message = Alive(1, "n" * length, ADDR, 1, b"m" * length, VERSIONS)

    data = encode(message)

    head = {31: "bf", 32: "da0020", 255: "da00ff", 256: "da0100", 65535: "daffff"}
    assert (bytes.fromhex(head.get(length, "db00010000")) + b"nnn") in data
    assert decode(data) == message


def test_news_and_records_that_come_again_are_not_decoded_again() -> None:
    table = table_of(push_pull_of("r1", "r2"))
    later = table_of(push_pull_of("r3", "r2"))

    assert later.records[1] is table.records[1]
    assert decode(encode(ALIVE)) is decode(encode(ALIVE))


def test_news_and_records_of_unusual_size_are_not_remembered() -> None:
    long = b"x" * MAX_REMEMBERED
    claim = struct(3, {"From": "b", "Incarnation": 1, "Node": "a", "New": long})
    table = push_pull(1, {"Name": "n", "New": long})

    assert decode(claim) == decode(claim) == Suspect(1, "a", "b")
    assert decode(claim) is not decode(claim)
    assert table_of(table).records[0] is not table_of(table).records[0]


def test_a_table_larger_than_what_is_remembered_is_read_all_the_same() -> None:
    names = [f"n{number}" for number in range(REMEMBERED_RECORDS + 1)]

    table = table_of(push_pull_of(*names))

    assert [record.name for record in table.records] == names


def test_names_that_are_not_utf8_survive_a_round_trip() -> None:
    data = struct(3, {"From": b"\xff\xfe", "Incarnation": 1, "Node": b"\xc3\xa9\x80"})

    message = decode(data)

    assert isinstance(message, Suspect | Dead)
    assert message.accuser == "\udcff\udcfe"
    assert encode(message) == data


@pytest.mark.case(2)
@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"From": "b", "Incarnation": 1, "Node": "a", "New": 1}, id="unknown key"),
        pytest.param(
            {"New": {"x": [{1: [2.5, {b"y": None}]}]}, "From": "b", "Incarnation": 1, "Node": "a"},
            id="unknown key with a nested value",
        ),
        pytest.param(
            {"New": list(range(100_000)), "From": "b", "Incarnation": 1, "Node": "a"},
            id="unknown key with a long value",
        ),
        pytest.param(
            {"X": 1, "Node": "a", "Incarnation": 1, "From": "b", "": None}, id="another order"
        ),
    ],
)
def test_what_we_do_not_know_is_skipped(fields: dict[str, Any]) -> None:
    assert decode(struct(3, fields)) == Suspect(1, "a", "b")


@pytest.mark.case(2)
@pytest.mark.parametrize("value", ["c4020102", "d501aabb", "c7030501aabb", "cb0000000000000000"])
def test_values_of_any_msgpack_family_are_skipped_under_an_unknown_key(value: str) -> None:
    data = bytes.fromhex("0b82a358595a" + value + "a55365714e6f07")

    assert decode(data) == Nack(7)


@pytest.mark.case(2)
@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(struct(3, {"Node": "a"}), Suspect(0, "a", ""), id="missing keys"),
        pytest.param(struct(3, {}), Suspect(0, "", ""), id="no key"),
        pytest.param(struct(3, None), Suspect(0, "", ""), id="nil struct"),
        pytest.param(
            struct(3, {"Node": None, "From": "b", "Incarnation": None}),
            Suspect(0, "", "b"),
            id="nil values",
        ),
        pytest.param(
            struct(4, {"Addr": None, "Meta": None, "Vsn": None, "Port": None}),
            Alive(0, "", b"", 0, None, None),
            id="nil bytes",
        ),
        pytest.param(bytes.fromhex("0b82a55365714e6f01a55365714e6f02"), Nack(2), id="repeated key"),
        pytest.param(bytes.fromhex("0bde0001a55365714e6f07"), Nack(7), id="map16"),
        pytest.param(bytes.fromhex("0bdf00000001a55365714e6f07"), Nack(7), id="map32"),
        pytest.param(bytes.fromhex("0b81d9055365714e6f07"), Nack(7), id="str8 key"),
        pytest.param(bytes.fromhex("0b81c4055365714e6f07"), Nack(7), id="bin8 key"),
        pytest.param(
            bytes.fromhex("0282a75061796c6f6164c40101a55365714e6fcc07"), Ack(7, b"\x01"), id="bin8"
        ),
        pytest.param(bytes.fromhex("0281a75061796c6f6164d90101"), Ack(0, b"\x01"), id="str8 value"),
        pytest.param(
            struct(2, {"Payload": [1, 255, 0]}), Ack(0, b"\x01\xff\x00"), id="array of integers"
        ),
        pytest.param(bytes.fromhex("0b81a55365714e6f07") + b"trailing", Nack(7), id="trailing"),
        pytest.param(bytes.fromhex("0b81a55365714e6fd30000000000000007"), Nack(7), id="int64"),
        pytest.param(bytes.fromhex("0b81a55365714e6fcf0000000000000007"), Nack(7), id="uint64"),
        pytest.param(bytes.fromhex("0b81a55365714e6fd007"), Nack(7), id="int8"),
    ],
)
def test_lenient_forms_are_accepted(data: bytes, message: Message) -> None:
    assert decode(data) == message


@pytest.mark.case(2)
@pytest.mark.case(3)
@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"Port": -1}, id="negative"),
        pytest.param({"Port": 65536}, id="over u16"),
        pytest.param({"Incarnation": 2**32}, id="over u32"),
        pytest.param({"Incarnation": 2**64 - 1}, id="u64"),
        pytest.param({"Port": 1.0}, id="float into integer"),
        pytest.param({"Port": True}, id="boolean into integer"),
        pytest.param({"Port": "1"}, id="text into integer"),
        pytest.param({"Port": [1]}, id="array into integer"),
        pytest.param({"Node": 1}, id="integer into text"),
        pytest.param({"Addr": 1}, id="integer into bytes"),
        pytest.param({"Addr": True}, id="boolean into bytes"),
        pytest.param({"Vsn": [256]}, id="array of more than bytes"),
        pytest.param({"Vsn": [-1]}, id="array of negative integers"),
        pytest.param({"Vsn": ["a"]}, id="array of texts"),
        pytest.param({"Vsn": [[1]]}, id="array of arrays"),
        pytest.param({"Meta": [0] * 513}, id="long array"),
        pytest.param({"Meta": {}}, id="map into bytes"),
        pytest.param({"Meta": [{}]}, id="map into an array"),
        pytest.param({1: 1}, id="integer key"),
        pytest.param({None: 1}, id="nil key"),
        pytest.param({(1, "a"): 1}, id="array key"),
        pytest.param([1, "a", "b"], id="struct as array"),
        pytest.param("text", id="struct as text"),
        pytest.param(7, id="struct as integer"),
        pytest.param({str(n): n for n in range(65)}, id="too many keys"),
    ],
)
def test_wrong_types_and_ranges_are_refused(fields: object) -> None:
    with pytest.raises(ProtocolError):
        decode(struct(4, fields))


@pytest.mark.case(2)
@pytest.mark.parametrize("value", [0, 1, 1.0, "true", [True]])
def test_only_a_boolean_is_a_boolean(value: float | str | list[bool]) -> None:
    with pytest.raises(ProtocolError):
        decode(struct(1, {"Nack": value}))


@pytest.mark.case(2)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("0b", id="no struct"),
        pytest.param("0b81", id="no key"),
        pytest.param("0b81a55365", id="half a key"),
        pytest.param("0b81a55365714e6f", id="no value"),
        pytest.param("0b81a55365714e6fce0000", id="half a value"),
        pytest.param("0b82a55365714e6f01", id="one field less than told"),
        pytest.param("0bdfffffffff", id="2^32 fields"),
        pytest.param("0b81a158ddffffffff", id="2^32 elements, skipped"),
        pytest.param("0281a75061796c6f6164ddffffffff", id="2^32 elements"),
        pytest.param("0281a75061796c6f6164dbffffffff", id="4 GiB of bytes"),
        pytest.param("0281a75061796c6f6164c6ffffffff", id="4 GiB of binary"),
        pytest.param("0b81a55365714e6fc1", id="c1"),
        pytest.param("0bc1", id="c1 as struct"),
        pytest.param("", id="nothing"),
        pytest.param("0681a54e6f64657300", id="push/pull"),
        pytest.param("0a00000000", id="sealed"),
        pytest.param("0c00000000", id="checksum"),
        pytest.param("0d81a54572726f72a0", id="error"),
        pytest.param("0e80", id="unknown type"),
        pytest.param("f40161", id="label"),
    ],
)
def test_packets_cut_off_or_out_of_place_are_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        decode(bytes.fromhex(text))


@pytest.mark.parametrize("text", ["", "0180", "0380", "0480", "0580", "0700", "0b80", "0e80"])
def test_packet_messages_are_refused_on_streams(text: str) -> None:
    with pytest.raises(ProtocolError):
        decode_stream(bytes.fromhex(text))


@pytest.mark.parametrize("levels", [2, 1000, 100_000])
@pytest.mark.parametrize("level", [b"\x91", b"\x81\xa1k"])
@pytest.mark.parametrize("key", [b"\xa7Payload", b"\xa3New", b""])
def test_deep_nesting_is_refused_or_skipped_without_harm(
    levels: int, level: bytes, key: bytes
) -> None:
    data = b"\x02\x81" + key + level * levels

    with pytest.raises(ProtocolError):
        decode(data)


@pytest.mark.case(3)
@pytest.mark.parametrize(
    "nodes", ["ccc8", "cd00c8", "ce000000c8", "d100c8", "d2000000c8", "d300000000000000c8"]
)
def test_both_integer_styles_of_the_header_decode(nodes: str) -> None:
    header = f"83a44a6f696ec2a54e6f646573{nodes}ac5573657253746174654c656e00"

    message = decode_stream(bytes.fromhex("06" + header + RECORD_HEX * 200))

    assert message == PushPull(False, (RECORD,) * 200)


@pytest.mark.case(3)
@pytest.mark.case(20)
@pytest.mark.parametrize("nodes", [-1, MAX_RECORDS + 1, 10_000_000, 2**31, 2**63 - 1])
def test_push_pulls_of_impossible_counts_are_refused(nodes: int) -> None:
    with pytest.raises(LimitError):
        decode_stream(push_pull(nodes))


@pytest.mark.case(3)
@pytest.mark.parametrize("nodes", [1.0, "1", True, 2**63])
def test_push_pulls_of_senseless_counts_are_refused(nodes: float | str) -> None:
    with pytest.raises(ProtocolError):
        decode_stream(push_pull(nodes))


@pytest.mark.case(20)
@pytest.mark.parametrize("size", [-1, MAX_USER_DATA + 1, 30_000_000, 2**40])
def test_user_data_of_impossible_size_is_refused(size: int) -> None:
    with pytest.raises(LimitError):
        decode_stream(push_pull(0, user_len=size))
    with pytest.raises(LimitError):
        decode_stream(struct(8, {"UserMsgLen": size}))


def test_streams_that_lack_what_their_header_told_are_refused() -> None:
    record = {"Name": "n1"}

    with pytest.raises(ProtocolError):
        decode_stream(push_pull(2, record))
    with pytest.raises(ProtocolError, match="2 bytes of user data missing"):
        decode_stream(push_pull(1, record, user_len=5, tail=b"abc"))


def test_a_record_that_only_breaks_rules_does_not_lose_the_exchange() -> None:
    odd = {"Name": "n" * 300, "Meta": b"m" * 600, "State": 9, "Vsn": b"\x01", "Addr": b"abc"}

    message = table_of(push_pull(1, odd))

    assert message.records[0] == Record("n" * 300, b"abc", 0, b"m" * 600, 0, 9, b"\x01")
