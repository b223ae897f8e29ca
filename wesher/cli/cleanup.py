"""`wesher cleanup`: remove what a crashed agent left, and only what carries our mark."""

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import Any

from wesher import log
from wesher.config import resolve
from wesher.errors import WesherError
from wesher.options import CLEANUP_NAMES, pick
from wesher.system.hosts import HostsFile, HostsFileError
from wesher.system.lock import InterfaceLock
from wesher.system.teardown import clean_up


def run(given: Mapping[str, str]) -> int:
    """Clean up after an agent that is gone; returns 1 when something could not be undone.

    Raises StartError while an agent holds the interface.
    """
    values = resolve(pick(CLEANUP_NAMES), given, os.environ).values
    log.set_up(values["log_level"])
    with InterfaceLock(values["run_dir"], values["interface"]):
        removed, problems = asyncio.run(_clean_up(values))
    for what in removed:
        log.tell(f"removed {what}")
    if not removed and not problems:
        log.tell("nothing to clean up")
    for problem in problems:
        print(f"wesher: {problem}", file=sys.stderr)
    return 1 if problems else 0


async def _clean_up(values: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return what was removed, and a line for each thing that was not."""
    interface = values["interface"]
    removed, problems = _remove_hosts_lines(
        HostsFile(values["hosts_file"], interface, values["run_dir"])
    )
    try:
        found, leftovers = await clean_up(interface)
    except WesherError as error:
        return removed, [*problems, f"interface {interface}: {error}"]
    if not leftovers:
        removed += found
    problems += [f"{left.what} is left; run: {left.command}" for left in leftovers]
    return removed, problems


def _remove_hosts_lines(hosts: HostsFile) -> tuple[list[str], list[str]]:
    try:
        return (["our lines of the hosts file"] if hosts.remove_all() else []), []
    except HostsFileError as error:
        return [], [f"our lines of the hosts file are left: {error}"]
