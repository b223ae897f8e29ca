"""The address that this host advertises: found at the start, and followed while it runs."""

import asyncio
import math
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address

from wesher.config.config import Config
from wesher.mesh.base.plan import IPAddress
from wesher.mesh.base.seeds import Seed
from wesher.system.event_loop import in_thread
from wesher.system.host_facts import (
    ASKED,
    commonest,
    first_global_address,
    is_here,
    link_of,
    only_address,
    other_family,
    routed_address,
    sources_towards,
    stays,
)
from wesher.system.network import Network

RESOLVE_PATIENCE = 1.0  # seconds for the names of seeds; without them the default route decides
STRANDED_AFTER = 5.0  # seconds without an address of our family; DHCP takes less to replace one
LOOK_INTERVAL = 0.5  # seconds between two cheap looks at our address, noticed within one

Signs = tuple[tuple[IPAddress, ...], bool]


async def find_address(
    seeds: Sequence[Seed], members: Sequence[str], network: Network, version: int | None
) -> IPAddress | None:
    """Return the address of the route to a seed, or to who was a member; else what there is.

    `version` is the only one of IP that counts, None for both. None when nothing is sure.
    """
    if seeds:
        targets = await _addresses_of(seeds)
        sources = sources_towards(targets)
    else:
        known = list(parsed(members))[:ASKED]
        sources = commonest(sources_towards(known))
    return routed_address(network, sources, version) or only_address(network, version)


def parsed(words: Iterable[str]) -> Iterable[IPAddress]:
    """Yield the addresses among the words."""
    for word in words:
        with suppress(ValueError):
            yield ip_address(word)


async def _addresses_of(seeds: Iterable[Seed]) -> list[IPAddress]:
    found = await asyncio.gather(*(_resolve(seed.host) for seed in seeds))
    return [ip for ips in found for ip in parsed(ips)]


async def _resolve(host: str) -> list[str]:
    """Return the addresses of a name, none when that takes too long."""
    if list(parsed([host])):
        return [host]
    with suppress(OSError, UnicodeError, TimeoutError):
        async with asyncio.timeout(RESOLVE_PATIENCE):
            found = await in_thread(socket.getaddrinfo, host, None, 0, socket.SOCK_DGRAM)
            return [str(address[0]) for *_, address in found]
    return []


class OwnAddress:
    """Says when the address that we advertise must be another one."""

    def __init__(self, config: Config, advertised: IPAddress, network: Network) -> None:
        self._iface = config.bind_iface
        self._link = link_of(network, advertised)
        self._stranded_at: float | None = None  # infinity once it was told
        self.current = advertised
        self.may_move = config.advertise_addr is None and (
            config.bind_iface is not None or config.bind_addr.is_unspecified
        )
        """Whether we chose the address ourselves."""

    def moved(self, network: Network, contacts: Iterable[IPAddress]) -> IPAddress | None:
        """Return the address to go on at, None while the one we have is right.

        `contacts` are seeds or members; the route to most of them decides.
        """
        if not self.may_move:
            return None
        found = self._found(network, contacts)
        if found is None or stays(network, self.current, found):
            return None
        return None if found == self.current else found

    def move_to(self, address: IPAddress, network: Network) -> None:
        """Take note that this is what we advertise from now on."""
        self.current, self._link = address, link_of(network, address)

    def stranded(self, network: Network, now: float) -> IPAddress | None:
        """Return what this host has instead when it has lost all addresses of our family.

        Our sockets and those of the others are of one family: only new starts can change it. It is
        returned once, when that has lasted some seconds.
        """
        other = other_family(network, self.current.version) if self.may_move else None
        if other is None:
            self._stranded_at = None
            return None
        if self._stranded_at is None:
            self._stranded_at = now
        if now - self._stranded_at < STRANDED_AFTER:
            return None
        self._stranded_at = math.inf
        return other

    def signs(self, contacts: Iterable[IPAddress]) -> Signs:
        """Return what changes with our address; it costs next to nothing."""
        return tuple(sources_towards(contacts)), is_here(self.current)

    def talks_from(self, network: Network, contacts: Iterable[IPAddress]) -> IPAddress | None:
        """Return the address that most packets of ours come from, if we advertise another here."""
        if self.may_move or link_of(network, self.current) is None:
            return None
        found = commonest(sources_towards(contacts))
        source = found[0] if found else self.current
        usable = source != self.current and link_of(network, source) is not None
        return source if usable else None

    def _found(self, network: Network, contacts: Iterable[IPAddress]) -> IPAddress | None:
        version = self.current.version
        if self._iface:
            found = first_global_address(network, self._iface)
            return found if found and found.version == version else None
        sources = commonest(sources_towards(contacts))
        if routed := routed_address(network, sources, version):
            return routed
        # Not that of any interface which happens to be left while ours has none.
        found = first_global_address(network, self._link) if self._link else None
        return found if found and found.version == version else None
