"""What the mechanisms of one participant have in common, and what holds each of them back.

Probes, gossip, push/pulls and the rest know nothing of each other. They share the table of members,
the news that wait, the outputs, the timers and the random numbers: the `Context`. Nothing here, nor
anywhere in gossip, asks for the time or draws a number that was not handed in.

Two things that all of them heed:

* `Awareness` is Lifeguard's local health. A host that is overloaded gets its acks late and takes
  everybody for dead. So each sign that it is us who are slow (a probe without an answer whose
  relays were silent as well, a claim that we are gone) adds to a score, each ack takes from it, and
  a probe lasts (score + 1) times as long (spec/memberlist.md, 4.15).
* `TokenBucket` limits what others can make us do: whoever has the cluster key, and with it anybody
  that got hold of it, may ask as often as he likes (spec/memberlist.md, 10.2).
"""

from random import Random

from wesher.base.addresses import Address
from wesher.base.timers import Timers
from wesher.gossip.codec import encode
from wesher.gossip.events import MemberProven
from wesher.gossip.members import Member, Members, MemberState
from wesher.gossip.messages import Message
from wesher.gossip.outbox import Broadcasts, Outbox
from wesher.gossip.settings import GossipSettings
from wesher.gossip.streams import Streams
from wesher.gossip.wire import Wire

VERSIONS = bytes([1, 5, 2, 0, 0, 0])
"""Oldest and newest protocol version we understand, and the one we speak; the same of the delegate,
which is what memberlist calls an application: wesher has no versions."""


class Context:
    """The table, the queue, the deadlines, the outputs and the health of one participant."""

    def __init__(self, settings: GossipSettings, wire: Wire, rng: Random, timers: Timers) -> None:
        self.settings = settings
        self.timing = settings.timing
        self.versions = VERSIONS
        self.rng = rng
        self.members = Members(settings.name, rng, settings.max_unproven)
        self.awareness = Awareness(settings.timing.awareness_max)
        self.timers = timers
        self.broadcasts = Broadcasts(settings.name, eager=settings.eager)
        self.outbox = Outbox(wire, self.members, self.broadcasts, settings.timing.retransmit_mult)
        self.streams = Streams(wire, timers, self.outbox)

    def broadcast(self, subject: str, message: Message, *, at_once: bool = True) -> None:
        """Queue news for everybody; while we only look, what we hear we need not pass on.

        Nor what concerns those of a crowd who have not answered us: others hear of it when they do.
        """
        if self.members.local is not None and not self.members.proofs.waits(subject):
            self.broadcasts.queue(subject, encode(message), at_once=at_once)

    def prove(self, member: Member, source: Address) -> None:
        """Take note that `source` has answered for a member: a proof if that is its address.

        Elsewhere somebody may have guessed the number that the ack must bear.
        """
        if source.ip != member.address.ip:
            return
        waited = self.members.proofs.waits(member.name)
        if self.members.prove(member) and waited:
            held = self.members.get(member.name) or member
            if held.state is MemberState.ALIVE:
                self.broadcast(held.name, held.as_alive())
            self.outbox.emit(MemberProven(held))


class Awareness:
    """Our health score: 0 is healthy; the sicker we are, the longer our probes wait."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.score = 0

    def adjust(self, delta: int) -> None:
        """Add `delta`, keeping the score from 0 to below the limit."""
        self.score = max(0, min(self.score + delta, self._limit - 1))

    def scale(self, interval: float) -> float:
        """Return `interval` stretched by our health."""
        return interval * (self.score + 1)


class TokenBucket:
    """Allows `rate` actions a second, and `burst` at once after a quiet while, as many if None."""

    def __init__(self, rate: float, burst: float | None = None) -> None:
        self._rate = rate
        self._burst = self._tokens = rate if burst is None else burst
        self._filled_at = float("-inf")

    def has_room(self, now: float) -> bool:
        """Tell whether one more action is within the limit."""
        filled = self._tokens + (now - self._filled_at) * self._rate
        self._tokens = min(self._burst, filled)
        self._filled_at = now
        return self._tokens >= 1

    def allow(self, now: float) -> bool:
        """Tell whether one more action is within the limit, and count it."""
        if not self.has_room(now):
            return False
        self._tokens -= 1
        return True
