"""What we threw away: counted by reason, and who sent lately what no key of ours opens."""

from collections import Counter, OrderedDict

from wesher.base.frozen import frozen
from wesher.gossip import DropReason, PacketDropped

LATELY = 600.0  # seconds
MAX_SOURCES = 32  # strangers can invent as many as they like


@frozen
class UnknownSource:
    """Somebody who sent `count` things that no key of ours opens, the last at `last_at`.

    `mended` says that it has our key since then.
    """

    ip: str
    count: int
    last_at: float
    mended: bool = False


class DroppedPackets:
    """Counts of everything dropped since the start, and the newest strangers."""

    def __init__(self) -> None:
        self.reasons: Counter[DropReason] = Counter()
        self._strangers: OrderedDict[str, UnknownSource] = OrderedDict()

    def add(self, event: PacketDropped, now: float) -> None:
        """Count one."""
        self.reasons[event.reason] += 1
        if event.reason is DropReason.UNDECRYPTABLE:
            self._meet(event.source.ip, now)

    def strangers(self, now: float) -> list[UnknownSource]:
        """Return who sent something undecryptable lately, the newest last."""
        return [one for one in self._strangers.values() if now - one.last_at < LATELY]

    def _meet(self, ip: str, now: float) -> None:
        known = self._strangers.pop(ip, None)
        count = known.count if known and now - known.last_at < LATELY else 0
        self._strangers[ip] = UnknownSource(ip, count + 1, now)
        if len(self._strangers) > MAX_SOURCES:
            self._strangers.popitem(last=False)
