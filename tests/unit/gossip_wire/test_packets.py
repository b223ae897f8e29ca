"""Packets: all layers, in order, and what happens to packets that break them."""

from zlib import crc32

import pytest

from tests.testbed.lzw import compressed
from tests.unit.gossip.harness import subjects
from tests.unit.gossip_wire.wires import KEY, OTHER_KEY, seal, wire
from wesher.gossip.codec import encode
from wesher.gossip.events import DropReason
from wesher.gossip.keyring import OVERHEAD, Keyring
from wesher.gossip.messages import Ack, Alive, Nack, Ping, UserMessage
from wesher.gossip.wire import (
    BUDGET,
    MAX_INFLATED,
    MAX_MESSAGES,
    MAX_PACKET,
    Opened,
    Wire,
    join_parts,
)

PING, NACK = encode(Ping(1, "n1")), encode(Nack(7))
NEWS = [Alive(n, f"node{n}", bytes([10, 0, 0, n]), 7946, b"m" * 60, None) for n in range(1, 6)]


def with_checksum(data: bytes) -> bytes:
    return b"\x0c" + crc32(data).to_bytes(4, "big") + data


def reasons(opened: Opened) -> list[DropReason]:
    return [reason for reason, _ in opened.problems]


@pytest.mark.case(5)
@pytest.mark.case(6)
@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_what_is_sealed_opens_at_the_other_end(checksum: bool, count: int) -> None:
    parts = [encode(message) for message in NEWS[:count]]

    packet = wire().seal_packet(parts, checksum=checksum)

    assert wire().open_packet(packet) == Opened(tuple(NEWS[:count]))


@pytest.mark.case(5)
@pytest.mark.case(6)
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_what_others_compress_check_and_pad_opens(compress: bool, version: int, count: int) -> None:
    plain = join_parts([encode(message) for message in NEWS[:count]])
    plain = with_checksum(compressed(plain) if compress else plain)

    assert wire().open_packet(seal(plain, version=version)) == Opened(tuple(NEWS[:count]))


def test_what_we_send_is_not_compressed() -> None:
    """See decision 11: it would save the receiver's time and cost more of ours."""
    packet = wire().seal_packet([PING * 20], checksum=False)

    assert Keyring(KEY).open(packet, b"")[0] == PING * 20


def test_every_packet_takes_a_fresh_nonce() -> None:
    sender = wire()

    first, second = (sender.seal_packet([PING], checksum=False) for _ in range(2))

    assert first[1:13] != second[1:13]


@pytest.mark.case(13)
def test_a_checksum_adds_five_bytes() -> None:
    packet = wire().seal_packet([b"\x08abc"], checksum=True)

    assert Keyring(KEY).open(packet, b"")[0] == with_checksum(b"\x08abc")
    assert len(packet) == OVERHEAD + 9


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
def test_the_budget_leaves_room_for_a_compound_and_the_sealing() -> None:
    parts = [PING, bytes([8]) * (BUDGET - len(PING) - 2 - 2)]

    assert len(wire().seal_packet(parts, checksum=False)) == MAX_PACKET
    assert BUDGET == 1369


@pytest.mark.case(7)
@pytest.mark.case(16)
@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(b"\xf4\x01a" + seal(PING, b"a"), id="a label"),
        pytest.param(b"\xf4\x01a" + seal(PING), id="a label that is not authenticated"),
        pytest.param(b"\xf4\x00" + seal(PING), id="an empty label"),
        pytest.param(b"\xf4", id="a label cut off before its length"),
        pytest.param(b"\xf4\x03ab", id="a label cut off"),
    ],
)
def test_packets_with_a_label_are_dropped(packet: bytes) -> None:
    assert reasons(wire().open_packet(packet)) == [DropReason.LABEL]


@pytest.mark.case(16)
def test_a_packet_whose_additional_data_has_a_label_does_not_open() -> None:
    assert reasons(wire().open_packet(seal(PING, b"a"))) == [DropReason.UNDECRYPTABLE]


@pytest.mark.case(15)
@pytest.mark.parametrize("packet", [PING, NACK, seal(PING, key=OTHER_KEY), with_checksum(NACK)])
def test_packets_that_our_keys_do_not_open_are_dropped(packet: bytes) -> None:
    opened = wire().open_packet(packet)

    assert opened.messages == ()
    assert reasons(opened) == [DropReason.UNDECRYPTABLE]


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
