"""ICMP echoes of chosen sizes that nobody on their way may split: who answers which?

And where echoes are dropped, or not for us to send, a TCP connection.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress

from wesher.base.frozen import frozen
from wesher.mesh.base.plan import IPAddress

_HEAD = struct.Struct(">BBHHH")  # type, code, checksum, identifier, sequence number
_IPV4_HEADER, _IPV6_HEADER = 20, 40  # bytes
_MTU_DISCOVER = {4: (socket.IPPROTO_IP, 10), 6: (socket.IPPROTO_IPV6, 23)}
_PROBE = 3  # IP_PMTUDISC_PROBE, ip(7): do not split, whatever the path was learnt to carry
_LARGEST = 65536  # bytes


@frozen
class Echo:
    """One echo request of `size` bytes, with its IP header."""

    to: IPAddress
    size: int = 84  # bytes, as ping sends


@frozen
class _Kind:
    """What differs between IPv4 and IPv6."""

    family: socket.AddressFamily
    protocol: int
    request: int
    reply: int
    header: int


_KINDS = {
    4: _Kind(socket.AF_INET, socket.IPPROTO_ICMP, 8, 0, _IPV4_HEADER),
    6: _Kind(socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, 129, _IPV6_HEADER),
}


async def answered(echoes: Iterable[Echo], send_at: Sequence[float], patience: float) -> set[Echo]:
    """Send each of the echoes at these seconds until it is answered; return those that were.

    Returns as soon as all are. Raises OSError when this process may not send ICMP.
    """
    return set(await round_trips(echoes, send_at, patience))


async def round_trips(
    echoes: Iterable[Echo], send_at: Sequence[float], patience: float
) -> dict[Echo, float]:
    """Return the seconds that each answer took, as `answered` does; none of what was silent."""
    with ExitStack() as stack:
        round_ = _Round(list(dict.fromkeys(echoes)), stack)
        loop = asyncio.get_running_loop()
        for kind, one in round_.sockets.items():
            loop.add_reader(one, round_.receive, kind)
            stack.callback(loop.remove_reader, one)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await round_.run(send_at)
        return round_.answered


async def connect_time(ip: IPAddress, port: int, patience: float) -> float | None:
    """Return the seconds until a TCP connection is accepted or refused, None when it is lost."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with suppress(OSError):
        async with asyncio.timeout(patience):
            try:
                _, writer = await asyncio.open_connection(str(ip), port)
                writer.close()
            except ConnectionRefusedError:
                pass
            return loop.time() - began
    return None


class _Round:
    """Echoes on their way, each known by its sequence number."""

    def __init__(self, echoes: list[Echo], stack: ExitStack) -> None:
        self._echoes = echoes
        self._identifier = int.from_bytes(os.urandom(2), "big")
        self._done = asyncio.Event()
        self._sent_at = 0.0
        self.answered: dict[Echo, float] = {}
        versions = sorted({echo.to.version for echo in echoes})
        self.sockets: Mapping[int, socket.socket] = {
            version: stack.enter_context(_open(version)) for version in versions
        }

    async def run(self, send_at: Sequence[float]) -> None:
        """Send again and again what has not been answered, until all is."""
        began = asyncio.get_running_loop().time()
        for at in send_at:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(began + at):
                    await self._done.wait()
            self._send()
            if self._done.is_set():
                return
        await self._done.wait()

    def _send(self) -> None:
        self._sent_at = asyncio.get_running_loop().time()
        for number, echo in enumerate(self._echoes):
            if echo not in self.answered:
                # Larger than the first link carries, or nobody to send it to: no answer, either.
                with suppress(OSError):
                    self.sockets[echo.to.version].sendto(self._packet(number, echo), _address(echo))
        self._settle()

    def _packet(self, number: int, echo: Echo) -> bytes:
        kind = _KINDS[echo.to.version]
        payload = bytes(max(0, echo.size - kind.header - _HEAD.size))
        fields = (kind.request, 0, 0, self._identifier, number)
        checksum = _checksum(_HEAD.pack(*fields) + payload)
        return _HEAD.pack(kind.request, 0, checksum, self._identifier, number) + payload

    def receive(self, version: int) -> None:
        """Take in whatever has arrived; others' replies are on this socket, too."""
        while True:
            try:
                data = self.sockets[version].recv(_LARGEST)
            except OSError:
                return
            self._take(version, data)

    def _take(self, version: int, data: bytes) -> None:
        raw = self.sockets[version].type is socket.SOCK_RAW
        if version == 4 and raw and data:
            data = data[(data[0] & 0xF) * 4 :]  # IPv4 comes with its header
        if len(data) < _HEAD.size:
            return
        kind, _, _, identifier, number = _HEAD.unpack_from(data)
        # A ping socket has an identifier of its own, and gets nobody else's replies.
        ours = kind == _KINDS[version].reply and (not raw or identifier == self._identifier)
        if ours and number < len(self._echoes):
            took = asyncio.get_running_loop().time() - self._sent_at
            self.answered.setdefault(self._echoes[number], took)
            self._settle()

    def _settle(self) -> None:
        if len(self.answered) == len(self._echoes):
            self._done.set()


def _open(version: int) -> socket.socket:
    """Open a raw socket, or without the right to one a ping socket, icmp(7), as far as allowed."""
    kind = _KINDS[version]
    try:
        one = socket.socket(kind.family, socket.SOCK_RAW, kind.protocol)
    except PermissionError:
        one = socket.socket(kind.family, socket.SOCK_DGRAM, kind.protocol)
    one.setblocking(False)
    one.setsockopt(*_MTU_DISCOVER[version], _PROBE)
    return one


def _address(echo: Echo) -> tuple[str, int]:
    return str(echo.to), 0


def _checksum(data: bytes) -> int:
    """Return the internet checksum (RFC 1071); the kernel makes its own for IPv6."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
