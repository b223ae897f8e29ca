"""Packets and streams from anybody: what gets in, what is dropped, what is answered."""

import pytest

from tests.unit.gossip.harness import LOCAL, REMOTE, STRANGER, Harness, alive, others, sealing
from wesher.gossip import (
    MAX_INBOUND_EXCHANGES,
    Ack,
    Dead,
    DropReason,
    ErrorReply,
    IndirectPing,
    PacketDropped,
    Ping,
    PushPull,
    Suspect,
    UserDataReceived,
    UserMessage,
)
from wesher.gossip.codec import encode

ALIVE = encode(alive())


def reasons(harness: Harness) -> list[DropReason]:
    return [event.reason for event in harness.events() if isinstance(event, PacketDropped)]


@pytest.mark.case(14)
@pytest.mark.parametrize(
    "part",
    [
        bytes([77, 1, 2]),
        bytes([12, 0, 0, 0, 0, 4]),
        bytes([6, 0x80]),
        bytes([13, 0x80]),
        b"\x04\xc1",
    ],
    ids=["unknown type", "nested checksum", "push/pull", "error", "garbage"],
)
def test_what_makes_no_sense_in_a_packet_does_not_harm_the_rest(part: bytes) -> None:
    harness = Harness()

    harness.receives(harness.wire.seal_packet([part, ALIVE, part], checksum=False))

    assert harness.state() == "ALIVE"
    assert reasons(harness) == [DropReason.MALFORMED, DropReason.MALFORMED]


@pytest.mark.case(14)
def test_an_empty_part_does_not_harm_the_rest() -> None:
    harness = Harness()
    compound = b"\x07\x02" + b"\0\0" + len(ALIVE).to_bytes(2, "big") + ALIVE

    harness.receives(harness.wire.seal_packet([compound], checksum=False))

    assert harness.state() == "ALIVE"


@pytest.mark.case(14)
@pytest.mark.parametrize("data", [b"", bytes(28), bytes(60)])
def test_an_empty_packet_is_dropped(data: bytes) -> None:
    harness = Harness()

    harness.receives(data)

    assert len(reasons(harness)) == 1


@pytest.mark.case(15)
@pytest.mark.parametrize(
    "packet",
    [ALIVE, sealing(b"x" * 32).seal_packet([ALIVE], checksum=False)],
    ids=["not sealed", "another key"],
)
def test_packets_without_our_key_are_dropped(packet: bytes) -> None:
    harness = Harness()

    harness.receives(packet)

    assert harness.state() == "unknown"
    assert reasons(harness) == [DropReason.UNDECRYPTABLE]


@pytest.mark.case(16)
def test_packets_and_streams_with_a_label_are_dropped_without_answer() -> None:
    harness = Harness()

    harness.receives(b"\xf4\x05other" + sealing().seal_packet([ALIVE], checksum=False))
    reply = harness.serves(b"\xf4\x05other" + sealing().seal_frame(encode(Ping(1, LOCAL))))

    assert reply is None
    assert harness.state() == "unknown"
    assert reasons(harness) == [DropReason.LABEL, DropReason.LABEL]


@pytest.mark.case(21)
@pytest.mark.parametrize("data", [b"", b"\xf4", b"\xf4\x03on"])
def test_a_stream_that_ends_in_its_label_is_closed(data: bytes) -> None:
    harness = Harness()

    assert harness.serves(data) is None
    assert reasons(harness) == [DropReason.LABEL]


@pytest.mark.case(22)
@pytest.mark.parametrize("data", [encode(Ping(1, LOCAL)), b"GET / HTTP/1.1\r\n\r\n"])
def test_a_plain_stream_is_answered_by_a_sealed_error(data: bytes) -> None:
    harness = Harness()

    reply = harness.serves(data)

    assert reply
    assert reply[0] == 10
    assert isinstance(harness.wire.open_frame(reply, reply=True), ErrorReply)
    assert reasons(harness) == [DropReason.UNDECRYPTABLE]


def test_only_so_many_streams_are_told_of_their_errors() -> None:
    harness = Harness()
    harness.now = 50

    replies = [harness.serves(b"garbage") for _ in range(100)]

    assert len([reply for reply in replies if reply is not None]) == 10


@pytest.mark.case(20)
def test_a_frame_that_would_be_too_long_is_refused() -> None:
    harness = Harness()

    reply = harness.serves(b"\x0a" + (20_971_521).to_bytes(4, "big"))

    assert reply
    assert isinstance(harness.wire.open_frame(reply, reply=True), ErrorReply)
    assert reasons(harness) == [DropReason.LIMIT]


@pytest.mark.case(20)
@pytest.mark.parametrize(
    "message",
    [
        "0683a44a6f696ec3a54e6f646573ce00989680ac5573657253746174654c656e00",
        "0683a44a6f696ec3a54e6f64657300ac5573657253746174654c656ece01c9c380",
        "0881aa557365724d73674c656ece01c9c380",
    ],
    ids=["10,000,000 nodes", "30,000,000 bytes of state", "30,000,000 bytes of message"],
)
def test_absurd_counts_close_the_stream_without_answer(message: str) -> None:
    harness = Harness()

    reply = harness.serves(harness.wire.seal_frame(bytes.fromhex(message)))

    [dropped] = harness.events()
    assert reply is None
    assert isinstance(dropped, PacketDropped)
    assert (dropped.reason, dropped.stream) == (DropReason.LIMIT, True)


@pytest.mark.parametrize("message", [Ack(1), ErrorReply("x")])
def test_an_answer_is_not_a_request(message: Ack | ErrorReply) -> None:
    harness = Harness()

    assert harness.asked(message) is None
    assert harness.events() == [
        PacketDropped(STRANGER, DropReason.MALFORMED, "not a request", stream=True)
    ]


@pytest.mark.case(23)
def test_127_exchanges_may_come_at_once() -> None:
    assert MAX_INBOUND_EXCHANGES == 127


def test_user_messages_are_handed_over() -> None:
    harness = Harness()

    harness.hears(UserMessage(b"by packet"))
    reply = harness.serves(
        harness.wire.seal_frame(bytes.fromhex("0881aa557365724d73674c656e05") + b"by tcp")
    )

    assert reply is None
    assert harness.events() == [
        UserDataReceived(STRANGER, b"by packet"),
        UserDataReceived(STRANGER, b"by tc"),
    ]


def test_a_flood_of_drops_does_not_pile_up() -> None:
    harness = Harness()

    for _ in range(3000):
        harness.receives(b"garbage")

    assert len(harness.events()) == 1000


# Before we have announced ourselves


def test_while_looking_we_answer_without_being_a_member() -> None:
    harness = Harness(announced=False)

    harness.hears(Ping(5, LOCAL))
    pushed = harness.asked(PushPull(False, ()))
    pinged = harness.asked(Ping(6, LOCAL))

    assert harness.said() == [(STRANGER, (Ack(5),))]
    assert pushed == PushPull(False, ())
    assert pinged == Ack(6)
    assert harness.gossip.local is None


def test_while_looking_we_hear_about_others_but_tell_nothing() -> None:
    harness = Harness(announced=False)

    harness.hears(alive(), *others(5))
    harness.run(300)

    assert harness.state() == "ALIVE"
    assert harness.said() == []
    assert harness.streams() == []


@pytest.mark.parametrize("incarnation", [1, 7])
def test_while_looking_what_is_said_about_our_name_has_no_effect(incarnation: int) -> None:
    harness = Harness(announced=False)

    harness.hears(
        alive(LOCAL, incarnation, ip="10.0.0.1"),
        Suspect(incarnation, LOCAL, "x"),
        Dead(incarnation, LOCAL, "x"),
    )

    assert len(harness.gossip.members) == 0
    assert harness.events() == []


def test_while_looking_we_relay_nothing() -> None:
    harness = Harness(announced=False)

    harness.hears(IndirectPing(1, bytes([10, 0, 0, 2]), 7946, REMOTE, True))

    assert harness.said() == []


def test_the_announcement_starts_at_the_incarnation_and_address_given() -> None:
    harness = Harness(announced=False)

    harness.gossip.announce(b"own", harness.now, 7, addr=bytes(10) + b"\xff\xff\x0a\0\0\x01")

    local = harness.local
    assert (local.incarnation, len(local.addr), local.meta) == (7, 16, b"own")
    assert harness.events() == []


@pytest.mark.parametrize("announced", [False, True])
def test_too_much_metadata_is_refused(announced: bool) -> None:
    harness = Harness(announced=announced)
    publish = harness.gossip.update_meta if announced else harness.gossip.announce

    with pytest.raises(ValueError, match="513 bytes"):
        publish(bytes(513), harness.now)
    publish(bytes(512), harness.now)

    assert harness.local.meta == bytes(512)


def test_new_metadata_is_published_with_the_next_incarnation() -> None:
    harness = Harness(alive())

    harness.gossip.update_meta(b"new", harness.now)

    assert harness.news(LOCAL) == [alive(LOCAL, 2, ip="10.0.0.1", meta=b"new")]
    assert harness.local.meta == b"new"
