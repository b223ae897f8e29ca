"""Several messages in one."""

import pytest

from wesher.base.errors import ProtocolError
from wesher.gossip.wire import MAX_PARTS, join_parts, split_parts


@pytest.mark.case(5)
def test_parts_are_joined_behind_their_lengths() -> None:
    compound = join_parts([b"\x01\x02", b"\x03"])

    assert compound.hex() == "070200020001010203"
    assert split_parts(compound) == ([b"\x01\x02", b"\x03"], 0)


def test_one_part_needs_no_compound() -> None:
    assert join_parts([b"\x01\x02"]) == b"\x01\x02"


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([], id="none"),
        pytest.param([b"a"] * (MAX_PARTS + 1), id="too many"),
        pytest.param([b"a", b""], id="an empty one"),
        pytest.param([b""], id="only an empty one"),
        pytest.param([b"a", b"a" * 65536], id="one too long"),
    ],
)
def test_what_crashes_some_member_is_never_written(parts: list[bytes]) -> None:
    with pytest.raises(ValueError, match="part"):
        join_parts(parts)


@pytest.mark.case(5)
@pytest.mark.parametrize(
    ("cut", "whole", "lost"), [(0, 3, 0), (1, 2, 1), (3, 2, 1), (4, 1, 2), (6, 1, 2), (7, 0, 3)]
)
def test_parts_that_are_cut_off_do_not_harm_the_earlier_ones(
    cut: int, whole: int, lost: int
) -> None:
    parts = [b"aaa", b"bbb", b"ccc"]
    compound = join_parts(parts)

    assert split_parts(compound[: len(compound) - cut]) == (parts[:whole], lost)


@pytest.mark.case(5)
def test_a_long_part_loses_the_later_ones_even_if_they_would_fit() -> None:
    assert split_parts(bytes.fromhex("0703 0001 0009 0001 61 62")) == ([b"a"], 2)


@pytest.mark.case(5)
@pytest.mark.parametrize(
    "compound",
    [
        pytest.param(b"\x07", id="no count"),
        pytest.param(b"\x07\x02\x00\x01\x00", id="half a table"),
        pytest.param(b"\x07\x80" + bytes(255), id="128 lengths announced"),
        pytest.param(b"\x07\xff" + bytes(500), id="255 lengths announced"),
    ],
)
def test_a_compound_without_its_lengths_is_refused(compound: bytes) -> None:
    with pytest.raises(ProtocolError):
        split_parts(compound)


def test_a_compound_of_nothing_is_nothing() -> None:
    assert split_parts(b"\x07\x00") == ([], 0)


def test_more_parts_than_we_write_are_read() -> None:
    assert split_parts(b"\x07\xff" + bytes([0, 1]) * 255 + b"a" * 255) == ([b"a"] * 255, 0)
