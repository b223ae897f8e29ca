"""What `ip` tells about this host, read in one process: interfaces, addresses, routes.

A reconcile need not read all routes again that it knows already (decision 18).
"""

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any

from wesher.base.addresses import Prefixes, Ranges
from wesher.base.errors import CommandError
from wesher.base.frozen import EMPTY, frozen, replace
from wesher.mesh.base.plan import IPAddress, IPNetwork
from wesher.system.event_loop import in_thread
from wesher.system.shell import patiently, run

PROTOCOL = "87"  # marks our routes

_LINKS = ("address show", "link show")
_MARKED = f"route show table all proto {PROTOCOL}"  # whose answer leaves the protocol out
_ALL = "route show table all"
_TOOL = ("ip", "-N", "-json", "-batch", "-")
_GLOBAL = "0"  # RT_SCOPE_UNIVERSE; `-N` prints numbers, whatever names the host gives them
_MAIN = "254"  # RT_TABLE_MAIN, left out for most routes

IPInterface = IPv4Interface | IPv6Interface

PAUSE = 50.0  # times as long as reading all routes took we do not read them again: 2 % of a CPU
TRUST = 5000.0  # times as long until they are read again though nobody told of a change
LONGEST_TRUST = 3600.0  # seconds


@frozen
class LinkAddress:
    """One address of an interface; `network` is what it connects us to.

    `lasting` is false for one that is of a narrower scope than global, temporary or deprecated.
    """

    ip: IPAddress
    network: IPNetwork
    lasting: bool = True


@frozen
class Link:
    """A network interface; `alias` is where a device carries our mark."""

    name: str
    up: bool = False
    mtu: int = 0
    alias: str | None = None
    addresses: tuple[LinkAddress, ...] = ()


@frozen
class Gateway:
    """A route that leads through a next hop, or the default route without one."""

    link: str
    next_hop: IPAddress | None
    version: int
    default: bool = False
    source: IPAddress | None = None
    metric: int = 0


@frozen
class Network:
    """Everything `ip` told; `marked` are the routes of our protocol, by interface, with their MTU.

    That is 0 for a route without one. `foreign` maps destinations in the main table, as `ip` writes
    them, to the interface of a route that is not marked; `routed` are those of them that an overlay
    network must not touch, and `own_routes` all that networks behind members must not.
    """

    links: Mapping[str, Link] = EMPTY
    marked: Mapping[str, Mapping[IPNetwork, int]] = EMPTY
    foreign: Mapping[str, str] = EMPTY
    routed: Prefixes = Prefixes()
    own_routes: Ranges = Ranges()
    gateways: tuple[Gateway, ...] = ()


@frozen
class Scope:
    """Which routes of others matter: to destinations inside the overlay network.

    Beside them those inside of what may be `accepted` as a network behind a member.
    """

    interface: str
    overlay: IPNetwork
    accepted: tuple[IPNetwork, ...] = ()


@patiently
async def read_network(scope: Scope | None = None) -> Network:
    """Read interfaces, addresses and routes of this host in one process.

    Without a scope every route of others is `foreign`, and none is `routed`.
    """
    text = await _ask(*_LINKS, _ALL)
    return await in_thread(parse_network, text, scope)  # a large table takes a while


@patiently
async def read_marked(known: Network) -> Network:
    """Read interfaces, addresses and our own routes; those of others are as `known`."""
    text = await _ask(*_LINKS, _MARKED)
    addresses, links, routes = _answers(text, 3)
    with _understanding():
        ours = (route | {"protocol": PROTOCOL} for route in routes)
        marked, _ = _sort_routes(ours, None)
        return replace(known, links=dict(_parse_links(links, addresses)), marked=marked)


@patiently
async def read_links(known: Network) -> Network:
    """Read interfaces and addresses; all routes are as `known`."""
    text = await _ask(*_LINKS)
    addresses, links = _answers(text, 2)
    with _understanding():
        return replace(known, links=dict(_parse_links(links, addresses)))


def parse_network(text: str, scope: Scope | None = None) -> Network:
    """Parse the three JSON arrays, one a line, that `ip -N -json -batch -` prints."""
    addresses, links, routes = _answers(text, 3)
    with _understanding():
        marked, foreign = _sort_routes(routes, scope)
        gateways = (gateway for route in routes for gateway in _parse_gateways(route))
        return Network(
            links=dict(_parse_links(links, addresses)),
            marked=marked,
            foreign=foreign,
            routed=Prefixes.of(_routed(foreign, scope)) if scope else Prefixes(),
            own_routes=Ranges.of(_own_routes(marked, foreign, scope)) if scope else Ranges(),
            gateways=tuple(dict.fromkeys(gateways)),
        )


def routed_inside(network: Network, scope: Scope) -> list[IPNetwork]:
    """Return what `routed` would be of a network that was read without a scope."""
    return sorted(_routed(network.foreign, scope), key=str)


async def _ask(*queries: str) -> str:
    stdin = "".join(f"{query}\n" for query in queries)
    return await run(*_TOOL, stdin=stdin)


def _answers(text: str, number: int) -> list[Any]:
    """Return what `ip` printed for each query."""
    with _understanding():
        answers = [json.loads(line) for line in text.splitlines()]
        if len(answers) != number:
            raise ValueError(f"{len(answers)} lines instead of {number}")
        return answers


@contextmanager
def _understanding() -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        reason = f"the answer could not be understood ({error})"
        raise CommandError(_TOOL, 0, reason) from error


def _parse_links(links: list[Any], addresses: list[Any]) -> Iterator[tuple[str, Link]]:
    found = {one["ifname"]: one.get("addr_info", ()) for one in addresses if "ifname" in one}
    for link in links:
        name = link["ifname"]
        yield (
            name,
            Link(
                name=name,
                up="UP" in link["flags"],
                mtu=link["mtu"],
                alias=link.get("ifalias"),
                addresses=tuple(_parse_address(one) for one in found.get(name, ()) if one),
            ),
        )


def _parse_address(one: Mapping[str, Any]) -> LinkAddress:
    other_end = one.get("address", one["local"])
    return LinkAddress(
        ip=ip_address(one["local"]),
        network=ip_interface(f"{other_end}/{one['prefixlen']}").network,
        lasting=one["scope"] == _GLOBAL and not (one.get("temporary") or one.get("deprecated")),
    )


def _sort_routes(
    routes: Iterable[Any], scope: Scope | None
) -> tuple[dict[str, dict[IPNetwork, int]], dict[str, str]]:
    marked: dict[str, dict[IPNetwork, int]] = {}
    foreign: dict[str, str] = {}
    inside = _test_of_scope(scope) if scope else None
    for route in routes:
        if route.get("table", _MAIN) != _MAIN:
            continue
        if route.get("protocol") == PROTOCOL and "dev" in route:
            marked.setdefault(route["dev"], {})[_destination(route["dst"])] = _route_mtu(route)
        elif inside is None or inside(route["dst"]):
            foreign[route["dst"]] = route.get("dev", "another table or several interfaces")
    return marked, foreign


def _route_mtu(route: Mapping[str, Any]) -> int:
    return next((one["mtu"] for one in route.get("metrics", ()) if "mtu" in one), 0)


def _test_of_scope(scope: Scope) -> Callable[[str], bool]:
    """Return a fast test of whether a destination matters."""
    four: list[tuple[int, int, int]] = []
    six: list[tuple[int, int, int]] = []
    least = {scope.overlay: scope.overlay.prefixlen + 1}
    for network in dict.fromkeys((scope.overlay, *scope.accepted)):
        rest = network.max_prefixlen - network.prefixlen
        test = (int(network.network_address) >> rest, rest, least.get(network, network.prefixlen))
        (four if network.version == 4 else six).append(test)

    def inside(destination: str) -> bool:
        address, _, word = destination.partition("/")
        if ":" in address:
            family, tests, length = AF_INET6, six, int(word or 128)
        elif "." in address:
            family, tests, length = AF_INET, four, int(word or 32)
        else:
            return False  # the default route
        if not tests:
            return False
        number = int.from_bytes(inet_pton(family, address))
        return any(number >> rest == bits and length >= least for bits, rest, least in tests)

    return inside


def _routed(foreign: Mapping[str, str], scope: Scope) -> Iterator[IPNetwork]:
    """Yield where packets must not go through the mesh; what leads into it anyway may stay."""
    inside = _test_of_scope(replace(scope, accepted=()))
    for destination, link in foreign.items():
        if link != scope.interface and inside(destination):
            yield ip_network(destination)


def _own_routes(
    marked: Mapping[str, Iterable[IPNetwork]], foreign: Mapping[str, str], scope: Scope
) -> Iterator[IPNetwork]:
    """Yield where packets go without our mesh, or through another."""
    for destination, link in foreign.items():
        if link != scope.interface:
            yield ip_network(destination)
    for link, networks in marked.items():
        if link != scope.interface:
            yield from networks


@lru_cache(maxsize=16384)
def _destination(word: str) -> IPNetwork:
    return ip_network(word)


def _parse_gateways(route: Mapping[str, Any]) -> Iterator[Gateway]:
    default = route["dst"] == "default" and "type" not in route and "table" not in route
    for hop in (route, *route.get("nexthops", ())):
        next_hop = _next_hop(hop)
        if "dev" in hop and (next_hop is not None or default):
            source = route.get("prefsrc")
            yield Gateway(
                link=hop["dev"],
                next_hop=next_hop,
                version=_version(route, next_hop),
                default=default,
                source=None if source is None else ip_address(source),
                metric=route.get("metric", 0),
            )


def _next_hop(hop: Mapping[str, Any]) -> IPAddress | None:
    word = hop.get("gateway") or hop.get("via", {}).get("host")
    return None if word is None else ip_address(word)


def _version(route: Mapping[str, Any], next_hop: IPAddress | None) -> int:
    # `ip` prints no family, but a preference (RFC 4191) for each IPv6 route and no other.
    if "pref" in route or (next_hop is not None and next_hop.version == 6 and "via" not in route):
        return 6
    return 4


class KnownRoutes:
    """Reads the host's network, of the routes only what may have changed.

    That is known as long as somebody follows the kernel and tells of changes: until `follow`, and
    after `lose`, every `read` reads all.
    """

    def __init__(
        self, scope: Scope | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._scope = scope
        self._clock = clock
        self._followed = False
        self._known = Network()
        self._read_at = -math.inf
        self._took = 0.0
        # Changes that were told of, and how many of them had been when the routes were read.
        self._told = self._told_of_ours = 1
        self._seen = self._seen_of_ours = 0

    def follow(self) -> None:
        """Say that from now on changes are told; the next `read` reads all."""
        self._followed = True
        self._read_at = -math.inf
        self.change()

    def lose(self) -> None:
        """Say that nobody tells of changes any more."""
        self._followed = False

    def change(self) -> None:
        """Say that any routes may have changed."""
        self._told += 1
        self._told_of_ours += 1

    def change_ours(self) -> None:
        """Say that routes of ours may have changed."""
        self._told_of_ours += 1

    @property
    def due_in(self) -> float | None:
        """Seconds until routes of others that changed are read again, None if none have."""
        if not self._followed or self._seen == self._told:
            return None
        return max(0.0, self._read_at + PAUSE * self._took - self._clock())

    async def read(self) -> Network:
        """Read interfaces and addresses, and the routes that may have changed.

        Raises CommandError when `ip` fails.
        """
        if self._all_due():
            self._known = await self._read_all()
        elif self._seen_of_ours < self._told_of_ours:
            self._known = await self._read_ours()
        else:
            self._known = await read_links(self._known)
        return self._known

    def _all_due(self) -> bool:
        trust = min(TRUST * self._took, LONGEST_TRUST)
        return not self._followed or self.due_in == 0 or self._clock() - self._read_at >= trust

    async def _read_all(self) -> Network:
        # What is told while we read is read the next time, and what fails has seen nothing.
        told, told_of_ours, began = self._told, self._told_of_ours, self._clock()
        network = await read_network(self._scope)
        self._seen, self._seen_of_ours = told, told_of_ours
        self._read_at = self._clock()
        self._took = self._read_at - began
        return network

    async def _read_ours(self) -> Network:
        told_of_ours = self._told_of_ours
        network = await read_marked(self._known)
        self._seen_of_ours = told_of_ours
        return network
