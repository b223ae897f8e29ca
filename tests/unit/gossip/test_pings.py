"""Pings, acks, nacks and relays (spec/memberlist.md, 4.3 and 4.9)."""

import gc
from types import CellType

import pytest

from tests.unit.gossip.bench import (
    LOCAL,
    LOCAL_IP,
    PORT,
    REMOTE,
    STRANGER,
    Bench,
    address,
    alive,
    local_alive,
)
from wesher.gossip import (
    Ack,
    DropReason,
    IndirectPing,
    Nack,
    PacketDropped,
    Ping,
    PingFinished,
    lzw,
    pack_ip,
)
from wesher.gossip.codec import encode, encode_compressed
from wesher.gossip.pings import ANSWERS_PER_SECOND

REMOTE_ADDRESS = address("10.0.0.2")
REQUESTER = ("10.0.0.3", 7000)


def quiet(*known, **options):
    """Return a bench with nothing left to piggyback."""
    bench = Bench(*known, **options)
    bench.no_longer_queues()
    return bench


@pytest.mark.case(9)
@pytest.mark.parametrize("node", [LOCAL, ""])
def test_a_ping_is_acked_to_the_sender(node):
    bench = quiet()

    bench.hears(Ping(77, node))

    assert bench.said() == [(STRANGER, (Ack(77),))]


@pytest.mark.case(9)
@pytest.mark.parametrize("mapped", [True, False])
def test_a_ping_is_acked_to_the_source_it_names(mapped):
    bench = quiet()

    bench.hears(Ping(77, LOCAL, pack_ip(REQUESTER[0], mapped=mapped), REQUESTER[1], "requester"))

    assert bench.said() == [(address(*REQUESTER), (Ack(77),))]


@pytest.mark.case(9)
@pytest.mark.parametrize(("addr", "port"), [(b"", 7000), (b"\x0a\0\0\3", 0)])
def test_an_incomplete_source_is_not_used(addr, port):
    bench = quiet()

    bench.hears(Ping(77, LOCAL, addr, port))

    assert bench.said() == [(STRANGER, (Ack(77),))]


@pytest.mark.case(10)
def test_a_ping_for_somebody_else_gets_no_answer():
    bench = Bench()

    bench.hears(Ping(77, "other"))
    reply = bench.asked(Ping(77, "other"))

    assert bench.said() == []
    assert reply is None
    assert bench.events() == [
        PacketDropped(STRANGER, DropReason.REFUSED, "ping for somebody else", stream=True)
    ]


@pytest.mark.case(11)
def test_three_pings_in_one_packet_are_acked_thrice():
    bench = quiet()

    bench.hears(Ping(1, LOCAL), Ping(2, LOCAL), Ping(3, LOCAL))

    assert bench.said_to(STRANGER) == [Ack(1), Ack(2), Ack(3)]


@pytest.mark.case(12)
def test_an_ack_takes_the_news_along():
    bench = Bench()

    bench.hears(Ping(77, LOCAL))

    assert bench.said() == [(STRANGER, (Ack(77), local_alive()))]


def test_only_the_first_of_several_answers_to_one_packet_takes_the_news_along():
    bench = Bench()

    bench.hears(Ping(1, LOCAL), indirect_ping(), Ping(2, LOCAL))
    one_packet = bench.said()
    bench.hears(Ping(3, LOCAL))
    another = bench.said()
    bench.gossip.ping(REMOTE_ADDRESS, REMOTE, bench.now)

    assert [len(messages) for _, messages in one_packet] == [2, 1, 1]
    assert another == [(STRANGER, (Ack(3), local_alive()))]
    assert [len(messages) for _, messages in bench.said()] == [2]


def test_only_so_many_pings_are_answered():
    bench = quiet()
    bench.now = 100

    for sequence in range(500):
        bench.hears(Ping(sequence, LOCAL), Ping(sequence, "other"))
    answered = len(bench.said())
    bench.now = 101
    bench.hears(Ping(1, LOCAL))

    assert answered == ANSWERS_PER_SECOND == 400
    assert bench.events() == [PacketDropped(STRANGER, DropReason.LIMIT, "too many pings")] * 100
    assert bench.said() == [(STRANGER, (Ack(1),))]


def test_pings_by_tcp_are_answered_even_then():
    bench = quiet()
    for sequence in range(500):
        bench.hears(Ping(sequence, LOCAL))

    assert bench.asked(Ping(5, LOCAL)) == Ack(5)


def test_a_packet_with_news_stays_within_the_budget():
    bench = Bench(*[alive(f"m{index}", ip="10.0.1.1", meta=bytes(300)) for index in range(9)])

    bench.hears(Ping(77, LOCAL))
    bench.gossip._wire.compress_packets = False
    bench.hears(Ping(78, LOCAL))

    sizes = [len(packet.data) for packet in bench.packets()]
    assert 1000 < sizes[-1] <= 1402


@pytest.mark.case(38)
def test_our_owners_ping_is_answered_once_by_the_first_ack():
    bench = quiet()
    bench.now = 1
    number = bench.gossip.ping(REMOTE_ADDRESS, REMOTE, bench.now)
    [(to, [ping])] = bench.said()
    bench.now = 1.25

    bench.hears(Ack(ping.sequence + 1))
    before = bench.events()
    bench.hears(Ack(ping.sequence))
    after = bench.events()
    bench.hears(Ack(ping.sequence))
    bench.gossip.handle_timer(6)

    assert to == REMOTE_ADDRESS
    assert ping == Ping(ping.sequence, REMOTE, pack_ip(LOCAL_IP), PORT, LOCAL)
    assert before == []
    assert after == [PingFinished(number, 0.25)]
    assert bench.events() == []


@pytest.mark.case(38)
def test_our_owners_ping_without_answer_ends_after_the_probe_timeout():
    bench = quiet(announced=False)
    number = bench.gossip.ping(REMOTE_ADDRESS, REMOTE, bench.now)
    [(_, [ping])] = bench.said()

    bench.run(2.9)
    before = bench.events()
    bench.run(3)
    bench.hears(Ack(ping.sequence))

    assert ping == Ping(ping.sequence, REMOTE)
    assert before == []
    assert bench.events() == [PingFinished(number, None)]


def test_sequence_numbers_wrap():
    bench = quiet()
    bench.gossip._pings._sequence = 2**32 - 1

    bench.gossip.ping(REMOTE_ADDRESS, REMOTE, bench.now)

    [(_, [ping])] = bench.said()
    assert ping.sequence == 0


@pytest.mark.case(19)
def test_a_tcp_ping_succeeds_with_the_right_sequence_number():
    bench = Bench()
    bench.now = 1
    number = bench.gossip.ping(REMOTE_ADDRESS, REMOTE, bench.now, stream=True)
    [stream] = bench.streams()
    ping = bench.wire.open_frame(stream.data)
    bench.now = 1.5

    bench.answered(stream, Ack(ping.sequence))

    assert (stream.to, stream.timeout) == (REMOTE_ADDRESS, 3)
    assert ping == Ping(ping.sequence, REMOTE, pack_ip(LOCAL_IP), PORT, LOCAL)
    assert bench.events() == [PingFinished(number, 0.5)]


@pytest.mark.case(19)
@pytest.mark.parametrize(
    "fails",
    [
        lambda bench, stream, sequence: bench.answered(stream, Ack(sequence + 1)),
        lambda bench, stream, sequence: bench.answered(stream, Ping(sequence, REMOTE)),
        lambda bench, stream, sequence: bench.gossip.stream_failed(stream.id, "refused", 0),
        lambda bench, stream, sequence: bench.gossip.receive_reply(stream.id, b"garbage", 0),
        lambda bench, stream, sequence: bench.run(3),
    ],
    ids=["wrong number", "wrong type", "refused or closed", "unreadable", "silence"],
)
def test_a_tcp_ping_fails(fails):
    bench = Bench()
    number = bench.gossip.ping(REMOTE_ADDRESS, REMOTE, bench.now, stream=True)
    [stream] = bench.streams()
    sequence = bench.wire.open_frame(stream.data).sequence

    fails(bench, stream, sequence)

    [event] = bench.events()
    assert (event.ping, event.seconds) == (number, None)


def test_the_answer_of_a_stream_that_has_ended_is_ignored():
    bench = Bench()
    bench.gossip.ping(REMOTE_ADDRESS, REMOTE, bench.now, stream=True)
    [stream] = bench.streams()
    bench.gossip.stream_failed(stream.id, "refused", 0)
    bench.events()

    bench.answered(stream, Ack(1))
    bench.run(4)

    assert bench.events() == []


def test_the_bytes_of_a_stream_are_not_kept_until_it_could_have_timed_out():
    bench = Bench()
    bench.gossip.ping(REMOTE_ADDRESS, REMOTE, bench.now, stream=True)
    [stream] = bench.streams()

    bench.answered(stream, Ack(1))

    holders = [type(holder) for holder in gc.get_referrers(stream)]
    assert CellType not in holders


@pytest.mark.case(10)
@pytest.mark.parametrize("node", [LOCAL, ""])
def test_a_tcp_ping_is_acked(node):
    assert Bench().asked(Ping(5, node)) == Ack(5)


def indirect_ping(*, nack=True, target="10.0.0.2", port=PORT, source=("", 0)):
    addr = pack_ip(source[0]) if source[0] else b""
    return IndirectPing(900, pack_ip(target), port, REMOTE, nack, addr, source[1])


@pytest.mark.parametrize(
    ("source", "reply_to"), [(("", 0), STRANGER), (REQUESTER, address(*REQUESTER))]
)
def test_an_ack_is_relayed_to_who_asked_for_it(source, reply_to):
    bench = quiet()

    bench.hears(indirect_ping(source=source))
    [(to, [ping])] = bench.said()
    bench.hears(Ack(ping.sequence))
    said = bench.said()
    bench.run(3)

    assert to == REMOTE_ADDRESS
    assert ping == Ping(ping.sequence, REMOTE, pack_ip(LOCAL_IP), PORT, LOCAL)
    assert said == [(reply_to, (Ack(900),))]
    assert Nack(900) not in bench.said_to(reply_to)


@pytest.mark.case(38)
@pytest.mark.parametrize(("nack", "answer"), [(True, [Nack(900)]), (False, [])])
def test_silence_is_reported_once_to_who_wants_to_know(nack, answer):
    bench = quiet()
    bench.hears(indirect_ping(nack=nack))
    [(_, [ping])] = bench.said()

    bench.run(2.9)
    before = bench.said_to(STRANGER)
    bench.run(3)
    bench.hears(Ack(ping.sequence))

    assert before == []
    assert bench.said_to(STRANGER) == answer


def test_a_target_without_port_is_at_our_port():
    bench = quiet()

    bench.hears(indirect_ping(port=0))

    assert bench.said()[0][0] == REMOTE_ADDRESS


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
def test_a_ping_out_of_bounds_is_refused(message, detail):
    bench = quiet()

    bench.hears(message)

    assert bench.said() == []
    assert bench.events() == [PacketDropped(STRANGER, DropReason.REFUSED, detail)]


@pytest.mark.parametrize("node", ["", "x" * 255])
def test_a_ping_for_anybody_or_for_a_long_name_is_relayed(node):
    bench = quiet()

    bench.hears(IndirectPing(900, TARGET, PORT, node, True))

    [(to, [ping])] = bench.said()
    assert (to, ping.node) == (REMOTE_ADDRESS, node)


def test_a_huge_name_squeezed_into_a_small_packet_does_not_harm_the_rest():
    bench = quiet()
    huge = encode(IndirectPing(900, TARGET, PORT, "x" * 200_000, True))
    squeezed = encode_compressed(lzw.encode(huge))

    bench.receives(bench.wire.seal_packet([squeezed, encode(Ping(1, LOCAL))], checksum=False))

    assert bench.said() == [(STRANGER, (Ack(1),))]


def test_only_so_many_indirect_pings_are_relayed():
    bench = quiet()
    bench.now = 100

    for _ in range(80):
        bench.hears(indirect_ping())

    assert len(bench.said()) == 50
    assert (
        bench.events()
        == [PacketDropped(STRANGER, DropReason.LIMIT, "too many indirect pings")] * 30
    )
