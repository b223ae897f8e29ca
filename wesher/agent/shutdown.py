"""Undo what an agent has put on this host, in the little time that a stop may take."""

import asyncio
from contextlib import suppress

from wesher.base.errors import WesherError
from wesher.config.config import Config
from wesher.system.device import Device
from wesher.system.event_loop import in_thread
from wesher.system.hosts import HostsFile
from wesher.system.interface import Leftover, clean_up

LEAST = 0.5  # seconds for each of the two, however late it is: the host may have stood still

Opening = asyncio.Task[Device]


async def take_down(
    config: Config, hosts: HostsFile | None, opening: Opening | None, deadline: float
) -> list[Leftover]:
    """Remove our hosts entries, routes and interface until `deadline`; returns what is left.

    `hosts` and `opening` are None while there is nothing of the kind yet.
    """
    loop = asyncio.get_running_loop()
    leftovers: list[Leftover] = []
    if hosts:
        limit = max(LEAST, (deadline - loop.time()) / 2)
        leftovers += await _remove_hosts_lines(config, hosts, limit)
    if opening:
        device = await opened(opening, (deadline - loop.time()) / 2)
        limit = max(LEAST, deadline - loop.time())
        leftovers += await (device.close(limit) if device else _clean_up(config.interface, limit))
    return leftovers


async def opened(opening: Opening, patience: float) -> Device | None:
    """Return the device, waiting so many seconds for one that is just being made.

    After that the making is given up; like one that failed, it yields None.
    """
    with suppress(WesherError, TimeoutError):
        async with asyncio.timeout(patience):
            return await opening
    return None


async def _remove_hosts_lines(config: Config, hosts: HostsFile, limit: float) -> list[Leftover]:
    try:
        async with asyncio.timeout(limit):
            await in_thread(hosts.remove_all)
    except (WesherError, TimeoutError) as error:
        reason = error if isinstance(error, WesherError) else "no time left"
        what = f"what we wrote to {config.hosts_file} ({reason})"
        return [Leftover(what, f"wesher cleanup --interface {config.interface}")]
    return []


async def _clean_up(interface: str, limit: float) -> list[Leftover]:
    """Remove an interface that was perhaps made or adopted before we stopped waiting for it."""
    with suppress(WesherError, TimeoutError):
        async with asyncio.timeout(limit):
            return (await clean_up(interface, limit))[1]
    return [Leftover(f"perhaps interface {interface}", f"wesher cleanup --interface {interface}")]
