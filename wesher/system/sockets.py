"""Sockets of the gossip: bind them, say who has a port, read frames as far as memory goes."""

import asyncio
import errno
import os
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from wesher.base.addresses import Address
from wesher.base.errors import ProtocolError, StartError
from wesher.base.frozen import frozen
from wesher.mesh.base.plan import IPAddress

BACKLOG = 512  # connections: everybody may join at once
RECEIVE_BUFFER = 2 << 20  # bytes, memberlist's request
SO_RCVBUFFORCE = 33  # Linux; the socket module does not name it
MAX_BUFFERED = 32 << 20  # bytes of unfinished frames, all streams together
CHUNK = 64 << 10  # bytes

_PROC = Path("/proc")
_LISTENING = "0A"  # TCP_LISTEN


@frozen
class Sockets:
    """A UDP and a TCP socket on the same port, bound but silent."""

    udp: socket.socket
    tcp: socket.socket

    def close(self) -> None:
        """Give the port back; calling it again does nothing."""
        self.udp.close()
        self.tcp.close()


def bind(ip: IPAddress, port: int) -> Sockets:
    """Take `port` for UDP and TCP; raises StartError when that is impossible."""
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    udp = socket.socket(family, socket.SOCK_DGRAM)
    tcp = socket.socket(family, socket.SOCK_STREAM)
    sockets = Sockets(udp, tcp)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        for one in (udp, tcp):
            one.setblocking(False)
            one.bind((str(ip), port))
        tcp.listen(BACKLOG)
    except OSError as error:
        sockets.close()
        raise StartError(_bind_problem(error, ip, port)) from error
    _widen(udp)
    return sockets


def check_port_free(port: int) -> None:
    """Raise StartError when another program has this UDP port, which WireGuard is to have."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Two of us that look at the same moment do not disturb each other.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                by = _by(port_process("udp", port, IPv4Address(0)))
                raise StartError(
                    f"UDP port {port} is taken{by}: stop what uses it, "
                    "or choose another --wireguard-port"
                ) from error


def _widen(sock: socket.socket) -> None:
    """Ask for memberlist's receive buffer; the kernel may grant less."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


def _bind_problem(error: OSError, ip: IPAddress, port: int) -> str:
    where = Address(str(ip), port)
    if error.errno == errno.EADDRINUSE:
        by = _by(port_process("udp", port, ip) or port_process("tcp", port, ip))
        return f"{where} is taken{by}: stop what listens there, or choose another --cluster-port"
    if error.errno == errno.EACCES:
        return f"not allowed to listen on {where}: choose a --cluster-port above 1023"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{ip} is no address of this host: choose another --bind-addr"
    return f"cannot listen on {where}: {error.strerror or error}"


def _by(process: str | None) -> str:
    return f" by {process}" if process else ""


def port_owner(protocol: str, port: int, address: IPAddress) -> str | None:
    """Return who has the `tcp` or `udp` port at an address that overlaps ours; None for nobody.

    Of somebody else's processes only root with all its capabilities sees the sockets.
    """
    inodes = _inodes(protocol, port, address)
    if not inodes:
        return None
    return _holder(inodes) or "the kernel, perhaps another WireGuard interface"


def port_process(protocol: str, port: int, address: IPAddress) -> str | None:
    """Return name and pid of a process that has such a port; None when none is to be seen."""
    inodes = _inodes(protocol, port, address)
    return _holder(inodes) if inodes else None


def _inodes(protocol: str, port: int, address: IPAddress) -> set[str]:
    return {
        inode
        for family in ("", "6")
        for ip, number, inode in _sockets(f"{protocol}{family}")
        if number == port and _overlap(ip, address)
    }


def _sockets(table: str) -> Iterator[tuple[IPAddress, int, str]]:
    """Yield address, port and inode of what is bound; of TCP only what listens."""
    try:
        lines = (_PROC / "net" / table).read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        words = line.split()
        if table.startswith("tcp") and words[3] != _LISTENING:
            continue
        ip, _, port = words[1].partition(":")
        yield _address(ip), int(port, 16), words[9]


def _address(word: str) -> IPAddress:
    """Read an address as the kernel writes it: 32-bit words in the order of this machine."""
    numbers = [int(word[at : at + 8], 16) for at in range(0, len(word), 8)]
    raw = struct.pack(f"={len(numbers)}I", *numbers)
    return IPv4Address(raw) if len(raw) == 4 else IPv6Address(raw)


def _overlap(one: IPAddress, other: IPAddress) -> bool:
    mapped = one.ipv4_mapped if isinstance(one, IPv6Address) else None
    return one.is_unspecified or other.is_unspecified or other in (one, mapped)


def _holder(inodes: set[str]) -> str | None:
    """Return name and pid of a process with one of these sockets; None when none is to be seen."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in _PROC.glob("[0-9]*"):
        with suppress(OSError):
            if any(_link(file) in wanted for file in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return None


def _link(file: Path) -> str:
    try:
        return os.readlink(file)
    except OSError:
        return ""


class Frames:
    """The frames that are being read.

    When they hold too much together, the source that holds most loses its oldest: so whoever
    floods us harms nobody else.
    """

    def __init__(self) -> None:
        self._unfinished: dict[asyncio.StreamReader, tuple[str, bytearray]] = {}
        self._buffered = 0

    async def read(
        self,
        reader: asyncio.StreamReader,
        source: str,
        missing: Callable[[bytearray], int],
        begin_time: float,
    ) -> bytes:
        """Read until nothing of a frame is `missing`, its first bytes within `begin_time` seconds.

        Raises TimeoutError if these do not come, IncompleteReadError when the stream ends before
        the frame does, ProtocolError when it had to go.
        """
        frame = bytearray()
        self._unfinished[reader] = source, frame
        try:
            while (wanted := missing(frame)) > 0:
                async with asyncio.timeout(None if frame else begin_time):
                    chunk = await reader.read(min(wanted, CHUNK))
                if not chunk:
                    raise asyncio.IncompleteReadError(bytes(frame[:16]), len(frame) + wanted)
                frame += chunk
                self._count(len(chunk))
            return bytes(frame)
        finally:
            self._forget(reader)

    def _count(self, size: int) -> None:
        self._buffered += size
        while self._buffered > MAX_BUFFERED:
            self._give_one_up()

    def _give_one_up(self) -> None:
        held: Counter[str] = Counter()
        for source, frame in self._unfinished.values():
            held[source] += len(frame)
        [(greediest, _)] = held.most_common(1)
        oldest = next(
            reader
            for reader, (source, frame) in self._unfinished.items()
            if source == greediest and frame
        )
        oldest.set_exception(ProtocolError("too many bytes in unfinished streams"))
        self._forget(oldest)

    def _forget(self, reader: asyncio.StreamReader) -> None:
        _, frame = self._unfinished.pop(reader, ("", b""))
        self._buffered -= len(frame)
