"""What happened to members in the last hour, put together from what all of them saw of it."""

from collections.abc import Iterable, Mapping, Sequence

from wesher.base.frozen import frozen
from wesher.mesh.base.questions import PastEvent

TOGETHER = 60.0  # seconds between two tellings of one thing: gossip, and a suspicion, take a while
MAX_KEPT = 2000  # events of all members together


@frozen
class SeenEvent:
    """Something that happened, seconds ago as who saw it first tells it, and by how many."""

    ago: float
    what: str
    member: str
    text: str
    seen_by: int


def merge_events(told: Mapping[str, Sequence[PastEvent]]) -> list[SeenEvent]:
    """Return the events of all members, the oldest first, and each once."""
    merged: dict[tuple[str, str], list[SeenEvent]] = {}
    for one in sorted(_all(told), key=lambda one: -one.ago):
        known = merged.setdefault((one.what, one.member), [])
        if known and known[-1].ago - one.ago <= TOGETHER:
            last = known[-1]
            known[-1] = SeenEvent(
                last.ago, last.what, last.member, last.text or one.text, last.seen_by + 1
            )
        else:
            known.append(SeenEvent(one.ago, one.what, one.member, one.text, 1))
    found = sorted((one for some in merged.values() for one in some), key=lambda one: -one.ago)
    return found[-MAX_KEPT:]


def _all(told: Mapping[str, Sequence[PastEvent]]) -> Iterable[PastEvent]:
    return (one for events in told.values() for one in events if one.what != "updated")
