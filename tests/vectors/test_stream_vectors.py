"""Every entry of streams.json: whole TCP frames, layer by layer."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.lzw import compressed
from tests.vectors.go_messages import push_pull_of
from wesher.base.frozen import replace
from wesher.gossip import Message
from wesher.gossip.codec import decode_compressed, decode_stream, encode
from wesher.gossip.keyring import Keyring
from wesher.gossip.messages import Ack, ErrorReply, Ping, PushPull
from wesher.gossip.wire import MAX_STREAM, LabelError, Wire, inflate

VECTORS = json.loads((Path(__file__).parent / "streams.json").read_text())
SMALL: dict[str, Message] = {
    "stream_ping": Ping(5, "node02", bytes([192, 168, 77, 1]), 7946, "node01"),
    "stream_ack": Ack(5),
    "stream_err": ErrorReply("boom"),
}

pytestmark = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])


def message_of(vector: dict[str, Any]) -> Message:
    if vector["name"] in SMALL:
        return SMALL[vector["name"]]
    fields = vector["fields"]
    return push_pull_of(fields, fields["states"], bytes.fromhex(fields["user"]))


def as_recorded(message: Message) -> Message:
    """Return `message` without what these vectors do not record: nil or empty metadata."""
    if not isinstance(message, PushPull):
        return message
    records = tuple(replace(record, meta=record.meta or b"") for record in message.records)
    return replace(message, records=records)


def wire_of(vector: dict[str, Any]) -> Wire:
    return Wire(
        Keyring(bytes.fromhex(vector["key"])),
        lambda: bytes.fromhex(vector["nonce"]),
    )


@pytest.mark.case(1)
def test_the_plain_message_decodes_to_its_fields(vector: dict[str, Any]) -> None:
    message = decode_stream(bytes.fromhex(vector["plain_hex"]))

    assert as_recorded(message) == message_of(vector)


@pytest.mark.case(1)
@pytest.mark.case(3)
def test_a_decoded_message_encodes_to_the_recorded_bytes(vector: dict[str, Any]) -> None:
    message = decode_stream(bytes.fromhex(vector["plain_hex"]))
    # Newer codecs write 200 records as a signed integer; we write what all of them accept.
    recorded = vector["plain_hex"].replace("a54e6f646573d100c8", "a54e6f646573ccc8")

    assert encode(message).hex() == recorded


@pytest.mark.case(4)
def test_messages_are_read_as_go_compresses_them(vector: dict[str, Any]) -> None:
    plain, packed = bytes.fromhex(vector["plain_hex"]), bytes.fromhex(vector["compressed_hex"])

    assert compressed(plain) == packed
    assert inflate(decode_compressed(packed), MAX_STREAM) == plain


@pytest.mark.case(6)
def test_what_go_compressed_is_sealed_to_the_frame_of_go(vector: dict[str, Any]) -> None:
    """We do not compress, but seal as Go does; only without a label, and in version 1."""
    frame = wire_of(vector).seal_frame(bytes.fromhex(vector["compressed_hex"]))

    same = not vector.get("label") and vector["enc_version"] == 1
    assert (frame.hex() == vector["wire_hex"]) is same


@pytest.mark.case(6)
@pytest.mark.case(16)
def test_the_whole_frame_opens_to_its_message_unless_it_has_a_label(vector: dict[str, Any]) -> None:
    frame, wire = bytes.fromhex(vector["wire_hex"]), wire_of(vector)

    if vector.get("label"):
        with pytest.raises(LabelError):
            wire.open_frame(frame)
        return
    assert wire.frame_size(frame) == len(frame)
    assert as_recorded(wire.open_frame(frame)) == message_of(vector)
    assert as_recorded(wire.open_frame(frame, reply=True)) == message_of(vector)
