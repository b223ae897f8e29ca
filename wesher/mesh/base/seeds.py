"""Where to look for other members: seeds, as the operator gives them, and whom that makes."""

import re
from ipaddress import ip_address

from wesher.base.addresses import Address, with_port
from wesher.base.frozen import frozen
from wesher.mesh.base.hostnames import is_host_name


@frozen
class Seed:
    """A host given by the operator: a name, looked up anew for every attempt, or an address."""

    host: str
    port: int

    @property
    def address(self) -> Address | None:
        """Where it is, None if that is for a resolver to tell."""
        try:
            return Address(str(ip_address(self.host)), self.port)
        except ValueError:
            return None

    def __str__(self) -> str:
        return with_port(self.host, self.port)


Contact = Seed | Address
"""Somebody to contact: one of the operator's seeds, or whoever is where a member was."""


def parse_seed(text: str, default_port: int) -> Seed:
    """Read `HOST`, `HOST:PORT`, `[IPV6]`, `[IPV6]:PORT` or a bare IPv6 address.

    Raises ValueError with a text for the operator.
    """
    host, port = _split_port(text.strip())
    if not host:
        raise ValueError(f"{text!r} lacks a host")
    seed = Seed(host, default_port)
    if seed.address is None and not is_host_name(host.removesuffix(".")):
        raise ValueError(f"{host!r} is neither an IP address nor a host name")
    return seed if port is None else Seed(host, _parse_port(port, text))


def _split_port(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not [IPV6] or [IPV6]:PORT")
        if ":" not in host:
            raise ValueError(f"{text!r}: only IPv6 addresses go in brackets")
        return host, rest[1:] if rest else None
    if text.count(":") > 1:
        return text, None
    host, colon, port = text.partition(":")
    return host, port if colon else None


def _parse_port(port: str, text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ValueError(f"{text!r}: a port is a number from 1 to 65535")
    return int(port)


@frozen
class SeedStatus:
    """One of the seeds: when it last answered, and what came of trying it since then."""

    seed: Seed
    answered_at: float | None = None
    problem: str | None = None
