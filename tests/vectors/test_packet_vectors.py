"""Every entry of packets.json: the layers around UDP messages, one at a time and together."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.lzw import compressed
from wesher.gossip import Message
from wesher.gossip.codec import decode, decode_compressed
from wesher.gossip.events import DropReason
from wesher.gossip.keyring import Keyring
from wesher.gossip.wire import Wire, inflate, join_parts, split_parts

VECTORS = json.loads((Path(__file__).parent / "packets.json").read_text())
KEYRING = Keyring(bytes(32))
WIRE = Wire(KEYRING, lambda: bytes(12))


def vectors(kind: str) -> pytest.MarkDecorator:
    chosen = [vector for vector in VECTORS if vector["kind"] == kind]
    return pytest.mark.parametrize("vector", chosen, ids=lambda vector: vector["name"])


def sealed(plain: bytes) -> bytes:
    return KEYRING.seal(plain, b"", bytes(12))


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

    assert compressed(plain) == packet
    assert inflate(decode_compressed(packet), len(plain)) == plain


@pytest.mark.case(13)
@vectors("hasCrc")
def test_checksums_are_written_and_verified_as_go_does(vector: dict[str, Any]) -> None:
    plain, packet = bytes.fromhex(vector["plain"]), bytes.fromhex(vector["hex"])
    parts = split_parts(plain)[0] if plain[0] == 7 else [plain]

    assert KEYRING.open(WIRE.seal_packet(parts, checksum=True), b"")[0] == packet
    assert WIRE.open_packet(sealed(packet)).messages == leaves(plain)
    damaged = WIRE.open_packet(sealed(packet[:-1] + b"?"))
    assert damaged.problems[0][0] is DropReason.CHECKSUM


@pytest.mark.case(6)
@vectors("encrypt")
def test_packets_are_opened_and_sealed_as_go_does(vector: dict[str, Any]) -> None:
    keyring = Keyring(bytes.fromhex(vector["key"]))
    plain, sealed = bytes.fromhex(vector["plain"]), bytes.fromhex(vector["encrypted"])
    aad, nonce = bytes.fromhex(vector["aad"]), bytes.fromhex(vector["nonce"])

    assert keyring.open(sealed, aad)[0] == plain
    if vector["enc_version"] == 1:
        assert keyring.seal(plain, aad, nonce) == sealed


@pytest.mark.case(6)
@vectors("encrypt")
def test_a_whole_sealed_datagram_is_that_of_go(vector: dict[str, Any]) -> None:
    plain, datagram = bytes.fromhex(vector["plain"]), bytes.fromhex(vector["wire"])
    wire = Wire(Keyring(bytes.fromhex(vector["key"])), lambda: bytes.fromhex(vector["nonce"]))
    parts = split_parts(plain)[0] if plain[0] == 7 else [plain]

    opened = wire.open_packet(datagram)

    if vector["aad"]:  # a label, with which we take nothing
        assert [reason for reason, _ in opened.problems] == [DropReason.LABEL]
        return
    assert opened.messages == leaves(plain)
    if vector["enc_version"] == 1:
        assert wire.seal_packet(parts, checksum=False) == datagram


@pytest.mark.case(7)
@pytest.mark.case(16)
@vectors("label")
def test_what_go_labels_is_dropped(vector: dict[str, Any]) -> None:
    opened = WIRE.open_packet(bytes.fromhex(vector["hex"]))

    reason = DropReason.LABEL if vector["label"] else DropReason.UNDECRYPTABLE
    assert [one for one, _ in opened.problems] == [reason]


def test_every_vector_belongs_to_a_test() -> None:
    assert {vector["kind"] for vector in VECTORS} == {
        "compound",
        "compress",
        "hasCrc",
        "encrypt",
        "label",
    }
