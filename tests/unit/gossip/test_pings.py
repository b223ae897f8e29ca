"""Pings, acks, nacks and relays (spec/memberlist.md, 4.3 and 4.9)."""

import gc
from collections.abc import Callable
from types import CellType
from typing import Any

import pytest

from tests.testbed.lzw import compressed
from tests.unit.gossip.harness import (
    LOCAL,
    LOCAL_IP,
    PORT,
    REMOTE,
    STRANGER,
    Harness,
    address,
    alive,
    local_alive,
)
from wesher.gossip import (
    Ack,
    Address,
    DropReason,
    IndirectPing,
    Message,
    Nack,
    PacketDropped,
    Ping,
    PingFinished,
    SeenAt,
    StreamRequest,
    pack_ip,
)
from wesher.gossip.codec import encode
from wesher.gossip.pings import ANSWERS_PER_SECOND

REMOTE_ADDRESS = address("10.0.0.2")
REQUESTER = ("10.0.0.3", 7000)


def quiet(*known: Message, **options: Any) -> Harness:
    """Return a bench with nothing left to piggyback."""
    harness = Harness(*known, **options)
    harness.no_longer_queues()
    return harness


@pytest.mark.case(9)
@pytest.mark.parametrize("node", [LOCAL, ""])
def test_a_ping_is_acked_to_the_sender(node: str) -> None:
    harness = quiet()

    harness.hears(Ping(77, node))

    assert harness.said() == [(STRANGER, (Ack(77),))]


@pytest.mark.case(9)
@pytest.mark.parametrize("mapped", [True, False])
def test_a_ping_is_acked_to_the_source_it_names(mapped: bool) -> None:
    harness = quiet()

    ping = Ping(77, LOCAL, pack_ip(REQUESTER[0], mapped=mapped), REQUESTER[1], "requester")

    harness.hears(ping, source=address(REQUESTER[0], 40000))

    assert harness.said() == [(address(*REQUESTER), (Ack(77),))]


def test_who_pings_from_elsewhere_than_it_says_is_told_from_where() -> None:
    harness = quiet()

    harness.hears(Ping(77, LOCAL, pack_ip(REQUESTER[0]), REQUESTER[1], "requester"))

    assert harness.said() == [(address(*REQUESTER), (Ack(77, pack_ip(STRANGER.ip)),))]


def test_where_others_see_us_is_told_when_it_changes() -> None:
    harness = quiet()
    seen = []

    for payload in (None, pack_ip("10.9.9.9"), pack_ip("10.9.9.9"), b"rtt", pack_ip("10.9.9.9")):
        number = harness.gossip.ping(REMOTE_ADDRESS, REMOTE, harness.now)
        [ping] = [one for _, ms in harness.said() for one in ms if isinstance(one, Ping)]
        harness.hears(Ack(ping.sequence, payload), source=REMOTE_ADDRESS)
        events = harness.events()
        assert [one.ping for one in events if isinstance(one, PingFinished)] == [number]
        seen.append([one.ip for one in events if isinstance(one, SeenAt)])

    assert seen == [[], ["10.9.9.9"], [], [""], ["10.9.9.9"]]


def test_an_ack_that_nobody_waits_for_says_nothing() -> None:
    harness = quiet()

    harness.hears(Ack(77, pack_ip("10.9.9.9")))

    assert harness.events() == []


@pytest.mark.case(9)
@pytest.mark.parametrize(("addr", "port"), [(b"", 7000), (b"\x0a\0\0\3", 0)])
def test_an_incomplete_source_is_not_used(addr: bytes, port: int) -> None:
    harness = quiet()

    harness.hears(Ping(77, LOCAL, addr, port))

    assert harness.said() == [(STRANGER, (Ack(77),))]


@pytest.mark.case(10)
def test_a_ping_for_somebody_else_gets_no_answer() -> None:
    harness = Harness()

    harness.hears(Ping(77, "other"))
    reply = harness.asked(Ping(77, "other"))

    assert harness.said() == []
    assert reply is None
    assert harness.events() == [
        PacketDropped(STRANGER, DropReason.REFUSED, "ping for somebody else", stream=True)
    ]


@pytest.mark.case(11)
def test_three_pings_in_one_packet_are_acked_thrice() -> None:
    harness = quiet()

    harness.hears(Ping(1, LOCAL), Ping(2, LOCAL), Ping(3, LOCAL))

    assert harness.said_to(STRANGER) == [Ack(1), Ack(2), Ack(3)]


@pytest.mark.case(12)
def test_an_ack_takes_the_news_along() -> None:
    harness = Harness()

    harness.hears(Ping(77, LOCAL))

    assert harness.said() == [(STRANGER, (Ack(77), local_alive()))]


def test_only_the_first_of_several_answers_to_one_packet_takes_the_news_along() -> None:
    harness = Harness()

    harness.hears(Ping(1, LOCAL), indirect_ping(), Ping(2, LOCAL))
    one_packet = harness.said()
    harness.hears(Ping(3, LOCAL))
    another = harness.said()
    harness.gossip.ping(REMOTE_ADDRESS, REMOTE, harness.now)

    assert [len(messages) for _, messages in one_packet] == [2, 1, 1]
    assert another == [(STRANGER, (Ack(3), local_alive()))]
    assert [len(messages) for _, messages in harness.said()] == [2]


def test_only_so_many_pings_are_answered() -> None:
    harness = quiet()
    harness.now = 100

    for sequence in range(500):
        harness.hears(Ping(sequence, LOCAL), Ping(sequence, "other"))
    answered = len(harness.said())
    harness.now = 101
    harness.hears(Ping(1, LOCAL))

    assert answered == ANSWERS_PER_SECOND == 400
    assert harness.events() == [PacketDropped(STRANGER, DropReason.LIMIT, "too many pings")] * 100
    assert harness.said() == [(STRANGER, (Ack(1),))]


def test_pings_by_tcp_are_answered_even_then() -> None:
    harness = quiet()
    for sequence in range(500):
        harness.hears(Ping(sequence, LOCAL))

    assert harness.asked(Ping(5, LOCAL)) == Ack(5)


def test_a_packet_with_news_stays_within_the_budget() -> None:
    harness = Harness(*[alive(f"m{index}", ip="10.0.1.1", meta=bytes(300)) for index in range(9)])

    harness.hears(Ping(77, LOCAL))

    sizes = [len(packet.data) for packet in harness.packets()]
    assert 1000 < sizes[-1] <= 1402


@pytest.mark.case(38)
def test_our_owners_ping_is_answered_once_by_the_first_ack() -> None:
    harness = quiet()
    harness.now = 1
    number = harness.gossip.ping(REMOTE_ADDRESS, REMOTE, harness.now)
    [(to, [ping])] = harness.said()
    harness.now = 1.25

    assert isinstance(ping, Ping)
    harness.hears(Ack(ping.sequence + 1))
    before = harness.events()
    harness.hears(Ack(ping.sequence))
    after = harness.events()
    harness.hears(Ack(ping.sequence))
    harness.gossip.handle_timer(6)

    assert to == REMOTE_ADDRESS
    assert ping == Ping(ping.sequence, REMOTE, pack_ip(LOCAL_IP), PORT, LOCAL)
    assert before == []
    assert after == [PingFinished(number, 0.25)]
    assert harness.events() == []


@pytest.mark.case(38)
def test_our_owners_ping_without_answer_ends_after_the_probe_timeout() -> None:
    harness = quiet(announced=False)
    number = harness.gossip.ping(REMOTE_ADDRESS, REMOTE, harness.now)
    [(_, [ping])] = harness.said()

    harness.run(2.9)
    before = harness.events()
    harness.run(3)
    assert isinstance(ping, Ping)
    harness.hears(Ack(ping.sequence))

    assert ping == Ping(ping.sequence, REMOTE)
    assert before == []
    assert harness.events() == [PingFinished(number, None)]


def test_sequence_numbers_wrap() -> None:
    harness = quiet()
    harness.gossip._pings._sequence = 2**32 - 1

    harness.gossip.ping(REMOTE_ADDRESS, REMOTE, harness.now)

    [(_, [ping])] = harness.said()
    assert isinstance(ping, Ping)
    assert ping.sequence == 0


@pytest.mark.case(19)
def test_a_tcp_ping_succeeds_with_the_right_sequence_number() -> None:
    harness = Harness()
    harness.now = 1
    number = harness.gossip.ping(REMOTE_ADDRESS, REMOTE, harness.now, stream=True)
    [stream] = harness.streams()
    ping = harness.wire.open_frame(stream.data)
    harness.now = 1.5

    assert isinstance(ping, Ping)
    harness.answered(stream, Ack(ping.sequence))

    assert (stream.to, stream.timeout) == (REMOTE_ADDRESS, 3)
    assert ping == Ping(ping.sequence, REMOTE, pack_ip(LOCAL_IP), PORT, LOCAL)
    assert harness.events() == [PingFinished(number, 0.5)]


@pytest.mark.case(19)
@pytest.mark.parametrize(
    "fails",
    [
        lambda harness, stream, sequence: harness.answered(stream, Ack(sequence + 1)),
        lambda harness, stream, sequence: harness.answered(stream, Ping(sequence, REMOTE)),
        lambda harness, stream, sequence: harness.gossip.stream_failed(stream.id, "refused", 0),
        lambda harness, stream, sequence: harness.gossip.receive_reply(stream.id, b"garbage", 0),
        lambda harness, stream, sequence: harness.run(3),
    ],
    ids=["wrong number", "wrong type", "refused or closed", "unreadable", "silence"],
)
def test_a_tcp_ping_fails(fails: Callable[[Harness, StreamRequest, int], object]) -> None:
    harness = Harness()
    number = harness.gossip.ping(REMOTE_ADDRESS, REMOTE, harness.now, stream=True)
    [stream] = harness.streams()
    ping = harness.wire.open_frame(stream.data)
    assert isinstance(ping, Ping)

    fails(harness, stream, ping.sequence)

    [event] = harness.events()
    assert isinstance(event, PingFinished)
    assert (event.ping, event.seconds) == (number, None)


def test_the_answer_of_a_stream_that_has_ended_is_ignored() -> None:
    harness = Harness()
    harness.gossip.ping(REMOTE_ADDRESS, REMOTE, harness.now, stream=True)
    [stream] = harness.streams()
    harness.gossip.stream_failed(stream.id, "refused", 0)
    harness.events()

    harness.answered(stream, Ack(1))
    harness.run(4)

    assert harness.events() == []


def test_the_bytes_of_a_stream_are_not_kept_until_it_could_have_timed_out() -> None:
    harness = Harness()
    harness.gossip.ping(REMOTE_ADDRESS, REMOTE, harness.now, stream=True)
    [stream] = harness.streams()

    harness.answered(stream, Ack(1))

    holders = [type(holder) for holder in gc.get_referrers(stream)]
    assert CellType not in holders


@pytest.mark.case(10)
@pytest.mark.parametrize("node", [LOCAL, ""])
def test_a_tcp_ping_is_acked(node: str) -> None:
    assert Harness().asked(Ping(5, node)) == Ack(5)


def indirect_ping(
    *,
    nack: bool = True,
    target: str = "10.0.0.2",
    port: int = PORT,
    source: tuple[str, int] = ("", 0),
) -> IndirectPing:
    addr = pack_ip(source[0]) if source[0] else b""
    return IndirectPing(900, pack_ip(target), port, REMOTE, nack, addr, source[1])


@pytest.mark.parametrize(
    ("source", "reply_to"), [(("", 0), STRANGER), (REQUESTER, address(*REQUESTER))]
)
def test_an_ack_is_relayed_to_who_asked_for_it(source: tuple[str, int], reply_to: Address) -> None:
    harness = quiet()

    harness.hears(indirect_ping(source=source))
    [(to, [ping])] = harness.said()
    assert isinstance(ping, Ping)
    harness.hears(Ack(ping.sequence))
    said = harness.said()
    harness.run(3)

    assert to == REMOTE_ADDRESS
    assert ping == Ping(ping.sequence, REMOTE, pack_ip(LOCAL_IP), PORT, LOCAL)
    assert said == [(reply_to, (Ack(900),))]
    assert Nack(900) not in harness.said_to(reply_to)


@pytest.mark.case(38)
@pytest.mark.parametrize(("nack", "answer"), [(True, [Nack(900)]), (False, [])])
def test_silence_is_reported_once_to_who_wants_to_know(nack: bool, answer: list[Nack]) -> None:
    harness = quiet()
    harness.hears(indirect_ping(nack=nack))
    [(_, [ping])] = harness.said()

    harness.run(2.9)
    before = harness.said_to(STRANGER)
    harness.run(3)
    assert isinstance(ping, Ping)
    harness.hears(Ack(ping.sequence))

    assert before == []
    assert harness.said_to(STRANGER) == answer


def test_a_target_without_port_is_at_our_port() -> None:
    harness = quiet()

    harness.hears(indirect_ping(port=0))

    assert harness.said()[0][0] == REMOTE_ADDRESS


TARGET = pack_ip("10.0.0.2")
LONG = "x" * 256


@pytest.mark.parametrize(
    ("message", "detail"),
    [
        (Ping(1, LONG), "name of a wrong length"),
        (Ping(1, LOCAL, source_node=LONG), "name of a wrong length"),
        (Ping(1, LOCAL, b"\x0a\0\0", 7000), "not an IP address"),
        (IndirectPing(1, TARGET, PORT, LONG, True), "name of a wrong length"),
        (IndirectPing(1, TARGET, PORT, "é" * 128, True), "name of a wrong length"),
        (IndirectPing(1, TARGET, PORT, REMOTE, True, source_node=LONG), "name of a wrong length"),
        (IndirectPing(1, TARGET, PORT, REMOTE, True, bytes(5), 7000), "not an IP address"),
        (IndirectPing(1, TARGET[:3], PORT, REMOTE, True), "not an IP address"),
        (IndirectPing(1, b"", PORT, REMOTE, True), "not an IP address"),
    ],
)
def test_a_ping_out_of_bounds_is_refused(message: IndirectPing | Ping, detail: str) -> None:
    harness = quiet()

    harness.hears(message)

    assert harness.said() == []
    assert harness.events() == [PacketDropped(STRANGER, DropReason.REFUSED, detail)]


@pytest.mark.parametrize("node", ["", "x" * 255])
def test_a_ping_for_anybody_or_for_a_long_name_is_relayed(node: str) -> None:
    harness = quiet()

    harness.hears(IndirectPing(900, TARGET, PORT, node, True))

    [(to, [ping])] = harness.said()
    assert isinstance(ping, Ping)
    assert (to, ping.node) == (REMOTE_ADDRESS, node)


def test_a_huge_name_squeezed_into_a_small_packet_does_not_harm_the_rest() -> None:
    harness = quiet()
    huge = encode(IndirectPing(900, TARGET, PORT, "x" * 200_000, True))
    squeezed = compressed(huge)

    harness.receives(harness.wire.seal_packet([squeezed, encode(Ping(1, LOCAL))], checksum=False))

    assert harness.said() == [(STRANGER, (Ack(1),))]


def test_only_so_many_indirect_pings_are_relayed() -> None:
    harness = quiet()
    harness.now = 100

    for _ in range(80):
        harness.hears(indirect_ping())

    assert len(harness.said()) == 50
    assert (
        harness.events()
        == [PacketDropped(STRANGER, DropReason.LIMIT, "too many indirect pings")] * 30
    )
