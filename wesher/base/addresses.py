"""An address with a port, how somebody answers there, and networks to look an address up in."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

from wesher.base.frozen import EMPTY, frozen

_Network = IPv4Network | IPv6Network


class Address(NamedTuple):
    """An IP address in its usual text form (never IPv4-mapped) and a port."""

    ip: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `IP:PORT` or `[IPV6]:PORT`; raises ValueError, whatever the port's range."""
        ip, _, port = text.rpartition(":")
        return cls(str(ip_address(ip.strip("[]"))), int(port))

    def __str__(self) -> str:
        return with_port(self.ip, self.port)


def with_port(host: str, port: int) -> str:
    """Return how a host, by name or address, is written with a port."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@frozen
class Prefixes:
    """A set of networks that answers as fast for 50,000 as for ten."""

    _networks: Mapping[tuple[int, int], frozenset[int]] = EMPTY
    """The leading bits of each, by IP version and number of bits, the longest first."""

    @classmethod
    def of(cls, networks: Iterable[_Network]) -> "Prefixes":
        """Collect networks of both versions."""
        found: dict[tuple[int, int], set[int]] = {}
        for one in networks:
            bits = int(one.network_address) >> (one.max_prefixlen - one.prefixlen)
            found.setdefault((one.version, one.prefixlen), set()).add(bits)
        ordered = sorted(found.items(), reverse=True)
        return cls({length: frozenset(bits) for length, bits in ordered})

    def containing(self, ip: IPv4Address | IPv6Address) -> _Network | None:
        """Return the narrowest network that `ip` is in, None when there is none."""
        for (version, length), networks in self._networks.items():
            rest = ip.max_prefixlen - length
            if version == ip.version and int(ip) >> rest in networks:
                bits = int(ip) >> rest << rest
                return IPv4Network((bits, length)) if version == 4 else IPv6Network((bits, length))
        return None


@frozen
class Ranges:
    """A set of networks that is asked for one that lies inside another, as fast for 50,000."""

    _starts: Mapping[int, tuple[tuple[int, int], ...]] = EMPTY
    """The first address and the prefix length of each, in order, by IP version."""

    @classmethod
    def of(cls, networks: Iterable[_Network]) -> "Ranges":
        """Collect networks of both versions."""
        found: dict[int, list[tuple[int, int]]] = {}
        for one in networks:
            found.setdefault(one.version, []).append((int(one.network_address), one.prefixlen))
        return cls({version: tuple(sorted(starts)) for version, starts in found.items()})

    def inside(self, network: _Network) -> _Network | None:
        """Return the first that is equal to `network` or part of it, None when there is none."""
        starts = self._starts.get(network.version, ())
        first, last = int(network.network_address), int(network.broadcast_address)
        at = bisect_left(starts, (first, network.prefixlen))
        if at == len(starts) or starts[at][0] > last:
            return None
        return IPv4Network(starts[at]) if network.version == 4 else IPv6Network(starts[at])


class Heard(Enum):
    """What came back."""

    ANSWER = "answer"
    SILENCE = "silence"
    OTHER_KEY = "other-key"  # something that our key does not open
    NOT_READ = "not-read"  # an error that another key of ours opens: it lacks our primary one
    REFUSED = "refused"  # the host answers that nothing listens there
    OTHER_NAME = "other-name"  # a member of our cluster, but not the one that was asked for


_NOBODY = frozenset({Heard.SILENCE, Heard.REFUSED})


@frozen
class Contact:
    """How an address answers by UDP and by TCP."""

    udp: Heard
    tcp: Heard

    @property
    def other_key(self) -> bool:
        """Whether somebody with another key is there."""
        return self.tcp is Heard.OTHER_KEY

    @property
    def not_read(self) -> bool:
        """Whether somebody with another key of ours is there, who lacks the primary one."""
        return self.tcp is Heard.NOT_READ

    @property
    def refused(self) -> bool:
        """Whether the host is there, lets us through, and nothing listens."""
        return self.tcp is Heard.REFUSED and self.udp is not Heard.ANSWER

    @property
    def other_name(self) -> bool:
        """Whether another member is there than the one that was asked for."""
        return Heard.OTHER_NAME in {self.udp, self.tcp}

    @property
    def silent(self) -> list[str]:
        """The protocols by which nobody answered."""
        heard = {"UDP": self.udp, "TCP": self.tcp}
        return [protocol for protocol, what in heard.items() if what in _NOBODY]
