"""What the mechanisms of one participant have in common."""

from random import Random

from wesher.gossip.awareness import Awareness
from wesher.gossip.broadcasts import Broadcasts
from wesher.gossip.codec import encode
from wesher.gossip.deadlines import Deadlines
from wesher.gossip.members import Members
from wesher.gossip.messages import Message
from wesher.gossip.outbox import Outbox
from wesher.gossip.settings import GossipSettings
from wesher.gossip.wire import Wire

PROTOCOL_VERSIONS = bytes([1, 5, 2])
"""Oldest and newest protocol version we understand, and the one we speak."""


class Shared:
    """The table, the queue, the deadlines, the outputs and the health of one participant."""

    def __init__(self, settings: GossipSettings, wire: Wire, rng: Random) -> None:
        self.settings = settings
        self.timing = settings.timing
        self.versions = PROTOCOL_VERSIONS + bytes(settings.delegate_versions)
        self.rng = rng
        self.members = Members(settings.name, rng)
        self.awareness = Awareness(settings.timing.awareness_max)
        self.deadlines = Deadlines()
        self.broadcasts = Broadcasts(settings.name, eager=settings.eager)
        self.outbox = Outbox(
            wire, self.members, self.broadcasts, self.deadlines, settings.timing.retransmit_mult
        )

    def broadcast(self, subject: str, message: Message, *, at_once: bool = True) -> None:
        """Queue news for everybody; while we only look, what we hear we need not pass on."""
        if self.members.local is not None:
            self.broadcasts.queue(subject, encode(message), at_once=at_once)
