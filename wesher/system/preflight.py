"""What the host must provide before anything can start."""

from pathlib import Path

from wesher.base.errors import StartError
from wesher.base.problems import NO_RIGHTS, NO_TOOL
from wesher.system.shell import find_tool

PACKAGES = {"wg": "wireguard-tools", "ip": "iproute2"}
_CAP_NET_ADMIN = 12  # linux/capability.h


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
