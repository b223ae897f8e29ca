"""A host that was renamed is the same member under another name.

Nothing of it has changed but its name: state file, interface, addresses. Under the old name it
would stay a failed member of all others for a day, with the WireGuard key and the overlay address
that it has now. So it says that the old name has left, and keeps its address. It only does so if it
is the host that had the name, and no copy of its disk: by its WireGuard key, which is in the
kernel, or by its underlay address. A live member that has the name by now keeps it.
"""

from collections.abc import Iterable

from wesher.gossip import Record, pack_ip, short_form
from wesher.mesh.base.metadata import Announced, read_key
from wesher.mesh.base.settings import NodeSettings, Saved


class EarlierName:
    """The name that this host had at its last start, "" if it has it still or that is not known."""

    def __init__(self, saved: Saved, settings: NodeSettings) -> None:
        before = saved.this_host
        is_us = before is not None and (
            before.public_key == settings.public_key or before.ip == settings.ip
        )
        self.name = before.name if before and is_us and before.name != settings.name else ""
        self.incarnation = saved.incarnation
        self._keys = {settings.public_key, before.public_key} if before else set()
        self._addr = short_form(pack_ip(settings.ip))

    def live(self, members: Iterable[Record]) -> Record | None:
        """Return the live member that has our earlier name."""
        return next((one for one in members if self.name and one.name == self.name), None)

    def is_us(self, member: Announced) -> bool:
        """Tell whether it is this host as it was that is announced under the earlier name."""
        return read_key(member.meta) in self._keys or short_form(member.addr) == self._addr

    def others(self, members: Iterable[Announced]) -> list[Announced]:
        """Return those that are not us."""
        return [one for one in members if one.name != self.name or not self.is_us(one)]
