"""Several parts tell with one user state."""

import msgpack
import pytest

from wesher.base.errors import ProtocolError
from wesher.mesh.base.user_state import MAX_PARTS, UserState, pack, unpack

SEVERAL = b"\xf7\x03"


def test_what_one_part_tells_is_all_there_is() -> None:
    state = UserState()

    assert state.put("gone", b"\xf7\x01abc") == b"\xf7\x01abc"
    assert list(unpack(b"\xf7\x01abc")) == [b"\xf7\x01abc"]
    assert state.put("gone", b"") == b""


def test_what_several_tell_comes_apart_again() -> None:
    state = UserState()
    state.put("gone", b"\xf7\x01abc")

    whole = state.put("key", b"\xf7\x02xyz")

    assert whole[:2] == SEVERAL
    assert list(unpack(whole)) == [b"\xf7\x01abc", b"\xf7\x02xyz"]
    assert state.put("gone", b"") == b"\xf7\x02xyz"


@pytest.mark.parametrize("payload", [b"", b"\xf7", b"other", b"\xf7\x63later"])
def test_what_is_nobodys_stays_whole(payload: bytes) -> None:
    assert list(unpack(payload)) == [payload]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xc1",
        b"\xdd\xff\xff\xff\xff",
        *map(msgpack.packb, (7, "text", {}, ["text"], [b"x", 1], [b"x"] * (MAX_PARTS + 1))),
    ],
)
def test_what_is_damaged_is_refused_whole(content: bytes) -> None:
    with pytest.raises(ProtocolError):
        unpack(SEVERAL + content)


def test_as_many_as_are_read_can_be_told() -> None:
    assert len(list(unpack(pack(*[b"x"] * MAX_PARTS)))) == MAX_PARTS
