"""Who a participant is, and its times: presets, what grows with the cluster, timers.

The presets are memberlist's DefaultWANConfig, DefaultLANConfig and DefaultLocalConfig, number for
number (spec/memberlist.md, 5), since members whose times differ suspect each other: a cluster has
one preset. Of its times

* `probe_timeout` < `probe_interval`: what is left is for the other ways to the member, and a relay
  that heard nothing says so before the probe ends (only in good health, spec/memberlist.md, 4.8);
* `gossip_interval` is what news takes for each hop, and `retransmit_mult * log10(members)` rounds
  of it reach everybody, almost surely, though packets are lost;
* a suspicion lasts at least `suspicion_mult * log10(members)` probe intervals, so that who is
  suspected has heard of it and has been heard again: both travel by gossip.
"""

import math
from enum import StrEnum

from wesher.base.frozen import frozen, replace
from wesher.gossip.members import MAX_MEMBERS, MAX_UNPROVEN


@frozen
class Timing:
    """One preset; durations in seconds, memberlist's name of each in brackets."""

    stream_timeout: float
    """Whole time one TCP exchange may take (TCPTimeout)."""
    probe_interval: float
    """From one probe to the next; a probe lasts as long, or longer in bad health."""
    probe_timeout: float
    """How long a direct ping may stay unanswered; never scaled by awareness."""
    indirect_checks: int
    """How many others are asked to ping who did not answer."""
    awareness_max: int
    """The health score stays below this (AwarenessMaxMultiplier)."""
    suspicion_mult: int
    """Probe intervals a suspicion lasts at least, for each power of ten of members. Two less are
    the confirmations that make it as short as that."""
    suspicion_max_timeout_mult: int
    """How many times as long it lasts that nobody confirms."""
    gossip_interval: float
    gossip_members: int
    """Members one gossip round is sent to (GossipNodes)."""
    retransmit_mult: int
    """Times that news is sent, for each power of ten of members."""
    gossip_to_the_dead: float
    """How long dead members are still told news; also the age at which they are reaped."""
    push_pull_interval: float


WAN = Timing(
    stream_timeout=30,
    probe_interval=5,
    probe_timeout=3,
    indirect_checks=3,
    awareness_max=8,
    suspicion_mult=6,
    suspicion_max_timeout_mult=6,
    gossip_interval=0.5,
    gossip_members=4,
    retransmit_mult=4,
    gossip_to_the_dead=60,
    push_pull_interval=60,
)
LAN = replace(
    WAN,
    stream_timeout=10,
    probe_interval=1,
    probe_timeout=0.5,
    suspicion_mult=4,
    gossip_interval=0.2,
    gossip_members=3,
    gossip_to_the_dead=30,
    push_pull_interval=30,
)
LOCAL = replace(
    LAN,
    stream_timeout=1,
    probe_timeout=0.2,
    indirect_checks=1,
    suspicion_mult=3,
    gossip_interval=0.1,
    retransmit_mult=2,
    gossip_to_the_dead=15,
    push_pull_interval=15,
)
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


@frozen
class GossipSettings:
    """Settings of one participant, fixed for its life.

    `addr` are network-order bytes (see `pack_ip`). Pings are numbered from `first_sequence` on,
    which should be random: an ack carries nothing but the number, and a recording of an earlier
    start's must not fit. With `max_members` known, newcomers take the places of who has never
    answered; more than `max_unproven` of these are a crowd.

    `eager` is gossip at once, and asking around after a join; a probe sends up to `pings` within
    its timeout. Without the former and with one ping we behave as memberlist does: so the
    simulator's Go members are made, and the benchmarks' comparisons.
    """

    name: str
    addr: bytes
    port: int
    timing: Timing = WAN
    first_sequence: int = 0
    max_members: int = MAX_MEMBERS
    max_unproven: int = MAX_UNPROVEN
    eager: bool = True
    pings: int = 3


class Timer(StrEnum):
    """What a participant waits for."""

    PROBE = "probe"
    """The next member's turn to be probed."""
    PROBE_AGAIN = "probe again"
    """The probed member has not answered: ping it again, or try the other ways."""
    ACK = "ack"
    """The end of a wait for an ack, by sequence number."""
    SUSPICION = "suspicion"
    """A suspect is declared dead, by name."""
    GOSSIP = "gossip"
    GOSSIP_EAGERLY = "gossip eagerly"
    PUSH_PULL = "push/pull"
    EARLY_PUSH_PULL = "early push/pull"
    STREAM = "stream"
    """The time that a TCP exchange may take, by its number."""
    TRIALS = "trials"
    LEAVE = "leave"
