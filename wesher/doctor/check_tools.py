"""Is this host able to run a mesh at all: tools, rights, WireGuard?"""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

from wesher.base import problems
from wesher.base.errors import CommandError
from wesher.base.problems import NO_RIGHTS, NO_TOOL, NO_WIREGUARD
from wesher.doctor.context import Case
from wesher.doctor.findings import Finding, fault, ok, unknown
from wesher.system.interface import PACKAGES, may_administer
from wesher.system.shell import find_tool, run

_MODULE = Path("/sys/module/wireguard")
_MODULE_LISTS = ("modules.builtin", "modules.dep")
_TUN = Path("/dev/net/tun")
_VERSION_FLAGS = {"wg": "--version", "ip": "-V", "wireguard-go": "--version"}
_AS_ROOT = "run this as root"
_PATIENCE = 2.0  # seconds for a tool to tell its version


async def check_tools(_case: Case) -> list[Finding]:
    """Find the tools and their versions."""
    missing = [tool for tool in PACKAGES if find_tool(tool) is None]
    if missing:
        return [fault("tools", NO_TOOL, tool=tool, package=PACKAGES[tool]) for tool in missing]
    present = [tool for tool in _VERSION_FLAGS if find_tool(tool)]
    return [ok("tools", ", ".join(await asyncio.gather(*map(_version, present))))]


async def check_rights(_case: Case) -> list[Finding]:
    """See whether we, so an agent that we would start, may configure the network."""
    return [judge_rights(Path("/proc/self/status").read_text(), root=os.geteuid() == 0)]


def judge_rights(status: str, *, root: bool) -> Finding:
    """Say what a process of this status may do; who is not root may be none that starts agents."""
    if may_administer(status):
        return ok("rights", f"may configure the network ({'root' if root else 'CAP_NET_ADMIN'})")
    if root:
        return fault("rights", NO_RIGHTS)
    return unknown("rights", "we may not configure the network, perhaps an agent may", _AS_ROOT)


async def check_wireguard(case: Case) -> list[Finding]:
    """See whether the kernel has WireGuard, or wireguard-go can stand in."""
    if case.status:
        return [_told(case.status["node"]["device"])]
    return list(_possible())


def _told(device: str) -> Finding:
    if device == "kernel":
        return ok("wireguard", "the kernel's own")
    return ok("wireguard", "in userspace by wireguard-go: the kernel's own is several times faster")


def _possible() -> Iterator[Finding]:
    if _MODULE.exists():
        yield ok("wireguard", "the kernel's own")
    elif _kernel_lists_wireguard():
        yield ok("wireguard", "the kernel's own, as a module that is loaded when it is needed")
    elif find_tool("wireguard-go") is None:
        yield fault("wireguard", NO_WIREGUARD)
    elif not _TUN.exists():
        yield fault("wireguard", problems.NO_TUN)
    else:
        yield ok("wireguard", "in userspace by wireguard-go, as this kernel has none")


def _kernel_lists_wireguard() -> bool:
    directory = Path("/lib/modules", os.uname().release)
    for name in _MODULE_LISTS:
        try:
            if "/wireguard.ko" in (directory / name).read_text(errors="replace"):
                return True
        except OSError:
            continue
    return False


async def _version(tool: str) -> str:
    """Return the first words with a digit that the tool says of itself."""
    try:
        said = await run(tool, _VERSION_FLAGS[tool], timeout=_PATIENCE)
    except CommandError as error:
        return f"{tool} ({error})"
    words = [word.strip(",") for word in said.split() if any(map(str.isdigit, word))]
    return f"{tool} {words[0] if words else 'of an unknown version'}"
