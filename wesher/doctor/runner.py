"""All checks, side by side, each told as soon as it is known."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from wesher.config.config import Config
from wesher.doctor.check_agent import check_agent, check_members, check_strangers, check_warnings
from wesher.doctor.check_forwarding import check_forwarding
from wesher.doctor.check_gossip import check_gossip
from wesher.doctor.check_host import (
    check_clock,
    check_hosts_file,
    check_rights,
    check_tools,
    check_wireguard,
)
from wesher.doctor.check_tunnels import PATIENCE, check_tunnels
from wesher.doctor.check_underlay import check_advertised, check_overlay, check_ports
from wesher.doctor.context import ASK_PATIENCE, Case, open_case
from wesher.doctor.findings import AWAITED, Finding, merged, unknown, worst_first

LIMIT = 12.0  # seconds for any check

Check = Callable[[Case], Awaitable[list[Finding]]]
OF_THE_HOST: dict[str, Check] = {
    "rights": check_rights,
    "clock": check_clock,
    "tools": check_tools,
}
"""What can be found out before anybody else has answered."""
CHECKS: dict[str, Check] = OF_THE_HOST | {
    "hosts-file": check_hosts_file,
    "agent": check_agent,
    "wireguard": check_wireguard,
    "ports": check_ports,
    "overlay": check_overlay,
    "forwarding": check_forwarding,
    "members": check_members,
    "strangers": check_strangers,
    "advertise": check_advertised,
    "gossip": check_gossip,
    "tunnels": check_tunnels,
    "warnings": check_warnings,
}
"""In the order in which they are told: those that take long are the last."""

_WAITS = {
    "gossip": "answers by gossip, a few seconds",
    "tunnels": f"handshakes, up to {PATIENCE:g} s",
    "advertise": "names to be resolved, a few seconds",
    "tools": "the tools",
}
_FOR_THE_AGENT = f"the agent, up to {ASK_PATIENCE:g} s"

Tell = Callable[[list[Finding]], None]
Wait = Callable[[str], None]


async def examine(config: Config, tell: Tell, wait: Wait) -> list[Finding]:
    """Return what all checks find, the worst first.

    `tell` is given the findings of one check after another, without those that say what others
    say as well, and `wait` what is waited for meanwhile.
    """
    case = asyncio.ensure_future(open_case(config))
    running = {
        name: asyncio.ensure_future(
            _limited(name, check, _at_once(config) if name in OF_THE_HOST else case)
        )
        for name, check in CHECKS.items()
    }
    told: set[Finding] = set()
    for name in CHECKS:
        found = await _wait_for([name], running, wait)
        await _wait_for(_awaited(found), running, wait)
        known = set(merged(_known(running)))
        new = [one for one in worst_first(dict.fromkeys(found)) if one in known and one not in told]
        tell(new)
        told.update(new)
    return merged(_known(running))


Running = Mapping[str, asyncio.Future[list[Finding]]]


async def _wait_for(names: Iterable[str], running: Running, wait: Wait) -> list[Finding]:
    found = []
    for name in names:
        if not running[name].done():
            await asyncio.wait([running[name]], timeout=0)
        if not running[name].done():
            wait(_WAITS.get(name, _FOR_THE_AGENT))
        found += await running[name]
    return found


def _awaited(found: Iterable[Finding]) -> list[str]:
    """Return the checks that may find what is told in place of some of these findings."""
    awaited = set().union(*(AWAITED.get(one.problem or "", ()) for one in found))
    return [name for name in CHECKS if name in awaited]


def _known(running: Running) -> list[Finding]:
    return [one for task in running.values() if task.done() for one in task.result()]


async def _at_once(config: Config) -> Case:
    return Case(config)


async def _limited(name: str, check: Check, opening: Awaitable[Case]) -> list[Finding]:
    case = await opening
    try:
        async with asyncio.timeout(LIMIT):
            return await check(case)
    except TimeoutError:
        return [unknown(name, f"not found out within {LIMIT:g} seconds")]
