"""The rest of this host: its hosts file and its clock."""

import ctypes
import os
from pathlib import Path

from wesher.base import problems
from wesher.doctor.context import Case
from wesher.doctor.findings import Finding, fault, ok, unknown
from wesher.doctor.formatting import counted
from wesher.system import files
from wesher.system.hosts import banner

_TIMEX_SIZE = 256  # bytes, more than struct timex has anywhere
_UNSYNCHRONISED = 5  # TIME_ERROR, adjtimex(2)
_FAILED = -1


async def check_hosts_file(case: Case) -> list[Finding]:
    """See whether our lines can be written."""
    settings = case.settings
    if not settings.etc_hosts:
        return [ok("hosts-file", "left alone, as --no-etc-hosts says")]
    if error := _error_of(settings.hosts_file):
        return [judge_hosts_file(settings.hosts_file, error, root=os.geteuid() == 0)]
    lines = files.read(settings.hosts_file).splitlines()
    ours = sum(line.rstrip().endswith(banner(case.interface)) for line in lines)
    return [
        ok("hosts-file", f"{settings.hosts_file} is writable, with {counted(ours, 'line')} of ours")
    ]


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
    return fault("hosts-file", problems.HOSTS_FILE, file=file, reason=reason)


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
