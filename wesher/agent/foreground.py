"""What an agent in the foreground tells of: the others who come and go, and what its end undid.

Imported on a terminal only. What it prints is written by `tell`, so that nobody here ever waits for
a terminal that has stopped reading.
"""

import sys
import time
from collections.abc import Sequence

from wesher.agent.own_address import Underlay
from wesher.base.addresses import Address
from wesher.base.errors import AgentError, printable
from wesher.config.config import Config
from wesher.control.invitations import Invitations, addresses_of, command
from wesher.mesh.base.events import MemberEvent, MemberEventKind
from wesher.mesh.base.plan import IPAddress
from wesher.system.log import tell

TTL = 3600.0  # seconds for which the first invitation of a mesh is good,
USES = 100  # hosts that it lets in: the key that is shown beside it lets in any number, for ever

_WORDS = {
    MemberEventKind.JOINED: "joined",
    MemberEventKind.LEFT: "left",
    MemberEventKind.FAILED: "failed",
    MemberEventKind.RETURNED: "returned",
    MemberEventKind.MOVED: "moved",
    MemberEventKind.FORGOTTEN: "was forgotten",
}
"""What is told; who is suspected, cleared or updated asks for nothing to be done."""

_GONE = {MemberEventKind.LEFT, MemberEventKind.FAILED, MemberEventKind.FORGOTTEN}


class Foreground:
    """Tells a terminal, one line each; members that are met before the interface is up as one."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._alive: set[str] = set()
        self._up = False
        # At these levels the log says the same on the same terminal.
        self._logged = config.log_level in ("debug", "info") and sys.stderr.isatty()

    async def invite(self, invitations: Invitations, underlay: Underlay) -> None:
        """Tell what to type on the next hosts, when the cluster is new."""
        advertised = Address(str(underlay.advertise), self._config.told_port)
        addresses = addresses_of(self._config, advertised, underlay.network)
        try:
            _, token = await invitations.issue(TTL, USES, addresses)
        except AgentError as error:
            tell(f"no other host is invited: {error}")
        else:
            tell(f"on every other host, within an hour: {command(token)}")

    def up(self, address: IPAddress) -> None:
        """Tell that the interface is up, and from now on of each member."""
        self._up = True
        met = f"met {_counted(len(self._alive))}" if self._alive else "waiting for members"
        if not self._logged:
            tell(f"{self._config.interface} up as {address}, {met}")

    def happened(self, event: MemberEvent) -> None:
        """Take note of what happened to a member, and tell of it."""
        if event.what in _GONE:
            self._alive.discard(event.member)
        else:
            self._alive.add(event.member)
        if self._up and not self._logged and event.what in _WORDS:
            tell(printable(f"{time.strftime('%H:%M:%S')} {describe(event, len(self._alive))}"))

    def stopped(self, removed: Sequence[str], *, left: bool, keeps: bool) -> None:
        """Tell what the end `removed`, or that it `keeps` everything, and whether we `left`."""
        name = self._config.interface
        how = "left the mesh" if left else "stopped"
        if keeps:
            how += f"; {name} and what leads to it stay for the next start"
        elif removed:
            how += f"; removed {' and '.join(removed)}"
        tell(f"\r{how}")  # over the ^C


def describe(event: MemberEvent, alive: int) -> str:
    """Return what happened to a member, where it is, and how many others are alive now."""
    others = "1 other" if alive == 1 else f"{alive or 'no'} others"
    return f"{event.member} {_WORDS[event.what]} ({_place(event)}), {others} alive"


def _place(event: MemberEvent) -> str:
    """Return the address in the overlay, and what was changed by a move."""
    for name in ("overlay_address", "address"):
        old, new = event.data.get(f"old_{name}"), event.data.get(name)
        if old is not None and old != new:
            return f"{old} -> {new or 'none'}"
    return str(event.data.get("overlay_address") or "no overlay address")


def _counted(members: int) -> str:
    return "1 member" if members == 1 else f"{members} members"
