"""Where packets go to and come from, as text, and the bytes the wire carries for it."""

import ipaddress
from typing import NamedTuple

_MAPPED = bytes(10) + b"\xff\xff"


class Address(NamedTuple):
    """An IP address in its usual text form (never IPv4-mapped) and a port."""

    ip: str
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


def pack_ip(ip: str, *, mapped: bool = False) -> bytes:
    """Return the network-order bytes of `ip`: 4 or 16, or 16 for IPv4 too when `mapped`.

    A Go node bound to 0.0.0.0 writes the mapped form, one bound to an explicit address the short
    one (spec/memberlist.md, 4.2). Raises ValueError when `ip` is not an address.
    """
    packed = ipaddress.ip_address(ip).packed
    return _MAPPED + packed if mapped and len(packed) == 4 else packed


def unpack_ip(addr: bytes) -> str:
    """Return the text of 4 or 16 bytes, un-mapping IPv4; raises ValueError for any other length."""
    return str(ipaddress.ip_address(short_form(addr)))


def short_form(addr: bytes) -> bytes:
    """Return `addr` with the IPv4-mapped prefix taken off, for comparing what it means."""
    return addr[12:] if len(addr) == 16 and addr.startswith(_MAPPED) else addr
