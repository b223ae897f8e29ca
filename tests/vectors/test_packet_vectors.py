"""Every entry of packets.json: the layers around UDP messages, one at a time and together."""

import json
from pathlib import Path
from typing import Any, NoReturn

import pytest

from wesher.gossip import Message
from wesher.gossip.codec import decode, decode_compressed, encode_compressed
from wesher.gossip.events import DropReason
from wesher.gossip.keyring import Keyring, sealed_size
from wesher.gossip.lzw import decode as inflate
from wesher.gossip.lzw import encode as deflate
from wesher.gossip.wire import Wire, join_parts, split_parts

VECTORS = json.loads((Path(__file__).parent / "packets.json").read_text())


def vectors(kind: str) -> pytest.MarkDecorator:
    chosen = [vector for vector in VECTORS if vector["kind"] == kind]
    return pytest.mark.parametrize("vector", chosen, ids=lambda vector: vector["name"])


def no_nonce() -> NoReturn:
    raise AssertionError("nothing is sealed here")


def leaves(data: bytes) -> tuple[Message, ...]:
    """Return the messages that an uncompressed packet consists of."""
    parts = split_parts(data)[0] if data[0] == 7 else [data]
    return tuple(decode(part) for part in parts)


@pytest.mark.case(5)
@vectors("compound")
def test_compounds_are_joined_and_split_as_go_does(vector: dict[str, Any]) -> None:
    parts = [bytes.fromhex(part) for part in vector["parts"]]
    packet = bytes.fromhex(vector["hex"])

    assert join_parts(parts) == packet
    assert split_parts(packet) == (parts, 0)


@pytest.mark.case(4)
@vectors("compress")
def test_compressed_messages_are_made_and_read_as_go_does(vector: dict[str, Any]) -> None:
    plain = bytes.fromhex(vector["plain"])
    packet = bytes.fromhex(vector["hex"])

    assert encode_compressed(deflate(plain)) == packet
    assert inflate(decode_compressed(packet), len(plain)) == plain


@pytest.mark.case(4)
@vectors("compress")
def test_packets_are_compressed_exactly_when_go_would(vector: dict[str, Any]) -> None:
    parts = split_parts(bytes.fromhex(vector["plain"]))[0] if vector["plain"][:2] == "07" else None
    wire = Wire(None, no_nonce)

    packet = wire.seal_packet(parts or [bytes.fromhex(vector["plain"])], checksum=False)

    compressed = vector["sent_by_memberlist_as"] == "compressed"
    assert packet.hex() == (vector["hex"] if compressed else vector["plain"])


@pytest.mark.case(13)
@vectors("hasCrc")
def test_checksums_are_written_and_verified_as_go_does(vector: dict[str, Any]) -> None:
    plain, packet = bytes.fromhex(vector["plain"]), bytes.fromhex(vector["hex"])
    parts = split_parts(plain)[0] if plain[0] == 7 else [plain]
    wire = Wire(None, no_nonce, compress_packets=False)

    assert wire.seal_packet(parts, checksum=True) == packet
    assert wire.open_packet(packet).messages == leaves(plain)
    assert wire.open_packet(packet[:-1] + b"?").problems[0][0] is DropReason.CHECKSUM


@pytest.mark.case(6)
@vectors("encrypt")
def test_packets_are_sealed_and_opened_as_go_does(vector: dict[str, Any]) -> None:
    keyring = Keyring(bytes.fromhex(vector["key"]))
    plain, sealed = bytes.fromhex(vector["plain"]), bytes.fromhex(vector["encrypted"])
    aad, nonce = bytes.fromhex(vector["aad"]), bytes.fromhex(vector["nonce"])

    assert keyring.seal(plain, aad, nonce, vector["enc_version"]) == sealed
    assert keyring.open(sealed, aad) == plain
    assert sealed_size(len(plain), vector["enc_version"]) == len(sealed)


@pytest.mark.case(6)
@pytest.mark.case(7)
@vectors("encrypt")
def test_a_whole_sealed_datagram_is_that_of_go(vector: dict[str, Any]) -> None:
    plain = bytes.fromhex(vector["plain"])
    wire = Wire(
        Keyring(bytes.fromhex(vector["key"])),
        lambda: bytes.fromhex(vector["nonce"]),
        label=bytes.fromhex(vector["aad"]),
        compress_packets=False,
        encryption_version=vector["enc_version"],
    )
    parts = split_parts(plain)[0] if plain[0] == 7 else [plain]

    packet = wire.seal_packet(parts, checksum=False)

    assert packet.hex() == vector["wire"]
    assert wire.open_packet(packet).messages == leaves(plain)


@pytest.mark.case(7)
@vectors("label")
def test_labels_are_put_on_and_taken_off_as_go_does(vector: dict[str, Any]) -> None:
    payload, packet = bytes.fromhex(vector["payload"]), bytes.fromhex(vector["hex"])
    wire = Wire(None, no_nonce, label=vector["label"].encode(), compress_packets=False)

    assert wire.seal_packet([payload], checksum=False) == packet
    assert wire.open_packet(packet).messages == (decode(payload),)


def test_every_vector_belongs_to_a_test() -> None:
    assert {vector["kind"] for vector in VECTORS} == {
        "compound",
        "compress",
        "hasCrc",
        "encrypt",
        "label",
    }
