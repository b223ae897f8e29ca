"""`wesher cleanup`: remove what crashed agents left, and only what carries our mark."""

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import Any

from wesher.base.errors import StartError, WesherError
from wesher.config.config import resolve
from wesher.config.option_types import parse_interface
from wesher.config.options import CLEANUP_NAMES, pick
from wesher.system import log
from wesher.system.files import InterfaceLock, once_locked
from wesher.system.hosts import HostsFile, HostsFileError
from wesher.system.interface import clean_up


def run(given: Mapping[str, str]) -> int:
    """Clean up after agents that are gone; returns 1 when something could not be undone.

    What an agent holds is left alone, which counts as such.
    """
    values = resolve(pick(CLEANUP_NAMES), given, os.environ).values
    log.set_up(values["log_level"])
    interfaces = _all(values) if "all" in given else [values["interface"]]
    outcomes = [_clean_up_unless_held({**values, "interface": one}) for one in interfaces]
    removed = [what for done, _ in outcomes for what in done]
    problems = [problem for _, left in outcomes for problem in left]
    for what in removed:
        log.tell(f"removed {what}")
    if not removed and not problems:
        log.tell("nothing to clean up")
    for problem in problems:
        print(f"wesher: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _clean_up_unless_held(values: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    try:
        with InterfaceLock(values["run_dir"], values["interface"]):
            return asyncio.run(_clean_up(values))
    except StartError as error:
        return [], [str(error)]


def _all(values: Mapping[str, Any]) -> list[str]:
    """Return the interfaces that agents have had since this host booted, or have lines of.

    Not just any that carries our mark: in a chroot or container that may be the host's.
    """
    hosts = HostsFile(values["hosts_file"], values["interface"], values["run_dir"])
    return sorted({*once_locked(values["run_dir"]), *filter(_is_interface, hosts.interfaces())})


def _is_interface(name: str) -> bool:
    """Say whether a name from the hosts file, which others may write, can be an interface's."""
    try:
        return parse_interface(name) == name
    except ValueError:
        return False


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
