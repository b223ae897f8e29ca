"""Failed members that we still try to reach; gossip itself forgets them within a minute."""

from collections.abc import Iterable, Iterator
from math import inf

from wesher.gossip import Member, MemberState, pack_ip
from wesher.mesh.base.saved import SavedMember

MAX_REMEMBERED = 1000  # members; the longest failed are dropped
_VERSIONS = bytes([1, 5, 2, 0, 0, 0])  # what every member of ours and of Go's speaks


class FailedMembers:
    """Failed members as they were last seen, the longest failed first.

    Instants are of whatever clock the caller uses, as long as it is one.
    """

    def __init__(self) -> None:
        self._failed: dict[str, tuple[float, Member]] = {}
        self._never_answered: set[str] = set()
        self._known_before: set[str] = set()
        self.revision = 0
        """How often it has changed who they are."""

    def __len__(self) -> int:
        return len(self._failed)

    def __contains__(self, name: str) -> bool:
        return name in self._failed

    def __iter__(self) -> Iterator[Member]:
        return (member for _, member in self._failed.values())

    def get(self, name: str) -> Member | None:
        """Return a failed member as it was last seen."""
        entry = self._failed.get(name)
        return entry[1] if entry else None

    def failed_at(self, name: str) -> float | None:
        """Return when the member failed, or None when it is not remembered."""
        entry = self._failed.get(name)
        return entry[0] if entry else None

    def add(self, member: Member, failed_at: float, *, answered: bool = True) -> None:
        """Remember a member that failed; one remembered already has failed since then.

        Who never `answered` us, and whom no earlier start knew, may be an invention: the next start
        does not hear of it.
        """
        if not answered and member.name not in self._known_before:
            self._never_answered.add(member.name)
        self.revision += 1
        since = self.failed_at(member.name)
        is_newest = not self._failed or failed_at >= self._failed[next(reversed(self._failed))][0]
        self._failed[member.name] = (failed_at if since is None else since, member)
        if since is None and not is_newest:
            self._failed = dict(sorted(self._failed.items(), key=lambda item: item[1][0]))
        if len(self._failed) > MAX_REMEMBERED:
            del self._failed[next(iter(self._failed))]

    def restore(self, members: Iterable[SavedMember], now: float) -> None:
        """Remember what an earlier start knew; who was alive then has failed until it is found."""
        for saved in members:
            self._known_before.add(saved.name)
            since = now if saved.failed_at is None else min(saved.failed_at, now)
            addr = pack_ip(saved.address.ip)
            held = (saved.meta, _VERSIONS, saved.incarnation, MemberState.DEAD, since)
            self.add(Member(saved.name, addr, saved.address.port, *held), since)

    def to_save(self) -> list[Member]:
        """Return those that the next start should know."""
        return [one for one in self if one.name not in self._never_answered]

    def drop(self, name: str) -> None:
        """Forget a member that came back, left, or was forgotten by the operator."""
        self.revision += name in self._failed
        self._failed.pop(name, None)
        self._never_answered.discard(name)

    def expire(self, now: float, forget_after: float) -> list[Member]:
        """Forget and return the members that failed `forget_after` seconds ago or earlier."""
        over = []
        for failed_at, member in self._failed.values():
            if failed_at + forget_after > now:
                break
            over.append(member)
        for member in over:
            self.drop(member.name)
        return over

    def shift(self, seconds: float) -> None:
        """Count everybody as failed so much earlier: the clock stood still meanwhile."""
        self._failed = {
            name: (failed_at - seconds, member)
            for name, (failed_at, member) in self._failed.items()
        }

    def next_timer(self, forget_after: float) -> float | None:
        """Return when `expire` has something to do, or None if never."""
        if not self._failed or forget_after == inf:
            return None
        failed_at, _ = next(iter(self._failed.values()))
        return failed_at + forget_after
