"""What happens to members, as it happens, for whoever watches."""

from collections.abc import Mapping

from wesher.gossip import (
    Event,
    Member,
    MemberCleared,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberProven,
    MemberSuspected,
    MemberUpdated,
)
from wesher.gossip.members import Proofs
from wesher.mesh.base.events import MemberEvent, MemberEventKind
from wesher.mesh.base.metadata import Metadata, read_metadata
from wesher.mesh.members import FailedMembers

Place = Mapping[str, object]
"""Where a member is: the addresses of its gossip and in the overlay, as events have them."""


class MemberEvents:
    """Changes not yet handed out, and where each live member was last."""

    def __init__(self, proofs: Proofs) -> None:
        self._proofs = proofs
        self._waiting: list[MemberEvent] = []
        self._places: dict[str, Place] = {}

    def note(self, event: Event, failed: FailedMembers) -> None:
        """Take an event of the gossip; `failed` are those who had failed before it."""
        match event:
            case MemberProven(member):
                self._appear(member, MemberEventKind.JOINED)
            case _ if self._is_of_a_crowd(event):
                pass
            case MemberJoined(member):
                returned = member.name in failed
                self._appear(
                    member, MemberEventKind.RETURNED if returned else MemberEventKind.JOINED
                )
            case MemberUpdated(member):
                before, now = self._places.get(member.name), _place(member)
                moved = before is not None and before != now
                self._appear(
                    member, MemberEventKind.MOVED if moved else MemberEventKind.UPDATED, before
                )
            case MemberSuspected(member):
                self._tell(member, MemberEventKind.SUSPECT)
            case MemberCleared(member):
                self._tell(member, MemberEventKind.CLEARED)
            case MemberFailed(member):
                self._vanish(member, MemberEventKind.FAILED)
            case MemberLeft(member):
                self._vanish(member, MemberEventKind.LEFT)

    def forgot(self, member: Member) -> None:
        """Take note that a failed member was given up for good."""
        self._tell(member, MemberEventKind.FORGOTTEN)

    def drain(self) -> list[MemberEvent]:
        """Return what has not been handed out yet."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def _is_of_a_crowd(self, event: Event) -> bool:
        """Tell whether an event is about somebody of whom nothing is told before it is proven."""
        member = getattr(event, "member", None)
        return member is not None and self._proofs.crowded and self._proofs.waits(member.name)

    def _appear(self, member: Member, what: MemberEventKind, before: Place | None = None) -> None:
        place = self._places[member.name] = _place(member)
        data = dict(place)
        if before is not None and before != place:
            data |= {f"old_{name}": address for name, address in before.items()}
        self._waiting.append(MemberEvent(what, member.name, data))

    def _vanish(self, member: Member, what: MemberEventKind) -> None:
        self._tell(member, what)
        self._places.pop(member.name, None)

    def _tell(self, member: Member, what: MemberEventKind) -> None:
        place = self._places.get(member.name) or _place(member)
        self._waiting.append(MemberEvent(what, member.name, place))


def _place(member: Member) -> Place:
    metadata = read_metadata(member)
    overlay_addr = metadata.overlay_addr if isinstance(metadata, Metadata) else None
    return {"address": member.address, "overlay_address": overlay_addr}
