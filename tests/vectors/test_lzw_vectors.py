"""Every entry of lzw.json, both ways."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from wesher.errors import LimitError
from wesher.gossip import lzw

VECTORS = json.loads((Path(__file__).parent / "lzw.json").read_text())

pytestmark = [
    pytest.mark.case(4),
    pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"]),
]


def test_recorded_data_decompresses_within_its_exact_size(vector):
    plain = lzw.decode(bytes.fromhex(vector["lzw"]), vector["plain_len"])

    assert sha256(plain).hexdigest() == vector["plain_sha256"]


def test_recorded_data_is_refused_when_the_limit_is_one_byte_short(vector):
    if vector["plain_len"] == 0:
        pytest.skip("nothing is shorter than nothing")

    with pytest.raises(LimitError):
        lzw.decode(bytes.fromhex(vector["lzw"]), vector["plain_len"] - 1)


def test_compression_is_byte_for_byte_that_of_go(vector):
    plain = bytes.fromhex(vector["plain"])

    assert lzw.encode(plain).hex() == vector["lzw"]
