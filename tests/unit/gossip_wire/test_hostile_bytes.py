"""Whatever arrives, encrypted with our key or not, costs little and breaks nothing."""

import random
import tracemalloc

import pytest
from hypothesis import given, settings, strategies

from tests.testbed.lzw import compressed
from tests.unit.gossip_wire.wires import seal, seal_stream, wire
from wesher.base.errors import ProtocolError
from wesher.gossip.codec import decode, decode_stream, encode
from wesher.gossip.messages import Alive, IndirectPing, Ping, PushPull, Record, Suspect
from wesher.gossip.wire import join_parts, unfold

ADDR, VERSIONS = bytes([10, 0, 0, 1]), bytes([1, 5, 2, 0, 0, 0])
PARTS = [
    encode(Ping(300, "n1", ADDR, 7946, "n2")),
    encode(IndirectPing(1, ADDR, 7946, "n1", True)),
    encode(Alive(70000, "n1", ADDR, 7946, b"m" * 40, VERSIONS)),
    encode(Suspect(1, "n1", "n2")),
]
RECORD = Record("n1", ADDR, 7946, b"m" * 40, 1, 0, VERSIONS)
PACKETS = [
    *PARTS,
    join_parts(PARTS),
    compressed(join_parts(PARTS)),
]
STREAMS = [
    encode(PushPull(True, (RECORD,) * 3, b"state")),
    compressed(encode(PushPull(True, (RECORD,) * 3, b"state"))),
]
INTERESTING = bytes.fromhex("00017f8082909fa0bfc0c1c4c6c7cacfd0d3d9dbdcdddedfff0607090a0bf4")


def mutate(rng: random.Random, data: bytes) -> bytes:
    """Return `data` with a few bytes changed, dropped, doubled or added."""
    mutant = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        position = rng.randrange(len(mutant) + 1)
        byte = rng.choice(INTERESTING)
        match rng.randrange(4):
            case 0:
                mutant[position : position + 1] = bytes([byte])
            case 1:
                mutant.insert(position, byte)
            case 2:
                del mutant[position : position + rng.randint(1, 8)]
            case _:
                mutant[position:position] = mutant[: rng.randint(0, 20)]
    return bytes(mutant)


@pytest.mark.parametrize("seed", range(10))
def test_damaged_packets_never_raise(seed: int) -> None:
    rng = random.Random(seed)
    receiver = wire()

    for _ in range(300):
        mutant = mutate(rng, rng.choice(PACKETS))
        for opened in (
            receiver.open_packet(seal(mutant)),
            receiver.open_packet(mutate(rng, seal(mutant))),
            unfold(mutant),
        ):
            assert all(encode(message) for message in opened.messages)


@pytest.mark.parametrize("seed", range(10))
def test_damaged_streams_raise_nothing_but_protocol_errors(seed: int) -> None:
    rng = random.Random(seed)

    for _ in range(300):
        mutant = mutate(rng, rng.choice(STREAMS))
        for data in (seal_stream(mutant), mutate(rng, seal_stream(mutant)), mutant):
            try:
                message = wire().open_frame(data)
            except ProtocolError:
                continue
            assert encode(message)


@given(strategies.binary(max_size=200))
@settings(max_examples=300)
def test_random_bytes_never_raise(data: bytes) -> None:
    assert wire().open_packet(data).messages is not None
    assert wire().open_packet(seal(data)).messages is not None
    assert unfold(data).messages is not None


@given(strategies.integers(0, 255), strategies.binary(max_size=60))
@settings(max_examples=300)
def test_random_structs_raise_nothing_but_protocol_errors(kind: int, body: bytes) -> None:
    for read in (decode, decode_stream):
        try:
            message = read(bytes([kind]) + body)
        except ProtocolError:
            continue
        assert message is not None


MEBI = 1 << 20
BOMBS = {
    "arrays in an array": b"\x81\xa7Payload\xdd" + MEBI.to_bytes(4, "big") + b"\x90" * MEBI,
    "arrays in arrays": b"\x81\xa7Payload" + (b"\xdc\x02\x00" + b"\x90" * 512) * 2000,
    "deep arrays": b"\x81\xa7Payload" + b"\xdc\x02\x00" * (MEBI // 3),
    "maps": b"\x81\xa7Payload\xdf" + MEBI.to_bytes(4, "big") + b"\xa0\x80" * (MEBI // 2),
    "maps in maps": b"\x81\xa7Payload" + b"\x81\xa0" * (MEBI // 2),
    "skipped arrays": b"\x81\xa3New\xdd" + MEBI.to_bytes(4, "big") + b"\x90" * MEBI,
    "many keys": b"\xdf" + MEBI.to_bytes(4, "big") + b"\xa0\xc0" * MEBI,
    "array as key": b"\x81\xdd" + MEBI.to_bytes(4, "big") + b"\x90" * MEBI,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_nested_values_take_little_more_memory_than_their_bytes(bomb: bytes) -> None:
    data = b"\x02" + bomb

    tracemalloc.start()
    try:
        decode(data)
    except ProtocolError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    # Built as Python objects, a mebibyte of them would take some sixty.
    assert peak < 8 * MEBI


def test_a_push_pull_that_promises_records_takes_no_memory_for_them() -> None:
    data = b"\x06\x82\xa5Nodes\xce\x00\x01\x00\x00\xacUserStateLen\xce\x01\x00\x00\x00"

    tracemalloc.start()
    with pytest.raises(ProtocolError):
        decode_stream(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < MEBI
