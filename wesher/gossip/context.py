"""What the mechanisms of one participant have in common."""

from random import Random

from wesher.base.timers import Timers
from wesher.gossip.addresses import Address
from wesher.gossip.awareness import Awareness
from wesher.gossip.broadcasts import Broadcasts
from wesher.gossip.codec import encode
from wesher.gossip.events import MemberProven
from wesher.gossip.members import Member, Members, MemberState
from wesher.gossip.messages import Message
from wesher.gossip.outbox import Outbox
from wesher.gossip.settings import GossipSettings
from wesher.gossip.wire import Wire

PROTOCOL_VERSIONS = bytes([1, 5, 2])
"""Oldest and newest protocol version we understand, and the one we speak."""


class Context:
    """The table, the queue, the deadlines, the outputs and the health of one participant."""

    def __init__(self, settings: GossipSettings, wire: Wire, rng: Random, timers: Timers) -> None:
        self.settings = settings
        self.timing = settings.timing
        self.versions = PROTOCOL_VERSIONS + bytes(settings.delegate_versions)
        self.rng = rng
        self.members = Members(settings.name, rng, settings.max_unproven)
        self.awareness = Awareness(settings.timing.awareness_max)
        self.timers = timers
        self.broadcasts = Broadcasts(settings.name, eager=settings.eager)
        self.outbox = Outbox(
            wire, self.members, self.broadcasts, self.timers, settings.timing.retransmit_mult
        )

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
