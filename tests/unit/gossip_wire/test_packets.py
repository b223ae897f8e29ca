"""Packets: all layers, in order, and what happens to packets that break them."""

from typing import Any
from zlib import crc32

import pytest

from tests.unit.gossip.harness import subjects
from tests.unit.gossip_wire.wires import KEY, OTHER_KEY, seal, wire
from wesher.gossip import lzw
from wesher.gossip.codec import encode, encode_compressed
from wesher.gossip.events import DropReason
from wesher.gossip.keyring import Keyring
from wesher.gossip.messages import Ack, Alive, Nack, Ping, UserMessage
from wesher.gossip.wire import MAX_INFLATED, MAX_MESSAGES, Opened, Wire, join_parts

PING, NACK = encode(Ping(1, "n1")), encode(Nack(7))
NEWS = [Alive(n, f"node{n}", bytes([10, 0, 0, n]), 7946, b"m" * 60, None) for n in range(1, 6)]


def compressed(data: bytes) -> bytes:
    return encode_compressed(lzw.encode(data))


def with_checksum(data: bytes) -> bytes:
    return b"\x0c" + crc32(data).to_bytes(4, "big") + data


def reasons(opened: Opened) -> list[DropReason]:
    return [reason for reason, _ in opened.problems]


@pytest.mark.case(5)
@pytest.mark.case(6)
@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("label", [b"", b"lbl", b"l" * 255])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_what_is_sealed_opens_at_the_other_end(
    checksum: bool, compress: bool, version: int, label: bytes, count: int
) -> None:
    options: dict[str, Any] = {
        "compress_packets": compress,
        "encryption_version": version,
        "label": label,
    }
    parts = [encode(message) for message in NEWS[:count]]

    packet = wire(**options).seal_packet(parts, checksum=checksum)

    assert wire(**options).open_packet(packet) == Opened(tuple(NEWS[:count]))


def test_every_packet_takes_a_fresh_nonce() -> None:
    sender = wire()

    first, second = (sender.seal_packet([PING], checksum=False) for _ in range(2))

    assert first[1:13] != second[1:13]


def test_a_packet_is_compressed_only_when_that_makes_it_smaller() -> None:
    sender = wire(key=None)

    assert sender.seal_packet([PING], checksum=False) == PING
    assert sender.seal_packet([PING * 20], checksum=False)[0] == 9


@pytest.mark.case(13)
def test_a_checksum_adds_five_bytes() -> None:
    packet = wire(key=None).seal_packet([b"\x08abc"], checksum=True)

    assert packet == with_checksum(b"\x08abc")
    assert len(packet) == 9


@pytest.mark.case(13)
@pytest.mark.parametrize("position", [1, 4, 5, -1])
def test_a_wrong_checksum_drops_the_packet(position: int) -> None:
    packet = bytearray(with_checksum(NACK))

    packet[position] ^= 0x40

    assert reasons(wire().open_packet(seal(bytes(packet)))) == [DropReason.CHECKSUM]


@pytest.mark.parametrize("bad", [b"", b"\x08" * 65536])
def test_parts_that_members_cannot_read_are_not_sealed(bad: bytes) -> None:
    with pytest.raises(ValueError, match="a part"):
        wire().seal_packet([PING, bad], checksum=False)


@pytest.mark.case(7)
@pytest.mark.parametrize(
    ("options", "budget"),
    [
        ({}, 1369),
        ({"encryption_version": 0}, 1353),
        ({"label": b"lbl"}, 1364),
        ({"label": b"l" * 255}, 1112),
        ({"key": None}, 1398),
        ({"verify_outgoing": False}, 1369),
    ],
)
def test_the_budget_leaves_room_for_every_layer(options: dict[str, Any], budget: int) -> None:
    assert wire(**options).budget == budget


@pytest.mark.case(7)
def test_labels_have_at_most_255_bytes() -> None:
    assert wire(label=b"l" * 255).label
    with pytest.raises(ValueError, match="255"):
        wire(label=b"l" * 256)


def test_other_encryption_versions_are_refused() -> None:
    with pytest.raises(ValueError, match="0 or 1"):
        wire(encryption_version=2)


@pytest.mark.case(7)
def test_no_label_leaves_the_packet_untouched() -> None:
    assert wire(key=None).seal_packet([PING], checksum=False) == PING
    assert wire(key=None).open_packet(PING).messages == (Ping(1, "n1"),)


@pytest.mark.case(7)
@pytest.mark.case(16)
@pytest.mark.parametrize(
    ("label", "packet"),
    [
        pytest.param(b"a", b"\xf4\x01b" + seal(PING, b"b"), id="another label"),
        pytest.param(b"a", b"\xf4\x02ab" + seal(PING, b"ab"), id="a longer label"),
        pytest.param(b"a", seal(PING, b"a"), id="no label though we have one"),
        pytest.param(b"", b"\xf4\x01a" + seal(PING, b"a"), id="a label though we have none"),
        pytest.param(b"", b"\xf4\x00" + seal(PING), id="an empty label"),
        pytest.param(b"", b"\xf4", id="a label cut off before its length"),
        pytest.param(b"abc", b"\xf4\x03ab", id="a label cut off"),
    ],
)
def test_packets_with_another_label_are_dropped(label: bytes, packet: bytes) -> None:
    assert reasons(wire(label=label).open_packet(packet)) == [DropReason.LABEL]


@pytest.mark.case(16)
def test_without_label_check_our_label_is_assumed_and_any_present_one_is_wrong() -> None:
    receiver = wire(label=b"a", skip_label_check=True)

    assert receiver.open_packet(seal(PING, b"a")).messages == (Ping(1, "n1"),)
    with_label = b"\xf4\x01a" + seal(PING, b"a")
    assert reasons(receiver.open_packet(with_label)) == [DropReason.LABEL]


@pytest.mark.case(16)
def test_the_label_is_authenticated() -> None:
    forged = b"\xf4\x01a" + seal(PING, b"b")

    assert reasons(wire(label=b"a").open_packet(forged)) == [DropReason.UNDECRYPTABLE]


@pytest.mark.case(15)
@pytest.mark.parametrize("packet", [PING, NACK, seal(PING, key=OTHER_KEY), with_checksum(NACK)])
def test_packets_that_our_keys_do_not_open_are_dropped(packet: bytes) -> None:
    opened = wire().open_packet(packet)

    assert opened.messages == ()
    assert reasons(opened) == [DropReason.UNDECRYPTABLE]


@pytest.mark.case(15)
def test_plaintext_is_processed_while_incoming_packets_are_not_verified() -> None:
    receiver = wire(verify_incoming=False)

    assert receiver.open_packet(PING).messages == (Ping(1, "n1"),)
    assert receiver.open_packet(seal(PING)).messages == (Ping(1, "n1"),)


@pytest.mark.case(15)
def test_a_key_is_brought_in_without_losing_a_packet() -> None:
    plaintext = wire(key=None)
    accepting = wire(verify_incoming=False, verify_outgoing=False)
    sending = wire(verify_incoming=False)
    enforcing = wire()

    # Any two stages that meet while the cluster goes from one to the next.
    for a, b in [(plaintext, accepting), (accepting, sending), (sending, enforcing)]:
        for sender, receiver in [(a, b), (b, a), (a, a), (b, b)]:
            packet = sender.seal_packet([PING], checksum=True)
            assert receiver.open_packet(packet) == Opened((Ping(1, "n1"),))


@pytest.mark.case(8)
def test_packets_under_a_secondary_key_open() -> None:
    receiver = Wire(Keyring(OTHER_KEY, KEY), bytes)

    assert receiver.open_packet(seal(PING)).messages == (Ping(1, "n1"),)


@pytest.mark.case(11)
def test_several_messages_come_in_order() -> None:
    packet = seal(join_parts([encode(Ping(n, "n1")) for n in (1, 2, 3)]))

    assert wire().open_packet(packet).messages == tuple(Ping(n, "n1") for n in (1, 2, 3))


@pytest.mark.case(14)
@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b"", id="empty part"),
        pytest.param(b"\x0e\x80", id="unknown type"),
        pytest.param(with_checksum(NACK), id="checksum inside"),
        pytest.param(b"\x0d\x80", id="error"),
        pytest.param(b"\x06\x80", id="push/pull"),
        pytest.param(b"\x0a\x80", id="sealed"),
        pytest.param(b"\x0b\xc1", id="undecodable"),
        pytest.param(b"\x07", id="broken compound"),
        pytest.param(b"\x09\x80", id="compressed nothing"),
        pytest.param(compressed(b""), id="compressed emptiness"),
        pytest.param(bytes.fromhex("0982a4416c676f01a3427566a400c30404"), id="unknown algorithm"),
        pytest.param(bytes.fromhex("0982a4416c676f00a3427566a200c3"), id="truncated LZW"),
    ],
)
def test_a_bad_part_does_not_harm_the_others(bad: bytes) -> None:
    parts = [PING, bad, NACK]
    sizes = b"".join(len(part).to_bytes(2, "big") for part in parts)

    opened = wire().open_packet(seal(b"\x07\x03" + sizes + b"".join(parts)))

    assert opened.messages == (Ping(1, "n1"), Nack(7))
    assert reasons(opened) == [DropReason.MALFORMED]


@pytest.mark.case(14)
@pytest.mark.parametrize("empty", [b"", seal(b""), seal(b"", version=0), seal(with_checksum(b""))])
def test_an_empty_packet_is_dropped(empty: bytes) -> None:
    opened = wire().open_packet(empty)

    assert opened.messages == ()
    assert reasons(opened) == [DropReason.MALFORMED]


@pytest.mark.case(5)
def test_a_compound_cut_off_delivers_what_is_whole_and_counts_the_rest() -> None:
    compound = join_parts([PING, NACK, NACK, NACK])

    opened = wire().open_packet(seal(compound[: -len(NACK) - 1]))

    assert opened.messages == (Ping(1, "n1"), Nack(7))
    assert opened.problems == ((DropReason.MALFORMED, "2 parts of a compound cut off"),)


def test_a_user_message_may_be_empty() -> None:
    assert wire().open_packet(seal(b"\x08")).messages == (UserMessage(b""),)


def test_compounds_and_compression_may_nest_four_deep() -> None:
    inner = join_parts([PING, NACK])
    four = join_parts([compressed(join_parts([join_parts([inner, NACK]), NACK])), NACK])
    five = join_parts([join_parts([four, NACK]), NACK])

    expected = (Ping(1, "n1"), Nack(7), Nack(7), Nack(7), Nack(7))
    assert wire().open_packet(seal(join_parts([inner, NACK]))).messages[:2] == expected[:2]
    assert reasons(wire().open_packet(seal(four))) == [DropReason.LIMIT]
    assert reasons(wire().open_packet(seal(five))) == [DropReason.LIMIT]
    shallow = join_parts([compressed(join_parts([inner, NACK])), NACK])
    assert wire().open_packet(seal(shallow)) == Opened(expected[:4])


def test_compression_within_compression_is_refused() -> None:
    opened = wire().open_packet(seal(compressed(join_parts([NACK, compressed(PING)]))))

    assert opened.messages == (Nack(7),)
    assert reasons(opened) == [DropReason.LIMIT]


def test_parts_may_be_compressed_one_by_one() -> None:
    opened = wire().open_packet(seal(join_parts([compressed(PING), compressed(NACK)])))

    assert opened == Opened((Ping(1, "n1"), Nack(7)))


@pytest.mark.case(4)
def test_a_packet_does_not_inflate_beyond_its_limit() -> None:
    fits = compressed(b"\x08" + bytes(MAX_INFLATED - 1))
    bursts = compressed(b"\x08" + bytes(MAX_INFLATED))

    assert len(wire().open_packet(seal(fits)).messages) == 1
    assert reasons(wire().open_packet(seal(bursts))) == [DropReason.LIMIT]


@pytest.mark.case(4)
def test_the_parts_of_a_packet_share_the_limit_of_inflation() -> None:
    half = compressed(b"\x08" + bytes(MAX_INFLATED // 2))

    opened = wire().open_packet(seal(join_parts([half, half, NACK])))

    assert len(opened.messages) == 2
    assert reasons(opened) == [DropReason.LIMIT]


def test_the_compounds_of_a_packet_share_the_limit_of_parts() -> None:
    hundred = join_parts([NACK] * 100)

    opened = wire().open_packet(seal(join_parts([hundred] * 6)))

    assert len(opened.messages) == MAX_MESSAGES - 6
    assert reasons(opened) == [DropReason.LIMIT]


def test_the_live_capture_of_an_ack_with_news_opens() -> None:
    packet = bytes.fromhex(
        "014e39efce5822f310065b13ca963d93c01073f64e48d5d5f6666a1592eb40adaa2f8993da08435c8fbd371adf"
        "35f689c5cc7123c3bfceee69bd06c827f164a5715a3964ff5beb4c5fad3c421f942001b8910136fcfac4b2e3f2"
        "9b54d5e6da6001c86e0d492b3a3b4079d8dba88bb333d12b87bc70fa063c7880c8176c3178e3d2ea78022bcc70"
        "0f3d7e897076413e815155f84168db910c5307a45d026444e3859bebbd30dc991154c9119cee1b009d0b479cd7"
        "4e6f4301ac"
    )

    opened = wire().open_packet(packet)

    local, versions = bytes([127, 0, 0, 1]), bytes([1, 5, 2, 0, 0, 0])
    assert opened == Opened(
        (
            Ack(5),
            Alive(2, "pynode", local, 17950, b"pymeta", versions),
            Alive(1, "gonode", local, 17996, b"gometa", versions),
        )
    )


def test_the_live_capture_of_gossip_opens() -> None:
    packet = bytes.fromhex(
        "013b0ef21f789b081f243008b490a36c381dd92282ee11ec9acdc63fd22eb81e3e82d7eb8d4af0d80435f31b65"
        "6087cfb6281b49a7100604a829c92925577a7c1f475c41e06e5e884dbe91d82dc4ca0566e1d75dd84341d9756a"
        "49b8ebf15d871a818b339a6986e493582a13a5421b8b9c1163b15ce64eb1fb446a703389072498f0378144caa8"
        "3861e75a90dbd6a218072b0404cff102fd6340c940502c8d59671d864a7372982948"
    )

    opened = wire().open_packet(packet)

    assert subjects(opened.messages) == ["pynode", "gonode"]
    assert opened.problems == ()
