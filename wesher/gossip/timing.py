"""Timing presets, and the formulas that scale with the cluster.

See spec/memberlist.md, 4.6, 4.7, 4.13, 5.
"""

import math

from wesher.base.frozen import frozen


@frozen
class Timing:
    """One preset; durations in seconds."""

    stream_timeout: float
    """Whole time one TCP exchange may take."""
    indirect_checks: int
    retransmit_mult: int
    suspicion_mult: int
    suspicion_max_timeout_mult: int
    push_pull_interval: float
    probe_timeout: float
    """How long a direct ping may stay unanswered; never scaled by awareness."""
    probe_interval: float
    awareness_max: int
    """The health score stays below this."""
    gossip_members: int
    """Members one gossip round is sent to."""
    gossip_interval: float
    gossip_to_the_dead: float
    """How long dead members are still told news; also the age at which they are reaped."""


WAN = Timing(30, 3, 4, 6, 6, 60, 3, 5, 8, 4, 0.5, 60)
LAN = Timing(10, 3, 4, 4, 6, 30, 0.5, 1, 8, 3, 0.2, 30)
LOCAL = Timing(1, 1, 2, 3, 6, 15, 0.2, 1, 8, 3, 0.1, 15)

PRESETS = {"wan": WAN, "lan": LAN, "local": LOCAL}


def transmit_limit(mult: int, members: int) -> int:
    """Return how often one broadcast may be sent in a cluster of `members`.

    See spec/memberlist.md, 4.6.
    """
    return mult * math.ceil(math.log10(members + 1))


def suspicion_timeout(timing: Timing, members: int) -> float:
    """Return the shortest time a suspicion lasts, in seconds (spec/memberlist.md, 4.7)."""
    scale = math.floor(1000 * max(1.0, math.log10(max(1, members))))
    return timing.suspicion_mult * scale * timing.probe_interval / 1000


def push_pull_scale(members: int) -> int:
    """Return by how much the push/pull interval grows: 1 up to 32 members.

    See spec/memberlist.md, 4.13.
    """
    return 1 if members <= 32 else math.ceil(math.log2(members) - 5) + 1
