"""Who has a port on this host, as /proc tells."""

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from wesher.mesh.base.plan import IPAddress

_PROC = Path("/proc")
_LISTENING = "0A"  # TCP_LISTEN


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
