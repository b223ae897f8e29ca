"""Sources that the kernel keeps from a listening socket: what they send to it costs us nothing.

Whoever opens a stream has cost us a tenth of a millisecond before we know what it is about. Who
does that again and again to no purpose is turned away before: a filter on the listening socket (BPF
in its classic form, as tcpdump compiles) has the kernel drop the first packet already. It needs no
privilege, sees what comes to this socket only, and leaves streams alone that are open.

The program looks at the sender in the IP header, which lies before the TCP header that it starts
from: for IPv4 at the whole address, for IPv6 at its first half, as whoever has one of a /64 has
them all.
"""

import socket
import struct
from array import array
from collections import OrderedDict
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

SECONDS = 30.0  # for which a source is shut out
MAX_SOURCES = 32  # at a time; a program has room for more, and each costs every packet an instant
_ATTACH, _DETACH = 26, 27  # SO_ATTACH_FILTER and SO_DETACH_FILTER; the socket module names neither
_INSTRUCTION = struct.Struct("=HBBI")
_PROGRAM = struct.Struct("HP")  # sock_fprog: length, pointer
_HEADER = 2**32 - 0x100000  # SKF_NET_OFF: from here on are the bytes of the IP header
_LOAD, _LOAD_BYTE, _AND, _IF_EQUAL, _RETURN = 0x20, 0x30, 0x54, 0x15, 0x06  # linux/bpf_common.h
_ALL, _NOTHING = 2**32 - 1, 0  # bytes of a packet that are let through
_SENDER_4, _SENDER_6 = 12, 8  # offsets in the header

Instruction = tuple[int, int, int, int]


class ShutOut:
    """The sources that are kept from one listening socket after another, each for a while."""

    def __init__(self) -> None:
        self._until: OrderedDict[IPv4Address | IPv6Address, float] = OrderedDict()

    def add(self, ip: str, listening: socket.socket, now: float) -> bool:
        """Keep this source out from now on; False where the kernel will not."""
        address = ip_address(ip.partition("%")[0])
        self._until.pop(address, None)
        self._until[address] = now + SECONDS
        if len(self._until) > MAX_SOURCES:
            self._until.popitem(last=False)
        return self._apply(listening)

    def expire(self, listening: socket.socket, now: float) -> float | None:
        """Let those back in whose time is over; return when to come again."""
        while self._until and (first := next(iter(self._until.items())))[1] <= now:
            del self._until[first[0]]
            self._apply(listening)
        return next(iter(self._until.values()), None)

    def _apply(self, listening: socket.socket) -> bool:
        try:
            if not self._until:
                listening.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
                return True
            code = b"".join(_INSTRUCTION.pack(*one) for one in program(self._until))
            place = array("B", code)  # the kernel copies it from there
            length, (pointer, _) = len(code) // _INSTRUCTION.size, place.buffer_info()
            listening.setsockopt(socket.SOL_SOCKET, _ATTACH, _PROGRAM.pack(length, pointer))
        except OSError:  # a kernel without it, or a socket that has been closed or replaced
            return False
        return True


def program(sources: Iterable[IPv4Address | IPv6Address]) -> list[Instruction]:
    """Return what drops all packets of these sources, and no others."""
    found = list(sources)
    by_4 = [one for each in found if each.version == 4 for one in _drop_4(int(each))]
    by_6 = [one for each in found if each.version == 6 for one in _drop_6(int(each) >> 64)]
    load_4 = [(_LOAD, 0, 0, _HEADER + _SENDER_4), *by_4, (_RETURN, 0, 0, _ALL)]
    return [
        (_LOAD_BYTE, 0, 0, _HEADER),
        (_AND, 0, 0, 0xF0),
        (_IF_EQUAL, 0, len(load_4), 0x40),
        *load_4,
        *by_6,
        (_RETURN, 0, 0, _ALL),
    ]


def _drop_4(number: int) -> list[Instruction]:
    return [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _NOTHING)]


def _drop_6(prefix: int) -> list[Instruction]:
    return [
        (_LOAD, 0, 0, _HEADER + _SENDER_6),
        (_IF_EQUAL, 0, 3, prefix >> 32),
        (_LOAD, 0, 0, _HEADER + _SENDER_6 + 4),
        (_IF_EQUAL, 0, 1, prefix & 2**32 - 1),
        (_RETURN, 0, 0, _NOTHING),
    ]
