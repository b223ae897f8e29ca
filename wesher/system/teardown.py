"""Take our interface away, or what we put on a borrowed one, and say what is left."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from wesher.base.errors import CommandError
from wesher.base.frozen import frozen
from wesher.system.interface import BORROWED, CREATED, delete
from wesher.system.network import PROTOCOL, Link, Network, read_network
from wesher.system.routes import apply_lines, delete_address, delete_route
from wesher.system.wireguard import read_wireguard, wg_set


@frozen
class Leftover:
    """Something of ours that could not be taken away, and the command that does it."""

    what: str
    command: str


async def clean_up(name: str, limit: float = 10) -> tuple[list[str], list[Leftover]]:
    """Take away what a crashed agent left under an interface name, if it carries our mark.

    Returns what was there of ours, and what of it is still there. Raises CommandError when the
    host could not be looked at.
    """
    network = await read_network()
    link = network.links.get(name)
    if link is None:
        return [], []
    if link.alias == CREATED:
        return [f"interface {name}"], await delete_created(name, limit)
    if link.alias == BORROWED:
        left = await strip_borrowed(as_lent(link), limit)
        return [f"what was set on interface {name}"], left
    if not network.marked.get(name):
        return [], []
    return [f"routes through {name}"], await _strip_network(link, limit)


def as_lent(link: Link) -> Link:
    """Return what a borrowed device that an earlier agent left was probably like before."""
    kept = tuple(one for one in link.addresses if one.network.num_addresses > 1)
    return Link(link.name, link.up, link.mtu, None, kept)


async def delete_created(name: str, limit: float) -> list[Leftover]:
    """Delete a device that we made, within `limit` seconds; what is on it goes with it."""
    leftovers: list[Leftover] = []
    async with _noting(leftovers, Leftover(f"interface {name}", f"ip link del {name}"), limit):
        await delete(name)
    return leftovers


async def strip_borrowed(before: Link, limit: float) -> list[Leftover]:
    """Make a device that somebody lent us what it was `before`, within `limit` seconds."""
    of_wg, of_ip = await asyncio.gather(
        _strip_wireguard(before.name, limit), _strip_network(before, limit)
    )
    return [*of_wg, *of_ip]


async def _strip_wireguard(name: str, limit: float) -> list[Leftover]:
    leftovers: list[Leftover] = []
    what = Leftover(f"key and peers on {name}", f"wg setconf {name} /dev/null")
    async with _noting(leftovers, what, limit):
        state = await read_wireguard(name)
        removals = (word for key in state.peers for word in ("peer", key, "remove"))
        await wg_set(name, "private-key", "/dev/null", *removals)
    return leftovers


async def _strip_network(before: Link, limit: float) -> list[Leftover]:
    leftovers: list[Leftover] = []
    what = Leftover(
        f"routes through {before.name}", f"ip route flush dev {before.name} proto {PROTOCOL}"
    )
    async with _noting(leftovers, what, limit):
        failed = await apply_lines(tuple(_strip_lines(await read_network(), before)))
        leftovers += [Leftover(reason, f"ip {line}") for line, reason in failed.items()]
    return leftovers


def _strip_lines(network: Network, before: Link) -> Iterator[str]:
    link = network.links.get(before.name)
    if link is None:
        return
    for route in sorted(network.marked.get(link.name, ()), key=str):
        yield delete_route(link.name, route)
    for address in link.addresses:
        if address.lasting and address not in before.addresses:
            yield delete_address(link.name, address)
    if link.alias != before.alias:
        yield f'link set dev {link.name} mtu {before.mtu} alias "{before.alias or ""}"'
    if link.up and not before.up:
        yield f"link set dev {link.name} down"


@asynccontextmanager
async def _noting(
    leftovers: list[Leftover], leftover: Leftover, limit: float
) -> AsyncIterator[None]:
    """Note `leftover` when what is done inside fails or takes too long."""
    try:
        async with asyncio.timeout(limit):
            yield
    except (CommandError, TimeoutError):
        leftovers.append(leftover)
