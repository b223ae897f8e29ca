"""The difference in addresses and routes, and the one `ip -batch` that makes it."""

import re
from collections.abc import Collection, Iterator, Sequence

from wesher.base.errors import CommandError
from wesher.base.frozen import frozen
from wesher.mesh.base.plan import InterfaceSettings, IPNetwork, Plan
from wesher.system.network import PROTOCOL, Link, LinkAddress, Network
from wesher.system.shell import patiently, run

_FAILED_LINE = re.compile(r"Command failed .*:(\d+)$")
# Answers to taking away what is not there: somebody else was faster.
_GONE = ("No such", "Cannot find device", "Cannot assign requested address", "not found")


@frozen
class IpChanges:
    """Lines for `ip -batch`, additions before removals, and routes that are not ours to change."""

    lines: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def ip_changes(
    network: Network, name: str, plan: Plan, alias: str, spared: Collection[LinkAddress]
) -> IpChanges:
    """Compare interface `name` with the plan; it must exist.

    `alias` is the mark it should carry; `spared` are addresses that were there before us. Nothing
    is removed while the plan is not complete.
    """
    link = network.links[name]
    present = network.marked.get(name, frozenset())
    wanted = dict.fromkeys(route for peer in plan.peers.values() for route in peer.allowed_ips)
    missing = [route for route in wanted if route not in present]
    refused = {route: other for route in missing if (other := _holder(network, name, route))}
    lines = [
        *_address_lines(link, plan.interface),
        *_link_lines(link, plan.interface, alias),
        *(_add_route(name, route) for route in missing if route not in refused),
    ]
    if plan.complete:
        lines += [delete_route(name, route) for route in sorted(present - wanted.keys(), key=str)]
        lines += [
            delete_address(name, address)
            for address in link.addresses
            if address.lasting and address not in spared and address.ip != plan.interface.address
        ]
    texts = (f"route to {route}: one through {other} exists" for route, other in refused.items())
    return IpChanges(tuple(lines), tuple(texts))


async def apply_lines(lines: Collection[str]) -> dict[str, str]:
    """Run all lines in one `ip -batch`; return those that failed, with what `ip` said.

    A line that fails does not keep the others from being run, and only it is tried again. Raises
    CommandError when it is not about single lines.
    """
    failed = dict.fromkeys(lines, "")

    @patiently
    async def attempt() -> None:
        nonlocal failed
        try:
            await run("ip", "-force", "-batch", "-", stdin="".join(f"{line}\n" for line in failed))
        except CommandError as error:
            reasons = _failed_lines(error.stderr, tuple(failed))
            if reasons is None:
                raise
            failed = reasons
            if failed:
                raise
        else:
            failed = {}

    try:
        await attempt()
    except CommandError:
        if not all(failed.values()):
            raise
    return failed


def delete_route(name: str, route: IPNetwork) -> str:
    """Return the line that takes one of our routes away."""
    return f"route del {route} dev {name} proto {PROTOCOL}"


def delete_address(name: str, address: LinkAddress) -> str:
    """Return the line that takes an address off the interface."""
    return f"address del {address.ip}/{address.network.prefixlen} dev {name}"


def _add_route(name: str, route: IPNetwork) -> str:
    scope = " scope link" if route.version == 4 else ""
    return f"route replace {route} dev {name} proto {PROTOCOL}{scope}"


def _address_lines(link: Link, settings: InterfaceSettings) -> Iterator[str]:
    if settings.address not in {address.ip for address in link.addresses}:
        length = settings.address.max_prefixlen
        yield f"address replace {settings.address}/{length} dev {link.name}"


def _link_lines(link: Link, settings: InterfaceSettings, alias: str) -> Iterator[str]:
    words = []
    if link.mtu > settings.mtu:  # a lower one is the operator's cure for a narrow path
        words.append(f"mtu {settings.mtu}")
    if link.alias != alias:
        words.append(f"alias {alias}")
    if not link.up:
        words.append("up")
    if words:
        yield f"link set dev {link.name} {' '.join(words)}"


def _holder(network: Network, name: str, route: IPNetwork) -> str | None:
    """Return the interface of somebody else's route to the same destination."""
    host = route.prefixlen == route.max_prefixlen
    other = network.foreign.get(str(route.network_address) if host else str(route))
    return None if other == name else other


def _failed_lines(stderr: str, lines: Sequence[str]) -> dict[str, str] | None:
    """Return the failed lines and why, or None when the tool does not name any."""
    reasons: list[str] = []
    failed = {}
    named = False
    for text in stderr.splitlines():
        match = _FAILED_LINE.match(text)
        if match is None:
            reasons.append(text)
            continue
        named = True
        line, reason = lines[int(match[1]) - 1], "; ".join(reasons)
        reasons.clear()
        if not (" del " in line and any(words in reason for words in _GONE)):
            failed[line] = reason or "no message"
    return failed if named else None
