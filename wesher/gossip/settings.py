"""Who a participant is and how it behaves."""

from dataclasses import dataclass

from wesher.gossip.timing import WAN, Timing


@dataclass(frozen=True, slots=True)
class GossipSettings:
    """Settings of one participant, fixed for its life.

    `addr` are network-order bytes (see `pack_ip`). `delegate_versions` are oldest, newest and
    current. `eager` is gossip at once, and asking around after a join. A member dead for more than
    `reclaim_after` seconds may come back at another address; 0 is never. `stream_pings` lets probes
    try TCP.
    """

    name: str
    addr: bytes
    port: int
    timing: Timing = WAN
    delegate_versions: tuple[int, int, int] = (0, 0, 0)
    eager: bool = True
    max_members: int = 16384
    reclaim_after: float = 0
    stream_pings: bool = True
