"""What a participant has said, heard and thought, counted since its start."""

from collections import Counter

from wesher.gossip.codec import MessageType
from wesher.gossip.messages import (
    Ack,
    Alive,
    Dead,
    ErrorReply,
    IndirectPing,
    Message,
    Nack,
    Ping,
    PushPull,
    Suspect,
    UserMessage,
)

_TYPES: dict[type[Message], MessageType] = {
    Ping: MessageType.PING,
    IndirectPing: MessageType.INDIRECT_PING,
    Ack: MessageType.ACK,
    Nack: MessageType.NACK,
    Suspect: MessageType.SUSPECT,
    Alive: MessageType.ALIVE,
    Dead: MessageType.DEAD,
    PushPull: MessageType.PUSH_PULL,
    UserMessage: MessageType.USER,
    ErrorReply: MessageType.ERROR,
}


class Stats:
    """Messages by kind, those in packets and those in streams together; joins and so on.

    `joins` counts members that joined or returned;
    `suspicions` are those of others that began here, whoever was the first to accuse.
    """

    def __init__(self) -> None:
        self._received: Counter[type[Message]] = Counter()
        self._sent: Counter[int] = Counter()
        self.joins = 0
        self.suspicions = 0
        self.refutations = 0

    def count_received(self, message: Message) -> None:
        """Count a message that arrived."""
        self._received[type(message)] += 1

    def count_sent(self, encoded: bytes) -> None:
        """Count a message that leaves; its first byte tells the kind."""
        self._sent[encoded[0]] += 1

    @property
    def received(self) -> Counter[MessageType]:
        """How many messages of each kind arrived."""
        return Counter({_TYPES[kind]: count for kind, count in self._received.items()})

    @property
    def sent(self) -> Counter[MessageType]:
        """How many messages of each kind left."""
        return Counter({MessageType(kind): count for kind, count in self._sent.items()})
