"""Streams: frames, their sizes, and what makes them illegal."""

import pytest

from tests.testbed.lzw import compressed, compressed_message
from tests.unit.gossip_wire.wires import KEY, OTHER_KEY, lzw_bomb, seal_stream, wire
from wesher.base.errors import LimitError, ProtocolError, UndecryptableError
from wesher.gossip import Keyring, Message
from wesher.gossip.codec import encode
from wesher.gossip.messages import Ack, ErrorReply, Nack, Ping, PushPull, Record
from wesher.gossip.wire import MAX_FRAME, MAX_STREAM, LabelError, inflate_frame

RECORD = Record("n1", bytes([10, 0, 0, 1]), 7946, b"m" * 100, 1, 0, bytes([1, 5, 2, 0, 0, 0]))
MESSAGES: list[Message] = [
    PushPull(True, (RECORD,) * 20, b"state"),
    Ping(77, "n1"),
    Ack(77),
    ErrorReply("no"),
]
PING = encode(Ping(1, "n1"))


@pytest.mark.case(6)
@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
@pytest.mark.parametrize("reply", [False, True])
def test_a_sealed_frame_opens_at_the_other_end(message: Message, reply: bool) -> None:
    frame = wire().seal_frame(encode(message))

    assert wire().frame_size(frame, reply=reply) == len(frame)
    assert wire().open_frame(frame, reply=reply) == message


@pytest.mark.case(6)
@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
@pytest.mark.parametrize("version", [0, 1])
def test_what_others_compress_and_pad_opens(message: Message, version: int) -> None:
    frame = seal_stream(compressed(encode(message)), version=version)

    assert wire().open_frame(frame) == message


def test_what_we_send_is_not_compressed() -> None:
    """See decision 12: nobody needs it, and in Python it costs much."""
    frame = wire().seal_frame(PING * 100)

    assert Keyring(KEY).open(frame[5:], frame[:5])[0] == PING * 100


def test_the_size_of_a_sealed_frame_is_known_from_its_head() -> None:
    frame = wire().seal_frame(PING)

    sizes = [wire().frame_size(frame[:end]) for end in range(len(frame) + 1)]

    assert sizes == [None] * 5 + [len(frame)] * (len(frame) + 1 - 5)


def test_what_follows_the_frame_is_ignored() -> None:
    assert wire().open_frame(wire().seal_frame(PING) + b"more") == Ping(1, "n1")


@pytest.mark.case(20)
@pytest.mark.parametrize("size", [MAX_FRAME + 1, 30_000_000, 2**32 - 1])
def test_a_frame_that_would_be_too_long_is_refused_before_it_comes(size: int) -> None:
    head = b"\x0a" + size.to_bytes(4, "big")

    with pytest.raises(LimitError):
        wire().frame_size(head)
    with pytest.raises(LimitError):
        wire().open_frame(head)


@pytest.mark.case(20)
def test_the_longest_frame_is_waited_for() -> None:
    head = b"\x0a" + MAX_FRAME.to_bytes(4, "big")

    assert wire().frame_size(head) == MAX_FRAME + 5


@pytest.mark.case(4)
def test_a_stream_does_not_inflate_beyond_its_limit() -> None:
    bomb = compressed_message(lzw_bomb(MAX_STREAM))

    with pytest.raises(LimitError, match=str(MAX_STREAM)):
        wire().open_frame(seal_stream(bomb))


@pytest.mark.case(22)
@pytest.mark.parametrize("data", [PING, compressed(PING), encode(MESSAGES[0]), b"GET / HTTP/1.1"])
def test_a_plain_stream_is_refused_at_its_first_byte_and_answered_by_a_sealed_error(
    data: bytes,
) -> None:
    server, client = wire(), wire()

    with pytest.raises(UndecryptableError, match="encryption is configured") as caught:
        server.frame_size(data[:1])
    with pytest.raises(UndecryptableError):
        server.open_frame(data)
    reply = server.seal_frame(encode(ErrorReply(str(caught.value))))

    assert reply[0] == 10
    assert client.open_frame(reply, reply=True) == ErrorReply(str(caught.value))


@pytest.mark.case(18)
def test_a_stream_under_another_key_does_not_open() -> None:
    with pytest.raises(UndecryptableError):
        wire().open_frame(wire(key=OTHER_KEY).seal_frame(PING))


@pytest.mark.case(7)
@pytest.mark.case(16)
@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"\xf4\x01a" + seal_stream(PING, b"a"), id="a label"),
        pytest.param(b"\xf4\x00" + seal_stream(PING), id="an empty label"),
        pytest.param(b"\xf4\x03ab", id="a label cut off"),
    ],
)
def test_streams_with_a_label_are_refused(frame: bytes) -> None:
    with pytest.raises(LabelError):
        wire().frame_size(frame)
    with pytest.raises(LabelError):
        wire().open_frame(frame)


def test_a_stream_whose_additional_data_has_a_label_does_not_open() -> None:
    with pytest.raises(UndecryptableError):
        wire().open_frame(seal_stream(PING, b"a"))


@pytest.mark.parametrize("end", [0, 1, 4, 5, 40, -1])
def test_a_stream_that_ends_early_is_refused(end: int) -> None:
    with pytest.raises(ProtocolError, match="ended early"):
        wire().open_frame(wire().seal_frame(PING)[:end])


@pytest.mark.parametrize(
    "plain",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(compressed(b""), id="compressed nothing"),
        pytest.param(compressed(compressed(PING)), id="compressed twice"),
        pytest.param(encode(Nack(1)), id="a packet's message"),
        pytest.param(b"\x07\x01\x00\x01a", id="a compound"),
        pytest.param(b"\x0c" + bytes(4) + PING, id="a checksum"),
        pytest.param(b"\x09\x80", id="compressed without data"),
        pytest.param(bytes.fromhex("0982a4416c676f01a3427566a400c30404"), id="unknown algorithm"),
        pytest.param(b"\xff", id="unknown type"),
    ],
)
def test_a_sealed_stream_of_nonsense_is_refused(plain: bytes) -> None:
    with pytest.raises(ProtocolError):
        wire().open_frame(seal_stream(plain))


@pytest.mark.case(22)
def test_what_deserves_an_error_reply_fails_before_the_message_is_read() -> None:
    unreadable = encode(PushPull(True, ())).replace(b"\xa5Nodes\x00", b"\xa5Nodes\xff")

    body, _ = wire().unseal_frame(seal_stream(compressed(unreadable)))

    assert inflate_frame(body) == unreadable
    with pytest.raises(ProtocolError):
        wire().open_frame(seal_stream(unreadable))


def test_the_live_captures_of_replies_open() -> None:
    push_pull, ack, error = map(
        bytes.fromhex,
        (
            "0a0000009701660acf64fff719a8cebec26f88348aefe58bea0a62665588f8d09cca9a29b406bf65ad58497b"
            "4d48d2b3b41940c1ec62237c27c18aacda1e3cb208e04f48edecb655f0338072297d7df55d85fa5f6379d820"
            "6ae292429d1513f3f7c91596664e5dca6e8c5981c3b3d5131cc7a450d92c3ec56bfa434844e44f76a63d9d49"
            "c79c1883f043e7ae1eac231d10c270a30aeffb9b09a49ccb",
            "0a0000004101374b1dc539e4acc34522986891f0c8ce52a80451ff4ca35520dd8f09c7c065cc1a24283cc286"
            "c8c2efbef384484ab5a1f4691ef7ab41b8d1e459de2d1ad8955b",
            "0a000000710107907f72d27d53e58eb1753163989a047685a4bd9233ad308e742e10c8775abcbda462c6e025"
            "68e930d164fc7395f4ca7fdb21679ad304d55b552e2702c8d03ac4e5de43db2247cab57ff6c7cce386e18fe9"
            "5e5344d23c152e50a7efa2006b5c0fd14247d354c0d7b53a4a854a806009",
        ),
    )

    local, versions = bytes([127, 0, 0, 1]), bytes([1, 5, 2, 0, 0, 0])
    record = Record("gonode", local, 17996, b"gometa", 1, 0, versions)
    assert wire().open_frame(push_pull, reply=True) == PushPull(True, (record,))
    assert wire().open_frame(ack, reply=True) == Ack(77)
    told = wire().open_frame(error, reply=True)
    assert isinstance(told, ErrorReply)
    assert "ncryption is configured" in told.error
