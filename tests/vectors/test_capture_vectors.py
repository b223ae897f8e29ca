"""join3.pcap: all that three Go nodes said to each other, read and written again by us."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.lzw import compressed
from tests.vectors.go_messages import message_of, push_pull_of
from tests.vectors.pcap_reader import datagrams, streams
from wesher.gossip import Message
from wesher.gossip.codec import encode
from wesher.gossip.keyring import Keyring
from wesher.gossip.wire import Wire, join_parts

HERE = Path(__file__).parent
CAPTURE = HERE / "join3.pcap"
KEYRING = Keyring(bytes.fromhex(json.loads((HERE / "join3.meta.json").read_text())["key"]))
DECODED = json.loads((HERE / "join3.decoded.json").read_text())
PACKETS = [entry for entry in DECODED if entry["proto"] == "udp"]
STREAMS = [entry for entry in DECODED if entry["proto"] == "tcp"]
DATAGRAMS = datagrams(CAPTURE)
FLOWS = streams(CAPTURE)


def messages_of(
    decoded: dict[str, Any],
) -> tuple[Message, ...]:
    if "inner" in decoded:
        return messages_of(decoded["inner"])
    if decoded["type"] == "compound":
        return tuple(message for part in decoded["parts"] for message in messages_of(part))
    if decoded["type"] == "pushPull":
        return (push_pull_of(decoded["header"], decoded["states"], b""),)
    return (message_of(decoded["type"], {k: v for k, v in decoded.items() if k != "type"}),)


def test_the_capture_and_its_decoded_form_have_the_same_packets() -> None:
    assert [(d.source, d.destination, len(d.data)) for d in DATAGRAMS] == [
        (entry["src"], entry["dst"], entry["wire_len"]) for entry in PACKETS
    ]
    assert {ends: len(data) for ends, data in FLOWS.items()} == {
        (entry["src"], entry["dst"]): entry["wire_len"] for entry in STREAMS
    }


@pytest.mark.parametrize("index", range(len(PACKETS)))
def test_a_captured_packet_opens_and_is_written_again_to_the_same_bytes(index: int) -> None:
    data, entry = DATAGRAMS[index].data, PACKETS[index]

    opened = Wire(KEYRING, bytes).open_packet(data)

    assert opened.problems == ()
    assert opened.messages == messages_of(entry["decoded"])
    plain, _ = KEYRING.open(data, b"")
    plain = plain[5:] if entry["decoded"]["type"] == "hasCrc" else plain
    parts = join_parts([encode(message) for message in opened.messages])
    assert plain == (compressed(parts) if plain[0] == 9 else parts)


@pytest.mark.parametrize("entry", STREAMS, ids=lambda entry: f"{entry['src']} to {entry['dst']}")
def test_a_captured_stream_opens_and_is_written_again_to_the_same_bytes(
    entry: dict[str, Any],
) -> None:
    data = FLOWS[entry["src"], entry["dst"]]

    message = Wire(KEYRING, bytes).open_frame(data)

    assert (message,) == messages_of(entry["decoded"])
    assert KEYRING.open(data[5:], data[:5])[0] == compressed(encode(message))
