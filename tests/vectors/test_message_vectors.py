"""Every message of messages.json, both ways."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.vectors.go_messages import message_of
from wesher.gossip.codec import decode, decode_stream, encode

VECTORS = json.loads((Path(__file__).parent / "messages.json").read_text())
ON_STREAMS = {"err", "userMsg_stream"}


@pytest.mark.case(1)
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_recorded_message_decodes_to_its_fields(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])

    message = (decode_stream if vector["name"] in ON_STREAMS else decode)(data)

    assert message == message_of(vector["type"], vector["fields"])


@pytest.mark.case(1)
@pytest.mark.parametrize(
    "vector",
    # We never send user messages on streams.
    [vector for vector in VECTORS if vector["name"] != "userMsg_stream"],
    ids=lambda vector: vector["name"],
)
def test_a_message_encodes_to_the_recorded_bytes(vector: dict[str, Any]) -> None:
    message = message_of(vector["type"], vector["fields"])

    assert encode(message).hex() == vector["hex"]
