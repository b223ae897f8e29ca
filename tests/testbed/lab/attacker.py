"""Packets and streams of somebody who means harm, with and without the cluster key."""

import random
import struct
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from zlib import crc32

import msgpack

from tests.testbed.lzw import compressed, compressed_message, deflate
from wesher.gossip import (
    Ack,
    Alive,
    Dead,
    IndirectPing,
    Keyring,
    Message,
    Nack,
    Ping,
    PushPull,
    Record,
    Suspect,
    UserMessage,
)
from wesher.gossip.codec import MessageType, encode
from wesher.gossip.wire import join_parts
from wesher.mesh.base import gob

_VERSIONS = bytes([1, 5, 2, 0, 0, 0])
_LONGEST = 60_000  # bytes; what a datagram carries


class Attacker:
    """An endless source of bad input; what it does follows from the seed alone.

    It claims things about ghosts only: what a member with the key says about real members is
    taken for true, which is the protocol and no weakness of a parser.
    """

    def __init__(self, seed: int, key: bytes, victim: str) -> None:
        self._rng = random.Random(seed)
        self._keyring = Keyring(key)
        self._stranger = Keyring(self._rng.randbytes(32))
        self._victim = victim
        self._ghosts = [f"ghost{number}" for number in range(4)]
        self._bomb = _bomb(MAX_BOMB)

    def packets(self, count: int) -> Iterator[bytes]:
        """Half of them are damaged before they are encrypted with the right key, half otherwise."""
        for number in range(count):
            if number % 2:
                yield self._rng.choice(self._outside_packets)()
            else:
                yield self._seal(self._keyring, self._rng.choice(self._inside)())

    def streams(self, count: int) -> Iterator[bytes]:
        """The same for streams; one that is not a whole frame leaves its reader waiting."""
        for number in range(count):
            if number % 2:
                yield self._rng.choice(self._outside_streams)()
            else:
                yield self._frame(self._keyring, self._damaged_table())

    # Damage done before sealing, one method a layer.

    @property
    def _inside(self) -> list[Callable[[], bytes]]:
        return [
            self._bad_checksum,
            self._bad_compression,
            self._bad_compound,
            self._bad_message,
            self._bad_gob,
            self._bad_ext,
        ]

    def _bad_checksum(self) -> bytes:
        body = encode(self._message())
        value = crc32(body) ^ 1 << self._rng.randrange(32)
        return self._cut(struct.pack(">BI", MessageType.CHECKSUM, value) + body)

    def _bad_compression(self) -> bytes:
        packed = deflate(self._compound())
        algorithm = self._rng.choice([0, 0, 0, 1, 255])
        return compressed_message(self._damage(packed), algorithm)

    def _bad_compound(self) -> bytes:
        return self._damage(self._compound(), first=1, last=12)

    def _bad_message(self) -> bytes:
        damaged = self._damage(encode(self._message()))
        if self._rng.random() < 0.5:
            return damaged
        return struct.pack(">BI", MessageType.CHECKSUM, crc32(damaged)) + damaged

    def _bad_gob(self) -> bytes:
        return encode(self._ghost(self._damage(_metadata(_ext()))))

    def _bad_ext(self) -> bytes:
        return encode(self._ghost(_metadata(self._damage(_ext()))))

    def _damaged_table(self) -> bytes:
        records = tuple(self._record() for _ in range(self._rng.randrange(1, 20)))
        table = encode(PushPull(self._rng.random() < 0.5, records, self._rng.randbytes(20)))
        table = self._damage(table)
        return compressed(table) if self._rng.random() < 0.5 else table

    # Bad input of other kinds: strangers, and insiders with exaggerations.

    @property
    def _outside_packets(self) -> list[Callable[[], bytes]]:
        return [
            lambda: self._seal(self._stranger, encode(self._message())),
            lambda: encode(self._message()),
            lambda: self._rng.randbytes(self._rng.randrange(1, 1400)),
            lambda: self._damage(self._seal(self._keyring, encode(self._message()))),
            lambda: bytes([self._rng.randrange(256)]) + bytes(self._rng.randrange(64)),
            lambda: bytes([MessageType.LABEL, 255]) + self._rng.randbytes(300),
            lambda: self._seal(self._keyring, self._exaggeration()),
            lambda: self._rng.randbytes(_LONGEST) if self._rng.random() < 0.02 else b"\x00",
        ]

    @property
    def _outside_streams(self) -> list[Callable[[], bytes]]:
        return [
            lambda: self._frame(self._stranger, encode(self._message())),
            lambda: encode(PushPull(join=True, records=(self._record(),))),
            lambda: self._rng.randbytes(self._rng.randrange(1, 1400)),
            lambda: self._damage(self._frame(self._keyring, encode(self._message()))),
            lambda: struct.pack(">BI", MessageType.ENCRYPTED, 0xFFFFFFFF) + bytes(100),
            lambda: struct.pack(">BI", MessageType.ENCRYPTED, 20_000_000) + bytes(100),
            lambda: bytes([MessageType.LABEL, 0]) + bytes(50),
            lambda: bytes([MessageType.ENCRYPTED]),
            lambda: b"",
            lambda: self._frame(self._keyring, self._exaggeration()),
            lambda: self._frame(self._keyring, self._bomb),
        ]

    def _exaggeration(self) -> bytes:
        """A header that claims far more than there is, or layers within layers."""
        claims = [
            bytes([MessageType.PUSH_PULL]) + _pack(Nodes=10_000_000, UserStateLen=0, Join=True),
            bytes([MessageType.PUSH_PULL]) + _pack(Nodes=0, UserStateLen=30_000_000, Join=True),
            bytes([MessageType.USER]) + _pack(UserMsgLen=30_000_000),
            bytes([MessageType.COMPOUND, 255]) + b"\xff" * 510,
            bytes([MessageType.ALIVE]) + b"\xdf\xff\xff\xff\xff",
            bytes([MessageType.ALIVE]) + b"\x81\xa4Meta\xc6\xff\xff\xff\xff",
            bytes([MessageType.ALIVE]) + b"\x81\xa4Meta" + b"\x91" * 1000,
            self._nest(encode(self._message())),
            compressed_message(_bomb(300_000)),
        ]
        return self._rng.choice(claims)

    def _nest(self, data: bytes) -> bytes:
        for _ in range(self._rng.randrange(1, 10)):
            data = join_parts([data, data]) if len(data) < 600 else data
        return data

    # What there is to damage.

    def _message(self) -> Message:
        number = self._rng.randrange(1 << 32)
        ghost = self._rng.choice(self._ghosts)
        messages: list[Message] = [
            Ping(number, self._victim),
            Ping(number, ghost, bytes([192, 168, 77, 200]), 7946, ghost),
            IndirectPing(number, bytes([192, 168, 77, 200]), 7946, ghost, True),
            Ack(number, self._rng.randbytes(10)),
            Nack(number),
            Suspect(number, ghost, self._rng.choice(self._ghosts)),
            Dead(number, ghost, self._rng.choice(self._ghosts)),
            self._ghost(_metadata(_ext())),
            UserMessage(self._rng.randbytes(50)),
        ]
        return self._rng.choice(messages)

    def _ghost(self, meta: bytes) -> Alive:
        name = self._rng.choice(self._ghosts)
        incarnation = self._rng.randrange(1, 1 << 20)
        return Alive(incarnation, name, bytes([192, 168, 77, 200]), 7946, meta, _VERSIONS)

    def _record(self) -> Record:
        ghost = self._ghost(_metadata(_ext()))
        state = self._rng.randrange(5)
        return Record(
            ghost.node, ghost.addr, ghost.port, ghost.meta, ghost.incarnation, state, _VERSIONS
        )

    def _compound(self) -> bytes:
        return join_parts([encode(self._message()) for _ in range(self._rng.randrange(1, 6))])

    # How.

    def _damage(self, data: bytes, first: int = 0, last: int | None = None) -> bytes:
        """Change some bytes of a part of `data`, or cut it off, or repeat or insert some."""
        stop = min(last or len(data), len(data))
        changed = bytearray(data)
        for _ in range(self._rng.randrange(1, 4)):
            changed[self._rng.randrange(first, stop)] = self._rng.randrange(256)
        at = self._rng.randrange(first, stop)
        match self._rng.randrange(6):
            case 0:
                return bytes(changed[:at])
            case 1:
                return bytes(changed[:at] + changed[at:] * 2)
            case 2:
                return bytes(changed[:at]) + self._rng.randbytes(4) + bytes(changed[at:])
        return bytes(changed)

    def _cut(self, data: bytes) -> bytes:
        return data[: self._rng.randrange(1, len(data))] if self._rng.random() < 0.2 else data

    def _seal(self, keyring: Keyring, data: bytes) -> bytes:
        return keyring.seal(data, b"", self._rng.randbytes(12))

    def _frame(self, keyring: Keyring, data: bytes) -> bytes:
        head = struct.pack(">BI", MessageType.ENCRYPTED, len(data) + 29)
        return head + keyring.seal(data, head, self._rng.randbytes(12))


MAX_BOMB = 60_000_000  # bytes when inflated: more than any stream may hold


def _bomb(size: int) -> bytes:
    """Compress zeros so well that 16 kilobytes become 60 megabytes.

    Each code stands for one zero more than the last, until the dictionary is full.
    """
    codes, inflated = [0], 1
    while inflated < size:
        codes.append(min(257 + len(codes), 4095))
        inflated += codes[-1] - 256
    bits = filled = at = 0
    packed = bytearray()
    for number, code in enumerate(codes):
        width = max(9, min(12, (257 + number).bit_length()))
        bits |= code << filled
        filled += width
        while filled >= 8:
            packed.append(bits & 255)
            bits >>= 8
            filled -= 8
            at += 1
    return compressed_message(bytes(packed) + bytes([bits & 255, 0]))


def _metadata(ext: bytes) -> bytes:
    """A ghost's metadata in Go's current format, with `ext` as it is."""
    fields = [("OverlayAddr", 66), ("PubKey", gob.STRING), ("Ext", gob.BYTES)]
    values = [
        gob.encode_bytes(ip_address("10.200.200.200").packed),
        gob.encode_bytes(b"Z2hvc3RnaG9zdGdob3N0Z2hvc3RnaG9zdGdob3N0Z2g="),
        gob.encode_bytes(ext),
    ]
    return (
        gob.define_struct(65, "nodeMeta", fields)
        + gob.define_marshaler(66, "Addr")
        + gob.encode_value(65, gob.encode_struct(values))
    )


def _ext() -> bytes:
    return _pack(v="0.1", p=51820, e=bytes([192, 168, 77, 200]), n="10.0.0.0/8", i=True)


def _pack(**fields: object) -> bytes:
    packed: bytes = msgpack.packb(fields)
    return packed
