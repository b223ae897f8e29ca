"""What the host must provide before anything can start."""

from pathlib import Path

from wesher.errors import StartError
from wesher.system.shell import find_tool

_PACKAGES = {"wg": "wireguard-tools", "ip": "iproute2"}
_CAP_NET_ADMIN = 12  # linux/capability.h


def check_requirements(status_file: Path = Path("/proc/self/status")) -> None:
    """Raise StartError, saying what to do, when a right or a tool is missing."""
    if not _may_administer(status_file.read_text()):
        raise StartError(
            "configuring the network needs CAP_NET_ADMIN: run wesher as root (`sudo wesher`), "
            "or give its systemd unit AmbientCapabilities=CAP_NET_ADMIN"
        )
    for tool, package in _PACKAGES.items():
        if find_tool(tool) is None:
            raise StartError(f"`{tool}` is not installed: run `apt install {package}`")


def _may_administer(status: str) -> bool:
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_NET_ADMIN & 1)
    return False
