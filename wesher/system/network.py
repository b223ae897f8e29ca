"""What `ip` tells about this host, read in one process: interfaces, addresses, routes."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from typing import Any

from wesher.errors import CommandError
from wesher.mesh.plan import IPAddress, IPNetwork
from wesher.system.shell import patiently, run

PROTOCOL = "87"  # marks our routes

_QUERY = "address show\nlink show\nroute show table all\n"
_GLOBAL = "0"  # RT_SCOPE_UNIVERSE; `-N` prints numbers, whatever names the host gives them
_MAIN = "254"  # RT_TABLE_MAIN, left out for most routes

IPInterface = IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """One address of an interface; `network` is what it connects us to.

    `lasting` is false for one that is of a narrower scope than global, temporary or deprecated.
    """

    ip: IPAddress
    network: IPNetwork
    lasting: bool = True


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface; `alias` is where a device carries our mark."""

    name: str
    up: bool = False
    mtu: int = 0
    alias: str | None = None
    addresses: tuple[LinkAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class Gateway:
    """A route that leads through a next hop, or the default route without one."""

    link: str
    next_hop: IPAddress | None
    version: int
    default: bool = False
    source: IPAddress | None = None
    metric: int = 0


@dataclass(frozen=True, slots=True)
class Network:
    """Everything `ip` told; `marked` are the routes of our protocol, by interface.

    `foreign` maps destinations in the main table, as `ip` writes them, to the interface of a
    route that is not marked.
    """

    links: Mapping[str, Link] = field(default_factory=dict)
    marked: Mapping[str, frozenset[IPNetwork]] = field(default_factory=dict)
    foreign: Mapping[str, str] = field(default_factory=dict)
    gateways: tuple[Gateway, ...] = ()


@patiently
async def read_network() -> Network:
    """Read interfaces, addresses and routes of this host in one process."""
    return parse_network(await run("ip", "-N", "-json", "-batch", "-", stdin=_QUERY))


def parse_network(text: str) -> Network:
    """Parse the three JSON arrays, one a line, that `ip -N -json -batch -` prints."""
    try:
        addresses, links, routes = (json.loads(line) for line in text.splitlines())
        marked, foreign = _sort_routes(routes)
        return Network(
            links=dict(_parse_links(links, addresses)),
            marked=marked,
            foreign=foreign,
            gateways=tuple(gateway for route in routes for gateway in _parse_gateways(route)),
        )
    except (ValueError, KeyError, TypeError) as error:
        reason = f"the answer could not be understood ({error})"
        raise CommandError(("ip", "-N", "-json", "-batch", "-"), 0, reason) from error


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
    routes: list[Any],
) -> tuple[dict[str, frozenset[IPNetwork]], dict[str, str]]:
    marked: dict[str, set[IPNetwork]] = {}
    foreign: dict[str, str] = {}
    for route in routes:
        if route.get("table", _MAIN) != _MAIN:
            continue
        if route.get("protocol") == PROTOCOL and "dev" in route:
            marked.setdefault(route["dev"], set()).add(_destination(route["dst"]))
        else:
            foreign[route["dst"]] = route.get("dev", "another table or several interfaces")
    return {link: frozenset(networks) for link, networks in marked.items()}, foreign


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
