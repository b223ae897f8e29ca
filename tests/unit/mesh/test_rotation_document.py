"""The document of a change of the cluster key: what is told, what is believed, how two join."""

import itertools
import random

import msgpack
import pytest

from wesher.base.errors import ProtocolError
from wesher.base.frozen import replace
from wesher.mesh.base.rotation import (
    MAX_GRACE,
    MAX_NUMBER,
    Rotation,
    Step,
    decode_rotation,
    encode_rotation,
)

KEY = bytes(range(32))
ROTATION = Rotation(7, KEY, Step.USE, 1000.0, True, retired=("01020304", "aabbccdd"))
HEAD = b"\xf7\x02"


@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("marks", list(itertools.product([False, True], repeat=3)))
def test_what_is_told_is_what_is_heard(step: Step, marks: tuple[bool, bool, bool]) -> None:
    told = Rotation(MAX_NUMBER, KEY, step, 1000.0, *marks, retired=("01020304",))

    assert decode_rotation(encode_rotation(told, 400.0), 400.0) == told


def test_the_grace_does_not_become_shorter_by_being_told() -> None:
    told = replace(ROTATION, retire_at=1000.4)

    for now in (0.3, 99.9, 500.0):
        heard = decode_rotation(encode_rotation(told, now), now)
        assert heard
        assert told.joined(heard).retire_at == told.retire_at


@pytest.mark.parametrize(("retire_at", "left"), [(-5.0, 0), (1e12, MAX_GRACE)])
def test_the_grace_is_told_within_bounds(retire_at: float, left: float) -> None:
    heard = decode_rotation(encode_rotation(replace(ROTATION, retire_at=retire_at), 0.0), 0.0)

    assert heard
    assert heard.retire_at == left


@pytest.mark.parametrize("payload", [b"", b"\xf7", b"\xf7\x01\x90", b"other"])
def test_what_is_about_something_else_is_left_to_others(payload: bytes) -> None:
    assert decode_rotation(payload, 0) is None


@pytest.mark.parametrize(
    "fields",
    [
        7,
        [],
        [0, KEY, 1, 0, 0, b""],
        [MAX_NUMBER + 1, KEY, 1, 0, 0, b""],
        [True, KEY, 1, 0, 0, b""],
        [1, KEY[:16], 1, 0, 0, b""],
        [1, KEY + b"x", 1, 0, 0, b""],
        [1, "k" * 32, 1, 0, 0, b""],
        [1, KEY, 0, 0, 0, b""],
        [1, KEY, 4, 0, 0, b""],
        [1, KEY, 1, -1, 0, b""],
        [1, KEY, 1, MAX_GRACE + 1, 0, b""],
        [1, KEY, 1, 0.5, 0, b""],
        [1, KEY, 1, 0, 8, b""],
        [1, KEY, 1, 0, 0, b"123"],
        [1, KEY, 1, 0, 0, b"1234" * 8],
        [1, KEY, 1, 0, 0],
        [1, KEY, 1, 0, 0, b"", 1],
    ],
)
def test_what_cannot_be_is_refused(fields: object) -> None:
    with pytest.raises(ProtocolError):
        decode_rotation(HEAD + msgpack.packb(fields), 0)


def test_noise_is_refused() -> None:
    noise = random.Random(5)
    for _ in range(2000):
        with pytest.raises(ProtocolError):
            decode_rotation(HEAD + noise.randbytes(noise.randrange(200)), 0)


def _drawn(rng: random.Random) -> Rotation:
    retired = rng.sample(["01020304", "aabbccdd", "00000000"], rng.randrange(3))
    one, two, three = (rng.random() < 0.5 for _ in range(3))
    key = bytes([rng.randrange(2)]) * 32
    at = float(rng.randrange(3))
    return Rotation(rng.randrange(1, 3), key, rng.choice(list(Step)), at, one, two, three).retiring(
        retired
    )


def test_whatever_is_heard_in_whatever_order_comes_to_the_same() -> None:
    rng = random.Random(3)
    for _ in range(2000):
        one, two, three = (_drawn(rng) for _ in range(3))
        assert one.joined(one) == one
        assert one.joined(two) == two.joined(one)
        assert one.joined(two).joined(three) == one.joined(two.joined(three))
        assert one.joined(two).joined(one) == one.joined(two)


def test_the_larger_number_wins_and_then_the_larger_key() -> None:
    later = replace(ROTATION, number=8, key=bytes(32), step=Step.INSTALL)
    rival = replace(ROTATION, key=b"\xff" * 32, step=Step.INSTALL)

    assert ROTATION.joined(later) == later
    assert ROTATION.joined(rival) == rival
    assert ROTATION.joined(None) == ROTATION


def test_no_key_is_shown() -> None:
    assert str(KEY) not in repr(ROTATION)
