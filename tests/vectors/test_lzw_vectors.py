"""Every entry of lzw.json, both ways."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.lzw import deflate
from wesher.base.errors import LimitError
from wesher.gossip.wire import inflate

VECTORS = json.loads((Path(__file__).parent / "lzw.json").read_text())

pytestmark = pytest.mark.case(4)


def vectors(chosen: list[dict[str, int | str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", chosen, ids=lambda vector: vector["name"])


@vectors(VECTORS)
def test_recorded_data_decompresses_within_its_exact_size(vector: dict[str, Any]) -> None:
    plain = inflate(bytes.fromhex(vector["lzw"]), vector["plain_len"])

    assert sha256(plain).hexdigest() == vector["plain_sha256"]


@vectors([vector for vector in VECTORS if vector["plain_len"]])
def test_recorded_data_is_refused_when_the_limit_is_one_byte_short(
    vector: dict[str, Any],
) -> None:
    with pytest.raises(LimitError):
        inflate(bytes.fromhex(vector["lzw"]), vector["plain_len"] - 1)


@vectors(VECTORS)
def test_compression_is_byte_for_byte_that_of_go(vector: dict[str, Any]) -> None:
    plain = bytes.fromhex(vector["plain"])

    assert deflate(plain).hex() == vector["lzw"]
