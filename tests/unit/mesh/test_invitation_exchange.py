"""Redeeming a token: what each side says, and what happens to any bit that changes on the way."""

import os

import msgpack
import pytest

from wesher.base.addresses import Address
from wesher.base.errors import LimitError, ProtocolError, UndecryptableError
from wesher.mesh.invitations import (
    Answering,
    Asking,
    Grant,
    Member,
    OtherVersionError,
    Reason,
    Refused,
    Request,
    derive,
    open_request,
    prologue,
    read_reply,
    read_request,
    refused_plainly,
    sealed_reply,
    sealed_request,
    whole,
)

NAME, KEY = derive(bytes(range(16)))
CLUSTER_KEYS = (os.urandom(32), os.urandom(32))
REQUEST = Request("beta", "1.0", 1_800_000_000, bytes(range(32)))
GRANT = Grant(
    CLUSTER_KEYS,
    "10.0.0.0/8",
    "wan",
    "current",
    7946,
    "alpha",
    bytes(range(1, 33)),
    1_800_000_001,
    (Member("alpha", Address("192.0.2.1", 7946)), Member("gamma", Address("2001:db8::3", 7))),
)


def asking(key: bytes = KEY, name: str = NAME) -> Asking:
    return Asking(key, prologue(name), os.urandom(32))


def opened(frame: bytes, key: bytes = KEY) -> tuple[Answering, Request]:
    name, message = read_request(frame)
    answering = Answering(key, prologue(name))
    return answering, open_request(answering, message)


def test_it_is_noise_nnpsk0_as_others_write_it() -> None:
    """Recorded from noiseprotocol 0.3.1 with these keys; see its `NoiseConnection`."""
    psk, before = bytes(range(32)), b"wesher invitation\x01abcde"
    one, other = Asking(psk, before, b"\x11" * 32), Answering(psk, before)

    first = one.ask(b"hello")
    assert other.open(first) == b"hello"
    second = other.answer(b"welcome", b"\x22" * 32)

    assert first.hex() == (
        "7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13"
        "051588c9c634dc8da07a9e3667e0695a768ea5c8f8"
    )
    assert second.hex() == (
        "0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20"
        "225489e63e7cc93b95e78cc6fea9f50f7bc796f1ac67f8"
    )
    assert one.open(second) == b"welcome"


@pytest.mark.parametrize("outcome", [GRANT, Refused(Reason.USED, "alpha", 1_800_000_000)])
def test_what_is_asked_and_answered_arrives(outcome: Grant | Refused) -> None:
    one = asking()
    answering, request = opened(sealed_request(NAME, one, REQUEST))

    assert request == REQUEST
    assert read_reply(one, sealed_reply(answering, outcome, os.urandom(32))) == outcome


def test_no_bit_of_a_request_can_change() -> None:
    frame = sealed_request(NAME, asking(), REQUEST)
    for changed in flipped(frame):
        with pytest.raises(ProtocolError):
            opened(changed)


def test_no_bit_of_an_answer_can_change() -> None:
    one = asking()
    answering, _ = opened(sealed_request(NAME, one, REQUEST))
    frame = sealed_reply(answering, GRANT, os.urandom(32))
    for changed in flipped(frame):
        try:
            outcome = read_reply(one, changed)
        except ProtocolError:
            continue
        pytest.fail(f"{outcome} came of a changed frame")
    assert read_reply(one, frame) == GRANT, "what was changed spoils nothing"


def flipped(frame: bytes) -> list[bytes]:
    """Return the frame with each of its bits changed."""
    number, size = int.from_bytes(frame), len(frame)
    return [(number ^ 1 << bit).to_bytes(size) for bit in range(8 * size)]


def test_a_request_sent_again_is_the_same_and_answered_anew() -> None:
    one = asking()
    frame = sealed_request(NAME, one, REQUEST)
    answers = [sealed_reply(opened(frame)[0], GRANT, os.urandom(32)) for _ in range(2)]

    assert sealed_request(NAME, one, REQUEST) == frame
    assert answers[0] != answers[1]
    assert [read_reply(one, answer) for answer in answers] == [GRANT, GRANT]


def test_another_token_opens_neither_side() -> None:
    _, other = derive(os.urandom(16))
    one = asking()
    frame = sealed_request(NAME, one, REQUEST)
    answering, _ = opened(frame)

    with pytest.raises(UndecryptableError):
        opened(frame, other)
    with pytest.raises(UndecryptableError):
        read_reply(asking(other), sealed_reply(answering, GRANT, os.urandom(32)))


def test_a_leaked_token_opens_no_recorded_answer() -> None:
    """Whoever has the recording and, later, the token lacks both ephemeral keys."""
    one = asking()
    frame = sealed_request(NAME, one, REQUEST)
    answering, _ = opened(frame)
    answer = sealed_reply(answering, GRANT, os.urandom(32))

    assert opened(frame)[1] == REQUEST, "the first message is no secret to who has the token"
    thief = asking()
    thief.ask(b"")
    with pytest.raises(UndecryptableError):
        read_reply(thief, answer)
    assert not any(key in frame + answer for key in CLUSTER_KEYS)


def test_an_ephemeral_key_that_makes_no_secret_is_refused() -> None:
    answering = Answering(KEY, prologue(NAME))
    answering._theirs = bytes(32)  # the neutral element: whatever we multiply it by is known

    with pytest.raises(ProtocolError, match="ephemeral key"):
        answering.answer(b"", os.urandom(32))


@pytest.mark.parametrize("why", [Reason.UNKNOWN, Reason.FORGED, Reason.LIMITED, Reason.VERSION])
def test_what_cannot_be_sealed_is_told_plainly(why: Reason) -> None:
    assert read_reply(asking(), refused_plainly(why)) == Refused(why)


@pytest.mark.parametrize("body", ["", "05", "0100", "63", "ff"])
def test_what_must_be_sealed_is_not_believed_plainly(body: str) -> None:
    content = bytes.fromhex(body)
    with pytest.raises(ProtocolError):
        read_reply(asking(), b"\xf6\x01" + len(content).to_bytes(2) + content)


def test_a_frame_tells_its_size() -> None:
    frame = sealed_request(NAME, asking(), REQUEST)

    assert [whole(frame[:size]) for size in range(4)] == [None] * 4
    assert whole(frame[:4]) == len(frame)
    with pytest.raises(LimitError):
        whole(b"\xf6\x01\x10\x00")
    assert whole(b"\xf6\x01\x10\x00", reply=True) == 4100
    with pytest.raises(ProtocolError):
        whole(b"\x0a")


def test_another_version_is_told_from_garbage() -> None:
    frame = sealed_request(NAME, asking(), REQUEST)

    assert whole(b"\xf6\x02\xff\xff") == 4
    with pytest.raises(OtherVersionError):
        read_request(b"\xf6\x02" + frame[2:])
    with pytest.raises(ProtocolError):
        read_request(frame[:3])


@pytest.mark.parametrize(
    "told",
    [
        b"\xc1",
        b"\x93\x01\x02\x03",
        msgpack.packb({1: 2}),
        msgpack.packb({"n": "beta", "v": "1", "t": "now", "d": bytes(32)}),
        msgpack.packb({"n": "beta", "v": "1", "t": -1, "d": bytes(32)}),
        msgpack.packb({"n": "beta", "v": "1", "t": True, "d": bytes(32)}),
        msgpack.packb({"n": "beta", "v": "1", "t": 1, "d": bytes(31)}),
        msgpack.packb({"n": "b" * 256, "v": "1", "t": 1, "d": bytes(32)}),
        msgpack.packb({"n": b"beta", "v": "1", "t": 1, "d": bytes(32)}),
        b"\x91" * 600,
    ],
)
def test_what_is_sealed_is_checked_all_the_same(told: bytes) -> None:
    one = asking()
    message = one.ask(told)
    with pytest.raises(ProtocolError):
        open_request(Answering(KEY, prologue(NAME)), message)


@pytest.mark.parametrize(
    "change",
    [
        {"k": []},
        {"k": [bytes(31)]},
        {"k": [bytes(32)] * 9},
        {"m": [["alpha", "nowhere", 7946]]},
        {"m": [["alpha", "192.0.2.1", 0]]},
        {"m": [["alpha", "192.0.2.1"]]},
        {"p": "7946"},
        {"r": 99},
    ],
)
def test_a_grant_is_checked_field_by_field(change: dict[str, object]) -> None:
    told = {"k": [bytes(32)], "o": "10.0.0.0/8", "i": "wan", "f": "current", "p": 7946}
    told |= {
        "n": "alpha",
        "t": 1,
        "d": bytes(32),
        "m": [["alpha", "192.0.2.1", 7946]],
        "x": "later",
    }
    assert isinstance(granted(told), Grant)

    with pytest.raises(ProtocolError):
        granted(told | change)


def granted(told: dict[str, object]) -> Grant | Refused:
    """Return what a new host reads from an agent that answers this."""
    one = asking()
    answering, _ = opened(sealed_request(NAME, one, REQUEST))
    body = b"\x00" + answering.answer(msgpack.packb(told), os.urandom(32))
    return read_reply(one, b"\xf6\x01" + len(body).to_bytes(2) + body)


def test_keys_are_not_shown() -> None:
    assert CLUSTER_KEYS[0].hex() not in repr(GRANT)
    assert repr(CLUSTER_KEYS[0]) not in repr(GRANT)
