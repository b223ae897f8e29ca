"""The WireGuard interface: what this host must have for one; make it, take it away again."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from wesher.base.errors import CommandError, MissingToolError, StartError
from wesher.base.frozen import frozen
from wesher.base.problems import NO_RIGHTS, NO_TOOL, NO_WIREGUARD
from wesher.system.changes import apply_lines, delete_address, delete_route
from wesher.system.network import PROTOCOL, Link, Network, read_network
from wesher.system.shell import find_tool, patiently, run
from wesher.system.wireguard import read_wireguard, wg_set

PACKAGES = {"wg": "wireguard-tools", "ip": "iproute2"}
_CAP_NET_ADMIN = 12  # linux/capability.h

CREATED = "wesher"
"""The alias of a device that we made."""
BORROWED = "wesher-borrowed"
"""The alias of a blank device that somebody made for us: ours to use, not to delete."""
MARKS = frozenset({CREATED, BORROWED})

_NAME = re.compile(r"(?!\.{1,2}$|-)[A-Za-z0-9_=+.-]{1,15}")  # IFNAMSIZ less its final zero
_NO_KERNEL_SUPPORT = ("unknown device type", "not supported")


def check_requirements(status_file: Path = Path("/proc/self/status")) -> None:
    """Raise StartError, saying what to do, when a right or a tool is missing."""
    if not may_administer(status_file.read_text()):
        raise StartError(NO_RIGHTS.text)
    for tool, package in PACKAGES.items():
        if find_tool(tool) is None:
            raise StartError(NO_TOOL.text.format(tool=tool, package=package))


def may_administer(status: str) -> bool:
    """Tell whether a process whose /proc/PID/status this is may configure the network."""
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_NET_ADMIN & 1)
    return False


def check_name(name: str) -> None:
    """Raise StartError when no interface can have this name."""
    if not _NAME.fullmatch(name):
        raise StartError(
            f"{name!r} is not a name for an interface: use at most 15 letters, digits, - and _"
        )


async def create(name: str) -> None:
    """Create interface `name` with our mark; the kernel's WireGuard first, else userspace.

    Raises StartError when this host can have neither, CommandError when a tool failed.
    """
    try:
        # Not retried: whoever does looks first whether it was made after all.
        await run(
            "ip",
            "-batch",
            "-",
            stdin=f"link add dev {name} type wireguard\nlink set dev {name} alias {CREATED}\n",
        )
    except CommandError as error:
        if not any(words in error.stderr.lower() for words in _NO_KERNEL_SUPPORT):
            raise
        await create_in_userspace(name)


async def create_in_userspace(name: str) -> None:
    """Create interface `name` with our mark and let wireguard-go serve it, which stays behind.

    What an ended wireguard-go left in /var/run/wireguard does not matter. Raises as `create` does.
    """
    try:
        await run("wireguard-go", name, leaves_daemon=True)
    except MissingToolError as error:
        raise StartError(NO_WIREGUARD.text) from error
    except CommandError as error:
        raise StartError(_explain(name, error)) from error
    await patiently(run)("ip", "link", "set", "dev", name, "alias", CREATED)


def _explain(name: str, error: CommandError) -> str:
    """Turn what wireguard-go printed, a box of advice first, into one line."""
    reason = error.stderr.rpartition("\n")[2] or str(error)
    if "unix socket in use" in reason:
        return (
            f"another wireguard-go serves an interface named {name}, perhaps in another network "
            f"namespace (/var/run/wireguard/{name}.sock): choose another with --interface"
        )
    if "/dev/net/tun" in reason:
        return f"wireguard-go needs /dev/net/tun: run `modprobe tun` ({reason})"
    return f"wireguard-go could not make {name}: {reason}"


async def delete(name: str) -> None:
    """Delete the interface with its peers, addresses and routes; it may be gone already."""
    failed = await apply_lines([f"link del dev {name}"])
    for line, reason in failed.items():
        raise CommandError(("ip", *line.split()), 1, reason)


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
