"""Many networks, asked which of them contains an address."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from wesher.base.frozen import EMPTY, frozen

_Network = IPv4Network | IPv6Network


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
