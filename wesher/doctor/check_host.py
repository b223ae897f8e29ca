"""Is this host able to run a mesh at all: tools, rights, WireGuard, its hosts file, its clock?"""

import asyncio
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from wesher.base.errors import CommandError
from wesher.base.problems import NO_RIGHTS, NO_TOOL, NO_WIREGUARD
from wesher.doctor.context import Case
from wesher.doctor.findings import Finding, fault, ok, unknown
from wesher.doctor.problems import HOSTS_FILE, NO_TUN
from wesher.system import files
from wesher.system.hosts import banner
from wesher.system.interface import PACKAGES, may_administer
from wesher.system.shell import find_tool, run

_MODULE = Path("/sys/module/wireguard")
_MODULE_LISTS = ("modules.builtin", "modules.dep")
_TUN = Path("/dev/net/tun")
_VERSION_FLAGS = {"wg": "--version", "ip": "-V", "wireguard-go": "--version"}
_AS_ROOT = "run this as root"
_PATIENCE = 2.0  # seconds for a tool to tell its version
_TIMEX_SIZE = 256  # bytes, more than struct timex has anywhere
_UNSYNCHRONISED = 5  # TIME_ERROR, adjtimex(2)
_FAILED = -1


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
        yield fault("wireguard", NO_TUN)
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


async def check_hosts_file(case: Case) -> list[Finding]:
    """See whether our entries can be written."""
    settings = case.settings
    if not settings.etc_hosts:
        return [ok("hosts-file", "left alone, as --no-etc-hosts says")]
    if error := _error_of(settings.hosts_file):
        return [judge_hosts_file(settings.hosts_file, error, root=os.geteuid() == 0)]
    lines = files.read(settings.hosts_file).splitlines()
    ours = sum(line.rstrip().endswith(banner(case.settings.interface)) for line in lines)
    entries = "1 entry" if ours == 1 else f"{ours} entries"
    return [ok("hosts-file", f"{settings.hosts_file} is writable, with {entries} of ours")]


def _error_of(file: Path) -> OSError | None:
    """Open the file for writing, without doing so."""
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CLOEXEC))
    except OSError as error:
        return error
    return None


def judge_hosts_file(file: Path, error: OSError, *, root: bool) -> Finding:
    """Say why the file cannot be written; what only we may not, an agent may."""
    reason = (error.strerror or str(error)).lower()
    if isinstance(error, PermissionError) and not root:
        return unknown("hosts-file", f"{file}: {reason}", "run this as root")
    return fault("hosts-file", HOSTS_FILE, file=file, reason=reason)


async def check_clock(_case: Case) -> list[Finding]:
    """Tell whether the clock is synchronised: for information, nothing of ours depends on it."""
    state = _clock_state()
    if state == _FAILED:
        return [unknown("clock", "the kernel does not tell whether the clock is synchronised")]
    if state == _UNSYNCHRONISED:
        return [
            ok(
                "clock",
                "not synchronised, as far as the kernel knows; that matters only when it jumps "
                "back: WireGuard then refuses handshakes until it has caught up",
            )
        ]
    return [ok("clock", "synchronised")]


def _clock_state() -> int:
    """Ask the kernel with adjtimex(2), setting nothing."""
    nothing_to_set = ctypes.create_string_buffer(_TIMEX_SIZE)
    try:
        return int(ctypes.CDLL(None).adjtimex(nothing_to_set))
    except (OSError, AttributeError):
        return _FAILED
