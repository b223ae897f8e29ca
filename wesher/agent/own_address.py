"""The address that this host advertises: found at the start, and followed while it runs."""

import asyncio
import math
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address

from loguru import logger

from wesher.base.errors import StartError
from wesher.base.frozen import frozen
from wesher.base.problems import NO_ADDRESS, OVERLAY_ENCLOSED, OVERLAY_HAS_US, SEVERAL_ADDRESSES
from wesher.config.config import Config
from wesher.mesh.base.plan import IPAddress
from wesher.mesh.base.seeds import Seed
from wesher.system.event_loop import in_thread
from wesher.system.host_facts import (
    ASKED,
    address_inside,
    commonest,
    enclosing_network,
    first_global_address,
    host_facts,
    is_here,
    lasting_addresses,
    link_of,
    only_address,
    other_family,
    routed_address,
    sources_towards,
    stays,
)
from wesher.system.network import Network, Scope, read_network

ADDRESS_PATIENCE = 30.0  # seconds that the host may take to get an address,
_POLL_INTERVAL = 0.5  # seconds between two looks whether it has one
RESOLVE_PATIENCE = 1.0  # seconds for the names of seeds; without them the default route decides
STRANDED_AFTER = 5.0  # seconds without an address of our family; DHCP takes less to replace one
LOOK_INTERVAL = 0.5  # seconds between two cheap looks at our address, noticed within one

Signs = tuple[tuple[IPAddress, ...], bool]


@frozen
class Underlay:
    """Where we listen and where others reach us; `network` is the host as it was seen then.

    `mapped` is the form in which a Go node bound like us would write the address
    (spec/memberlist.md, 4.2).
    """

    bind: IPAddress
    advertise: IPAddress
    mapped: bool
    network: Network


async def find_underlay(config: Config, members: Sequence[str] = ()) -> Underlay:
    """Return our own addresses, waiting up to 30 s for the host to get one.

    `members` are where others were the last time: without seeds the route to them decides.

    Raises StartError when it gets none, or when the overlay network cannot work on this host.
    """
    loop = asyncio.get_running_loop()
    deadline: float | None = None
    while True:
        network = await read_network(scope_of(config))
        if underlay := await _underlay(config, network, members):
            _check_overlay(config, network)
            return underlay
        if deadline is None:
            deadline = loop.time() + ADDRESS_PATIENCE
            logger.warning(
                "{reason}; waiting up to {seconds:.0f} s for one",
                reason=_no_address(config, network),
                seconds=ADDRESS_PATIENCE,
            )
        if loop.time() >= deadline:
            raise StartError(_no_address(config, network))
        await asyncio.sleep(_POLL_INTERVAL)


def scope_of(config: Config) -> Scope:
    """Return which routes of others an agent must know of."""
    accepted = config.accept_routes.networks
    return Scope(config.interface, config.overlay_net.network, accepted)


async def _underlay(config: Config, network: Network, members: Sequence[str]) -> Underlay | None:
    bind: IPAddress | None = config.bind_addr
    if config.bind_iface:
        bind = first_global_address(network, config.bind_iface)
    if bind is None:
        return None
    advertise = config.advertise_addr or bind
    if advertise.is_unspecified:
        version = 6 if bind.version == 6 else None
        advertise = await find_address(config.join, members, network, version) or bind
    if advertise.is_unspecified:
        return None
    if bind.is_unspecified:
        bind = type(advertise)(0)
    mapped = bind.is_unspecified and bind.version == 4 and config.advertise_addr is None
    return Underlay(bind, advertise, mapped, network)


def _no_address(config: Config, network: Network) -> str:
    if config.bind_iface and config.bind_iface not in network.links:
        return f"there is no interface {config.bind_iface}: choose another --bind-iface"
    if config.bind_iface:
        return (
            f"interface {config.bind_iface} has no global address: give it one, "
            "or choose another --bind-iface"
        )
    found = lasting_addresses(network, 6 if config.bind_addr.version == 6 else None)
    if not found:
        return NO_ADDRESS.text
    listed = ", ".join(str(address.ip) for _, address in found)
    return SEVERAL_ADDRESSES.text.format(addresses=listed)


def _check_overlay(config: Config, network: Network) -> None:
    overlay = config.overlay_net.network
    facts = host_facts(network, config.interface)
    if outer := enclosing_network(overlay, facts):
        raise StartError(OVERLAY_ENCLOSED.text.format(overlay=overlay, network=outer))
    if inner := address_inside(overlay, facts):
        logger.warning(OVERLAY_HAS_US.text, address=inner, network=overlay)


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
        self._config = config
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

    async def watch(
        self, contacts: Callable[[], Iterable[IPAddress]], wake: Callable[[], None]
    ) -> None:
        """Call `wake` as soon as something says that our address changed."""
        seen = None
        while self.may_move:
            signs = self.signs(contacts())
            if seen is not None and signs != seen:
                wake()
            seen = signs
            await asyncio.sleep(LOOK_INTERVAL)

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

    def tell(self, network: Network, contacts: Iterable[IPAddress]) -> None:
        """Say what others are told, and when an option makes it differ from what they will see."""
        logger.info("others are told to reach us at {address}", address=self.current)
        if source := self.talks_from(network, contacts):
            logger.info(
                "but the route to {peers} leaves from {source}: if they do not reach us, "
                "give --advertise-addr {source}",
                peers="the seed" if self._config.join else "the members",
                source=source,
            )

    def _found(self, network: Network, contacts: Iterable[IPAddress]) -> IPAddress | None:
        version = self.current.version
        if iface := self._config.bind_iface:
            found = first_global_address(network, iface)
            return found if found and found.version == version else None
        sources = commonest(sources_towards(contacts))
        if routed := routed_address(network, sources, version):
            return routed
        # Not that of any interface which happens to be left while ours has none.
        found = first_global_address(network, self._link) if self._link else None
        return found if found and found.version == version else None
