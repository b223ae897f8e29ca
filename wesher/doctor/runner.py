"""All checks, side by side."""

import asyncio
from collections.abc import Awaitable, Callable

from wesher.config.config import Config
from wesher.doctor.check_agent import check_agent, check_members, check_strangers, check_warnings
from wesher.doctor.check_gossip import check_gossip
from wesher.doctor.check_host import (
    check_clock,
    check_hosts_file,
    check_rights,
    check_tools,
    check_wireguard,
)
from wesher.doctor.check_tunnels import check_tunnels
from wesher.doctor.check_underlay import check_advertised, check_overlay, check_ports
from wesher.doctor.context import Case, open_case
from wesher.doctor.findings import Finding, merged, unknown

LIMIT = 12.0  # seconds for any check

CHECKS: dict[str, Callable[[Case], Awaitable[list[Finding]]]] = {
    "agent": check_agent,
    "tools": check_tools,
    "wireguard": check_wireguard,
    "rights": check_rights,
    "ports": check_ports,
    "advertise": check_advertised,
    "overlay": check_overlay,
    "gossip": check_gossip,
    "strangers": check_strangers,
    "members": check_members,
    "warnings": check_warnings,
    "tunnels": check_tunnels,
    "hosts-file": check_hosts_file,
    "clock": check_clock,
}


async def examine(config: Config) -> list[Finding]:
    """Return what all checks find, the worst first."""
    case = await open_case(config)
    found = await asyncio.gather(*(_limited(name, check, case) for name, check in CHECKS.items()))
    return merged(finding for findings in found for finding in findings)


async def _limited(
    name: str, check: Callable[[Case], Awaitable[list[Finding]]], case: Case
) -> list[Finding]:
    try:
        async with asyncio.timeout(LIMIT):
            return await check(case)
    except TimeoutError:
        return [unknown(name, f"not found out within {LIMIT:g} seconds")]
