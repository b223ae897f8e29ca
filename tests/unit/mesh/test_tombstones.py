"""Tombstones: what they say, how they travel, what is refused, and which of two counts."""

import msgpack
import pytest

from wesher.base.errors import ProtocolError
from wesher.gossip.messages import MAX_INCARNATION
from wesher.mesh.base.saved import ALIKE, Tombstone
from wesher.mesh.base.tombstones import (
    MAX_AGE,
    MAX_TOMBSTONES,
    VERSION,
    Tombstones,
    decode_tombstones,
    encode_tombstones,
)
from wesher.mesh.base.user_state import FIRST_BYTE

HEAD = bytes([FIRST_BYTE, VERSION])


def kept(*tombstones: Tombstone) -> Tombstones:
    tombs = Tombstones()
    for one in tombstones:
        tombs.add(one)
    return tombs


@pytest.mark.parametrize("name", ["web", "w" * 255, "\udcff odd"])
def test_what_is_told_is_understood_by_somebody_with_another_clock(name: str) -> None:
    told = encode_tombstones([Tombstone(name, 7, 100.0)], now=160.4)

    (heard,) = decode_tombstones(told, now=5000.0)

    assert heard == Tombstone(name, 7, 4940.0)


def test_a_tombstone_is_a_few_bytes_that_begin_with_ours() -> None:
    told = encode_tombstones([Tombstone("web", 7, 100.0)], now=160.0)

    assert told == HEAD + bytes.fromhex("9193a3776562073c")


@pytest.mark.parametrize(("made_at", "age"), [(9.0, 0), (-1e12, MAX_AGE)])
def test_impossible_ages_are_not_told(made_at: float, age: float) -> None:
    told = encode_tombstones([Tombstone("web", 7, made_at)], now=0.0)

    assert decode_tombstones(told, now=0.0) == [Tombstone("web", 7, -age)]


@pytest.mark.parametrize("payload", [b"", b"\xf7", b"else", bytes([FIRST_BYTE, VERSION + 1, 0x90])])
def test_what_another_application_or_a_later_version_says_is_nothing_to_us(payload: bytes) -> None:
    assert decode_tombstones(payload, now=0.0) == []


@pytest.mark.parametrize(
    "content",
    [
        {},
        1,
        [1],
        [[]],
        [["web", 1]],
        [["web", 1, 2, 3]],
        [["", 1, 2]],
        [["w" * 256, 1, 2]],
        [["\xfc" * 128, 1, 2]],
        [[b"web", 1, 2]],
        [["web", -1, 2]],
        [["web", MAX_INCARNATION + 1, 2]],
        [["web", True, 2]],
        [["web", 1, True]],
        [["web", 1, -1]],
        [["web", 1, MAX_AGE + 1]],
        [["web", 1, 2.0]],
        [["web", 1, 2]] * (MAX_TOMBSTONES + 1),
    ],
    ids=repr,
)
def test_anything_but_a_list_of_tombstones_is_refused(
    content: object,
) -> None:
    with pytest.raises(ProtocolError):
        decode_tombstones(HEAD + msgpack.packb(content), now=0.0)


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"\xc1",
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 10_000,
        b"\x90\x90",
        b"\xdb\xff\xff\xff\xff",
        b"\x91\x93\xa2\xc3\x28\x01",
        bytes(1_000_000),
    ],
    ids=range(8),
)
def test_damaged_bytes_are_refused(tail: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_tombstones(HEAD + tail, now=0.0)


def test_the_largest_that_are_told_are_understood() -> None:
    tombstones = [Tombstone(f"{number:255}", MAX_INCARNATION, -1e9) for number in range(1000)]

    assert len(decode_tombstones(encode_tombstones(tombstones, 1e9), now=0.0)) == 1000


@pytest.mark.parametrize(
    ("incarnation", "made_at", "news"),
    [
        (5, 1000.0, False),
        (4, 1000.0, False),
        (6, 1000.0, True),
        (6, 1000.0 - ALIKE, False),
        (5, 1000.0 + ALIKE, False),
        (5, 1001.0 + ALIKE, True),
        (2, 1001.0 + ALIKE, True),
    ],
)
@pytest.mark.parametrize("void", [False, True])
def test_news_is_a_higher_incarnation_or_a_later_departure(
    incarnation: int, made_at: float, news: bool, void: bool
) -> None:
    tombs = kept(Tombstone("web", 5, 1000.0))
    if void:
        tombs.void("web")

    assert tombs.is_news(Tombstone("web", incarnation, made_at)) == news


def test_a_void_one_is_told_to_nobody_but_known_again() -> None:
    tombs = kept(Tombstone("web", 5, 1000.0), Tombstone("db", 1, 1000.0))

    tombs.void("web")
    tombs.void("nobody")

    assert [one.name for one in tombs] == ["db"]
    assert len(tombs) == 1
    assert tombs.get("web") is None


def test_one_rejected_at_once_is_known_again() -> None:
    tombs = kept()

    tombs.reject(Tombstone("web", 5, 1000.0))

    assert not tombs.is_news(Tombstone("web", 5, 1000.0))
    assert len(tombs) == 0


def test_of_too_many_the_oldest_are_dropped() -> None:
    tombs = kept(*(Tombstone(f"n{at}", 1, at) for at in reversed(range(MAX_TOMBSTONES + 3))))

    assert len(tombs) == MAX_TOMBSTONES
    assert tombs.get("n2") is None
    assert tombs.get("n3")


def test_each_is_forgotten_when_its_time_is_up() -> None:
    tombs = kept(
        Tombstone("old", 1, 100.0), Tombstone("void", 1, 100.0), Tombstone("new", 1, 200.0)
    )
    tombs.void("void")

    expired = tombs.expire(150.0)
    again = tombs.expire(150.0)

    assert (expired, again) == (["old"], [])
    assert [one.name for one in tombs] == ["new"]
    assert tombs.is_news(Tombstone("void", 1, 100.0))


def test_what_the_clock_did_not_count_makes_all_older() -> None:
    tombs = kept(Tombstone("web", 1, 100.0), Tombstone("db", 1, 100.0))
    tombs.void("db")

    tombs.shift(1000.0)

    assert list(tombs) == [Tombstone("web", 1, -900.0)]
    assert tombs.is_news(Tombstone("db", 1, 100.0))
