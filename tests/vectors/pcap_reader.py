"""Reads a capture of Ethernet, IPv4, UDP and TCP: enough for the captures beside it."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_UDP, _TCP = 17, 6
_SYN = 0x02


class Datagram(NamedTuple):
    source: str
    destination: str
    data: bytes


def datagrams(path: Path) -> list[Datagram]:
    """Return every UDP datagram, in order."""
    return [
        Datagram(*_ends(addresses, segment), segment[8:])
        for protocol, addresses, segment in _ip_packets(path)
        if protocol == _UDP
    ]


def streams(path: Path) -> dict[tuple[str, str], bytes]:
    """Return the bytes each end of each TCP connection sent, by source and destination."""
    starts: dict[tuple[str, str], int] = {}
    pieces: dict[tuple[str, str], dict[int, bytes]] = {}
    for protocol, addresses, segment in _ip_packets(path):
        if protocol != _TCP:
            continue
        ends = _ends(addresses, segment)
        sequence, _, offset, flags = struct.unpack_from(">IIBB", segment, 4)
        if flags & _SYN:
            starts[ends] = sequence + 1
        if data := segment[(offset >> 4) * 4 :]:
            pieces.setdefault(ends, {})[(sequence - starts[ends]) % 2**32] = data
    return {ends: _reassemble(parts) for ends, parts in pieces.items()}


def _reassemble(parts: dict[int, bytes]) -> bytes:
    stream = bytearray()
    for offset, data in sorted(parts.items()):
        assert offset == len(stream), "a gap or a retransmission, which this reader cannot do"
        stream += data
    return bytes(stream)


def _ip_packets(path: Path) -> Iterator[tuple[int, tuple[str, str], bytes]]:
    for frame in _frames(path.read_bytes()):
        if frame[12:14] != b"\x08\x00":
            continue
        packet = frame[14:]
        header = (packet[0] & 15) * 4
        size = int.from_bytes(packet[2:4], "big")
        addresses = (".".join(map(str, packet[12:16])), ".".join(map(str, packet[16:20])))
        yield packet[9], addresses, packet[header:size]


def _frames(capture: bytes) -> Iterator[bytes]:
    magic, link = struct.unpack_from("<I16xI", capture)
    assert (magic, link) == (0xA1B2C3D4, 1), "a little-endian capture of Ethernet"
    position = 24
    while position < len(capture):
        size = struct.unpack_from("<8xI", capture, position)[0]
        yield capture[position + 16 : position + 16 + size]
        position += 16 + size


def _ends(addresses: tuple[str, str], segment: bytes) -> tuple[str, str]:
    source, destination = struct.unpack_from(">HH", segment)
    return f"{addresses[0]}:{source}", f"{addresses[1]}:{destination}"
