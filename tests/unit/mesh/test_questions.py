"""Questions of members and their answers: to bytes and back, and nothing that is too much."""

import json
from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as some

from wesher.base.errors import LimitError, ProtocolError
from wesher.mesh.base.questions import (
    MAX_ANSWER,
    MAX_EVENTS,
    MAX_QUESTION,
    MAX_TUNNELS,
    MemberAnswer,
    PastEvent,
    Reach,
    Topic,
    Tunnel,
    answer_as_map,
    answer_of_map,
    decode_answer,
    decode_question,
    encode_answer,
    encode_question,
    is_question,
)

FULL = MemberAnswer(
    name="alpha",
    version="1.2.3",
    tunnels=[
        Tunnel("beta", Reach.ANSWERED, "alive", 12.0, 0.0005, 17, 4, "192.0.2.2:51820", True),
        Tunnel("gamma", Reach.UNTRIED),
    ],
    wireguard=False,
    events=[PastEvent(2.5, "joined", "beta"), PastEvent(1.0, "conflict", "gamma", "a text")],
    settings={"timing": "wan"},
    doctor={"healthy": True, "findings": []},
    busy=frozenset({"doctor"}),
)


def told(**fields: Any) -> bytes:
    """An answer as nobody of ours would write it."""
    packed: bytes = msgpack.packb({"name": "alpha", "version": "1", **fields})
    return b"w\x01" + packed


@pytest.mark.parametrize("topics", [[], [Topic.TUNNELS], list(Topic)])
def test_a_question_survives(topics: list[Topic]) -> None:
    body = encode_question(topics)

    assert is_question(body)
    assert len(body) <= MAX_QUESTION
    assert decode_question(body) == frozenset(topics)


def test_no_message_of_gossip_is_a_question() -> None:
    assert not any(is_question(bytes([kind])) for kind in (*range(20), 244))
    assert not is_question(b"")


def test_topics_of_later_versions_are_left_out() -> None:
    body = b"w\x01" + msgpack.packb({"ask": ["tunnels", "weather", 7], "of": "ours"})

    assert decode_question(body) == {Topic.TUNNELS}


@pytest.mark.parametrize("answer", [FULL, MemberAnswer("alpha", "1")])
def test_an_answer_survives_as_bytes_and_as_json(answer: MemberAnswer) -> None:
    assert decode_answer(encode_answer(answer)) == answer
    assert answer_of_map(json.loads(json.dumps(answer_as_map(answer)))) == answer


def test_no_more_is_told_than_may_be() -> None:
    many = MemberAnswer(
        "alpha",
        "1",
        tunnels=[Tunnel("x" * 255, Reach.SILENT)] * (MAX_TUNNELS + 1),
        events=[PastEvent(float(ago), "joined", "beta") for ago in range(MAX_EVENTS + 9, 0, -1)],
    )

    body = encode_answer(many)

    assert len(body) <= MAX_ANSWER
    answer = decode_answer(body)
    assert answer.tunnels
    assert len(answer.tunnels) == MAX_TUNNELS
    assert answer.events
    assert answer.events[-1].ago == 1, "the latest are told"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"w",
        b"w\x02\x80",
        b"w\x01",
        b"w\x01\x90",
        b"w\x01\xc1",
        b"w\x01" + b"\x91" * 5000,
        told(name=7),
        told(name="x" * 256),
        told(tunnels={}),
        told(tunnels=[[]]),
        told(tunnels=[["beta", "answered", "", "soon", None, 0, 0, None, True]]),
        told(tunnels=[["beta", "answered", "", float("nan"), None, 0, 0, None, True]]),
        told(tunnels=[["beta", "answered", "", None, -1, 0, 0, None, True]]),
        told(tunnels=[["beta", "answered", "", None, None, True, 0, None, True]]),
        told(tunnels=[["beta"] * 9] * (MAX_TUNNELS + 1)),
        told(events=[[1, "joined"]]),
        told(events=[[True, "joined", "beta", ""]]),
        told(settings=[]),
        told(settings={"a": 1}),
        told(settings={str(number): "" for number in range(65)}),
        told(doctor="{"),
        told(doctor="[" * 100_000),
        told(doctor="[]"),
        told(busy=["a"] * 9),
    ],
)
def test_what_is_malformed_or_too_much_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_answer(body)


def test_an_answer_that_is_too_long_is_not_even_looked_at() -> None:
    with pytest.raises(LimitError):
        decode_answer(encode_question([]) + bytes(MAX_ANSWER))
    with pytest.raises(LimitError):
        decode_question(encode_question([]) + bytes(MAX_QUESTION))


@given(some.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for body in (data, b"w\x01" + data):
        for read in (decode_question, decode_answer):
            with suppress(ProtocolError):
                read(body)


def test_a_reach_of_later_versions_is_nothing_that_was_tried() -> None:
    answer = decode_answer(told(tunnels=[["beta", "guessed", "", None, None, 0, 0, None, False]]))

    assert answer.tunnels
    assert answer.tunnels[0].reach is Reach.UNTRIED
