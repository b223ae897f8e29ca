"""Who a participant is and how it behaves."""

from wesher.base.frozen import frozen
from wesher.gossip.members import MAX_UNPROVEN
from wesher.gossip.timing import WAN, Timing


@frozen
class GossipSettings:
    """Settings of one participant, fixed for its life.

    `addr` are network-order bytes (see `pack_ip`). `delegate_versions` are oldest, newest and
    current. `eager` is gossip at once, and asking around after a join. A member dead for more than
    `reclaim_after` seconds may come back at another address; 0 is never. A probe sends up to
    `pings` within its timeout, memberlist's one; `stream_pings` lets it try TCP after that. Pings
    are numbered from `first_sequence` on, which should be random: an ack carries nothing but the
    number, and a recording of an earlier start's must not fit. With `max_members` known, newcomers
    take the places of who has never answered; more than `max_unproven` of these are a crowd.
    """

    name: str
    addr: bytes
    port: int
    timing: Timing = WAN
    delegate_versions: tuple[int, int, int] = (0, 0, 0)
    eager: bool = True
    max_members: int = 16384
    max_unproven: int = MAX_UNPROVEN
    reclaim_after: float = 0
    pings: int = 3
    stream_pings: bool = True
    first_sequence: int = 0
