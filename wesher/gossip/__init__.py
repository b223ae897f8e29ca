"""The membership protocol: bytes, time and commands in; packets, streams and events out. Pure."""

from wesher.gossip.addresses import Address, pack_ip, short_form, unpack_ip
from wesher.gossip.core import Gossip
from wesher.gossip.counts import Counts
from wesher.gossip.events import (
    AddressConflict,
    ClaimRefused,
    DropReason,
    Event,
    ExchangeFinished,
    LeaveFinished,
    MemberCleared,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberUpdated,
    PacketDropped,
    PingFinished,
    Refuted,
    SeenElsewhere,
    TcpOnly,
    UserDataReceived,
)
from wesher.gossip.keyring import Keyring
from wesher.gossip.members import Member, Members, MemberState
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
    Record,
    RecordState,
    Suspect,
    UserMessage,
)
from wesher.gossip.outbox import Packet, StreamRequest
from wesher.gossip.push_pull import MAX_INBOUND_EXCHANGES
from wesher.gossip.settings import GossipSettings
from wesher.gossip.timing import LAN, LOCAL, PRESETS, WAN, Timing
from wesher.gossip.wire import Wire

__all__ = [
    "LAN",
    "LOCAL",
    "MAX_INBOUND_EXCHANGES",
    "PRESETS",
    "WAN",
    "Ack",
    "Address",
    "AddressConflict",
    "Alive",
    "ClaimRefused",
    "Counts",
    "Dead",
    "DropReason",
    "ErrorReply",
    "Event",
    "ExchangeFinished",
    "Gossip",
    "GossipSettings",
    "IndirectPing",
    "Keyring",
    "LeaveFinished",
    "Member",
    "MemberCleared",
    "MemberFailed",
    "MemberJoined",
    "MemberLeft",
    "MemberState",
    "MemberUpdated",
    "Members",
    "Message",
    "Nack",
    "Packet",
    "PacketDropped",
    "Ping",
    "PingFinished",
    "PushPull",
    "Record",
    "RecordState",
    "Refuted",
    "SeenElsewhere",
    "StreamRequest",
    "Suspect",
    "TcpOnly",
    "Timing",
    "UserDataReceived",
    "UserMessage",
    "Wire",
    "pack_ip",
    "short_form",
    "unpack_ip",
]
