"""The membership protocol as one object: bytes, time and commands in; what is to be done out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from wesher.errors import ProtocolError, UndecryptableError
from wesher.gossip.addresses import Address, short_form
from wesher.gossip.awareness import Awareness
from wesher.gossip.broadcasts import Broadcasts
from wesher.gossip.codec import decode_stream, encode
from wesher.gossip.deadlines import Deadlines
from wesher.gossip.events import (
    AddressConflict,
    DropReason,
    Event,
    LeaveFinished,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberUpdated,
    Refuted,
    UserDataReceived,
)
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
from wesher.gossip.outbox import Answer, Outbox, Packet, StreamRequest
from wesher.gossip.pings import Pings, reply_address
from wesher.gossip.probe import Probes
from wesher.gossip.push_pull import Exchanges
from wesher.gossip.rates import TokenBucket
from wesher.gossip.refusal import MAX_INCARNATION, MAX_META, flaw_of_alive, flaw_of_claim
from wesher.gossip.spread import Spread
from wesher.gossip.suspicion import Suspicion
from wesher.gossip.timing import WAN, Timing
from wesher.gossip.wire import Wire

PROTOCOL_VERSIONS = bytes([1, 5, 2])
"""Oldest and newest protocol version we understand, and the one we speak."""
ERROR_REPLIES_PER_SECOND = 10
LEAVE_ROUNDS = 2  # periodic gossip rounds that carry our departure
LEAVE_TIMEOUT = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class GossipSettings:
    """Who we are and how we behave; addresses in network-order bytes, see `pack_ip`.

    `eager` is gossip at once, and asking around after a join. A dead member that appears at another address
    is taken for the same one when it is dead for `reclaim_after` seconds; 0 is never. `delegate_versions`
    are minimum, maximum and current.
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


class Gossip:
    """One participant, silent at first: it answers pings and push/pulls, but announces nothing.

    Inputs take the time in seconds, from any start, never running backwards. After each of them the owner
    drains `packets_to_send`, `streams_to_open` and `events`, and calls `handle_timer` at `next_timer`.
    """

    def __init__(self, settings: GossipSettings, wire: Wire, rng: Random) -> None:
        timing = settings.timing
        self.settings = settings
        self.members = Members(settings.name, rng)
        self.accept: Callable[[Alive], bool] | None = None
        """Our owner's word on each alive message about others, before it has any effect."""
        self._wire = wire
        self._rng = rng
        self._versions = PROTOCOL_VERSIONS + bytes(settings.delegate_versions)
        self._incarnation = 0
        self._leaving = False
        self._left = False
        self._learnt = 0
        self._suspicions: dict[str, Suspicion] = {}
        self._error_replies = TokenBucket(ERROR_REPLIES_PER_SECOND)
        self._awareness = Awareness(timing.awareness_max)
        self._deadlines = Deadlines()
        self._broadcasts = Broadcasts(eager=settings.eager)
        self._outbox = Outbox(
            wire, self.members, self._broadcasts, self._deadlines, timing.retransmit_mult
        )
        self._pings = Pings(self.members, self._outbox, self._deadlines, timing)
        self._probes = Probes(
            settings.name,
            timing,
            self.members,
            self._pings,
            self._outbox,
            self._deadlines,
            self._awareness,
            self._suspect,
            by_stream=settings.stream_pings,
        )
        self._spread = Spread(timing, self.members, self._broadcasts, self._outbox, self._deadlines)
        self._exchanges = Exchanges(
            timing,
            self.members,
            self._outbox,
            self._deadlines,
            rng,
            self._take_table,
            early=settings.eager,
        )
        self._handlers: dict[type[Message], Callable[[Any, Address, float], None]] = {
            Ping: self._on_ping,
            IndirectPing: self._on_indirect_ping,
            Ack: self._on_ack,
            Nack: self._on_nack,
            Suspect: self._on_suspect,
            Alive: self._on_alive,
            Dead: self._on_dead,
            UserMessage: self._on_user_message,
        }
        self._requests: dict[type[Message], Callable[[Any, Address, float], bytes | None]] = {
            PushPull: self._on_push_pull,
            Ping: self._on_stream_ping,
            UserMessage: self._on_stream_user_message,
        }

    # State

    @property
    def local(self) -> Member | None:
        """Our own record, once announced."""
        return self.members.local

    @property
    def health(self) -> int:
        """Our health score: 0 is healthy, the timing's `awareness_max` less one is worst."""
        return self._awareness.score

    @property
    def user_state(self) -> bytes:
        """Bytes of our owner that go with every table we send."""
        return self._exchanges.user_state

    @user_state.setter
    def user_state(self, state: bytes) -> None:
        self._exchanges.user_state = state

    # Inputs from the network and the clock

    def receive_packet(self, data: bytes, source: Address, now: float) -> None:
        """Take one datagram."""
        opened = self._wire.open_packet(data)
        for reason, detail in opened.problems:
            self._outbox.drop(source, reason, detail)
        for message in opened.messages:
            self._handlers[type(message)](message, source, now)
        self._settle(now)

    def receive_request(self, data: bytes, source: Address, now: float) -> bytes | None:
        """Take all that a connection from `source` sent; return the reply, None to just close it."""
        if self._exchanges.end_if_ours(data, now):
            return None
        try:
            plain = self._wire.unseal_frame(data)
        except ProtocolError as error:
            return self._refuse_stream(data, source, error, now)
        reply = self._answer(plain, source, now)
        self._settle(now)
        return reply

    def receive_reply(self, request_id: int, data: bytes, now: float) -> None:
        """Take all that the other side of a stream of ours answered."""
        self._outbox.receive_reply(request_id, data, now)
        self._settle(now)

    def stream_failed(self, request_id: int, error: str, now: float) -> None:
        """Hear that a stream of ours got no answer."""
        self._outbox.finish(request_id, Answer(error=error), now)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self._deadlines.run(now)
        self._settle(now)

    # Inputs from our owner

    def announce(
        self, meta: bytes | None, now: float, incarnation: int = 1, addr: bytes | None = None
    ) -> None:
        """Enter the cluster, once: become a member, start probing and gossiping.

        `incarnation` starts above all that we were seen with, `addr` replaces the one in the settings.
        Raises ValueError for more than 512 bytes of metadata.
        """
        self._incarnation = incarnation
        self._publish(meta, addr or self.settings.addr, now)
        self._probes.start(now, self._rng)
        self._spread.start(now, self._rng)
        self._exchanges.start(now)
        self._settle(now)

    def update_meta(self, meta: bytes | None, now: float) -> None:
        """Publish other metadata, after `announce`; raises ValueError for more than 512 bytes."""
        local = self._announced()
        self._incarnation = min(self._incarnation + 1, MAX_INCARNATION)
        self._publish(meta, local.addr, now)
        self._settle(now)

    def leave(self, now: float) -> None:
        """Announce our departure; LeaveFinished says when to stop, a second later at most."""
        if self._leaving:
            return
        self._leaving = True
        local = self.local
        if local is not None:
            self._dead(Dead(local.incarnation, local.name, local.name), now)
        if local is None or not self.members.live_remotes:
            self._finish_leave(now)
            return
        self._spread.call_after(LEAVE_ROUNDS, self._finish_leave)
        self._deadlines.at(now + LEAVE_TIMEOUT, self._finish_leave)
        self._settle(now)

    def push_pull(self, to: Address, now: float, *, join: bool, look: bool = False) -> int:
        """Exchange full tables with `to`, or, to `look`, get theirs and neither tell nor merge anything.

        Returns the number that ExchangeFinished will carry.
        """
        return self._exchanges.open(to, now, join=join, look=look)

    def ping(self, to: Address, node: str, now: float, *, stream: bool = False) -> int:
        """Ping `node` ("" for whoever is there) at `to`, by packet or by TCP.

        Returns the number that PingFinished will carry.
        """
        ask = self._pings.ask_by_stream if stream else self._pings.ask
        return ask(to, node, now)

    # Outputs

    def packets_to_send(self) -> Iterator[Packet]:
        """Give out the packets to send, once."""
        return self._outbox.packets()

    def streams_to_open(self) -> Iterator[StreamRequest]:
        """Give out the streams to open, once."""
        return self._outbox.streams()

    def events(self) -> Iterator[Event]:
        """Give out what happened, once, in its order."""
        return self._outbox.events()

    def next_timer(self) -> float | None:
        """Return when `handle_timer` wants to be called, None for never."""
        return self._deadlines.next()

    # Packets

    def _on_ping(self, message: Ping, source: Address, now: float) -> None:
        if message.node in ("", self.settings.name):
            self._outbox.send(Ack(message.sequence), reply_address(message, source))

    def _on_indirect_ping(self, message: IndirectPing, source: Address, now: float) -> None:
        if self.local is not None:
            self._pings.relay(message, source, message.port or self.settings.port, now)

    def _on_ack(self, message: Ack, source: Address, now: float) -> None:
        self._pings.on_ack(message.sequence, now)

    def _on_nack(self, message: Nack, source: Address, now: float) -> None:
        self._pings.on_nack(message.sequence)

    def _on_suspect(self, message: Suspect, source: Address, now: float) -> None:
        if flaw := flaw_of_claim(message):
            self._outbox.drop(source, DropReason.REFUSED, flaw)
            return
        self._suspect(message, now)

    def _on_dead(self, message: Dead, source: Address, now: float) -> None:
        if flaw := flaw_of_claim(message):
            self._outbox.drop(source, DropReason.REFUSED, flaw)
            return
        # Only a leave of v0.1.4 names no accuser.
        self._dead(replace(message, accuser=message.accuser or message.node), now)

    def _on_alive(self, message: Alive, source: Address, now: float) -> None:
        ours = message.node == self.settings.name
        if ours and (self._leaving or self.local is None):
            return
        if flaw := flaw_of_alive(message, self._versions, local=ours):
            self._outbox.drop(source, DropReason.REFUSED, flaw)
            return
        if message.node not in self.members and len(self.members) >= self.settings.max_members:
            self._outbox.drop(source, DropReason.LIMIT, "too many members")
            return
        if self.accept and not ours and not self.accept(message):
            self._outbox.drop(source, DropReason.REFUSED, "not accepted")
            return
        self._alive(replace(message, port=message.port or self.settings.port), now)

    def _on_user_message(self, message: UserMessage, source: Address, now: float) -> None:
        self._outbox.emit(UserDataReceived(source, message.payload))

    # Streams

    def _refuse_stream(
        self, data: bytes, source: Address, error: ProtocolError, now: float
    ) -> bytes | None:
        """Tell who sent something unreadable, but not as often as we are sent it."""
        unknown_key = isinstance(error, UndecryptableError)
        reason = DropReason.UNDECRYPTABLE if unknown_key else DropReason.MALFORMED
        self._outbox.drop(source, reason, str(error), stream=True)
        if not data or not self._error_replies.allow(now):
            return None
        return self._wire.seal_frame(encode(ErrorReply(str(error))), reply=True)

    def _answer(self, plain: bytes, source: Address, now: float) -> bytes | None:
        try:
            message = decode_stream(plain)
        except ProtocolError as error:
            self._outbox.drop(source, DropReason.MALFORMED, str(error), stream=True)
            return None
        handler = self._requests.get(type(message))
        if handler is None:
            self._outbox.drop(source, DropReason.MALFORMED, "not a request", stream=True)
            return None
        return handler(message, source, now)

    def _on_push_pull(self, message: PushPull, source: Address, now: float) -> bytes:
        """Exchange tables; ours as it was before theirs came."""
        reply = self._exchanges.table(join=message.join)
        if not self._exchanges.merge(message, source, now):
            self._outbox.drop(source, DropReason.REFUSED, "incompatible versions", stream=True)
        return self._wire.seal_frame(encode(reply), reply=True)

    def _on_stream_ping(self, message: Ping, source: Address, now: float) -> bytes | None:
        if message.node not in ("", self.settings.name):
            self._outbox.drop(source, DropReason.REFUSED, "ping for somebody else", stream=True)
            return None
        return self._wire.seal_frame(encode(Ack(message.sequence)), reply=True)

    def _on_stream_user_message(self, message: UserMessage, source: Address, now: float) -> None:
        self._on_user_message(message, source, now)

    def _take_table(self, message: PushPull, source: Address, now: float) -> None:
        for record in message.records:
            self._take_record(record, source, now)
        if message.user_state:
            self._outbox.emit(UserDataReceived(source, message.user_state))

    def _take_record(self, record: Record, source: Address, now: float) -> None:
        """Take over what somebody thinks of a member; that it is dead is only an opinion."""
        name, incarnation = record.name, record.incarnation
        match record.state:
            case RecordState.ALIVE:
                alive = Alive(
                    incarnation, name, record.addr, record.port, record.meta, record.versions
                )
                self._on_alive(alive, source, now)
            case RecordState.SUSPECT | RecordState.DEAD:
                self._on_suspect(Suspect(incarnation, name, self.settings.name), source, now)
            case RecordState.LEFT:
                self._on_dead(Dead(incarnation, name, name), source, now)

    # The rules of precedence

    def _alive(self, message: Alive, now: float, *, bootstrap: bool = False) -> None:
        """Believe a member that says it is alive, if that is news (protocol, 4.4)."""
        ours = message.node == self.settings.name
        old = self.members.get(message.node)
        if old is None:
            old = self._stranger(message, now)
            self.members.put(old)
        returns = False
        if (message.addr, message.port) != (old.addr, old.port):
            returns = self._may_move(old, now)
            if not returns and not _same_place(message, old):
                self._outbox.emit(AddressConflict(old, message))
                return
            if not returns:
                # Go compares bytes: what is held everywhere must not change its form.
                message = replace(message, addr=old.addr)
        if message.incarnation <= old.incarnation and not ours and not returns:
            return
        if ours and message.incarnation < old.incarnation:
            return
        self._suspicions.pop(message.node, None)
        if not ours or bootstrap:
            self._store_alive(message, old, now)
        elif message.incarnation > old.incarnation or not self._says_what_we_say(message, old):
            self._refute(message.incarnation)

    def _stranger(self, message: Alive, now: float) -> Member:
        """Return what we hold of somebody of whom we hear for the first time."""
        return Member(
            message.node,
            message.addr,
            message.port,
            message.meta,
            message.versions or self._versions,
            incarnation=0,
            state=MemberState.DEAD,
            state_changed_at=now,
        )

    def _may_move(self, member: Member, now: float) -> bool:
        """Tell whether a member may appear at another address."""
        if member.state is MemberState.LEFT:
            return True
        reclaim_after = self.settings.reclaim_after
        return (
            member.state is MemberState.DEAD and 0 < reclaim_after < now - member.state_changed_at
        )

    def _says_what_we_say(self, message: Alive, local: Member) -> bool:
        return (message.meta or b"") == (local.meta or b"") and message.versions == self._versions

    def _store_alive(self, message: Alive, old: Member, now: float) -> None:
        self._broadcast(message.node, message)
        member = Member(
            message.node,
            message.addr,
            message.port,
            message.meta,
            message.versions or old.versions,
            message.incarnation,
            MemberState.ALIVE,
            old.state_changed_at if old.state is MemberState.ALIVE else now,
        )
        self.members.put(member)
        if message.node == self.settings.name:
            return
        if not old.live:
            self._learnt += 1
            self._outbox.emit(MemberJoined(member))
        elif (old.meta or b"") != (member.meta or b""):
            self._outbox.emit(MemberUpdated(member))

    def _suspect(self, message: Suspect, now: float) -> None:
        """Weigh an accusation: refute it, confirm it, or start a suspicion (protocol, 4.5)."""
        member = self.members.get(message.node)
        if member is None or message.incarnation < member.incarnation:
            return
        if suspicion := self._suspicions.get(message.node):
            if suspicion.confirm(message.accuser):
                self._broadcast(message.node, message)
                self._watch(message.node, suspicion)
            return
        # Before the question whether it is us: a node that has left does not refute itself back to life.
        if member.state is not MemberState.ALIVE:
            return
        if message.node == self.settings.name:
            self._refute(message.incarnation)
            return
        self._broadcast(message.node, message)
        self.members.put(
            replace(
                member,
                incarnation=message.incarnation,
                state=MemberState.SUSPECT,
                state_changed_at=now,
            )
        )
        suspicion = Suspicion(message.accuser, now, self.settings.timing, len(self.members))
        self._suspicions[message.node] = suspicion
        self._watch(message.node, suspicion)

    def _watch(self, name: str, suspicion: Suspicion) -> None:
        self._deadlines.at(suspicion.deadline, lambda now: self._expire(name, suspicion, now))

    def _expire(self, name: str, suspicion: Suspicion, now: float) -> None:
        if self._suspicions.get(name) is not suspicion:
            return
        member = self.members.get(name)
        assert member is not None, "suspects are not reaped"
        self._dead(Dead(member.incarnation, name, self.settings.name), now)

    def _dead(self, message: Dead, now: float) -> None:
        """Give up a member, or hear that it has left (protocol, 4.5)."""
        member = self.members.get(message.node)
        if member is None or message.incarnation < member.incarnation:
            return
        self._suspicions.pop(message.node, None)
        if not member.live:
            return
        ours = message.node == self.settings.name
        if ours and not self._leaving:
            self._refute(message.incarnation)
            return
        self._broadcast(message.node, message)
        left = message.accuser == message.node
        member = replace(
            member,
            incarnation=message.incarnation,
            state=MemberState.LEFT if left else MemberState.DEAD,
            state_changed_at=now,
        )
        self.members.put(member)
        if not ours:
            self._outbox.emit(MemberLeft(member) if left else MemberFailed(member))

    def _refute(self, claimed: int) -> None:
        """Answer a claim about ourselves with a higher incarnation."""
        local = self._announced()
        self._incarnation = min(max(self._incarnation, claimed) + 1, MAX_INCARNATION)
        local = replace(local, incarnation=self._incarnation)
        self.members.put(local)
        self._awareness.adjust(1)
        self._broadcast(local.name, _alive_of(local))
        self._outbox.emit(Refuted(self._incarnation))

    # Ourselves

    def _announced(self) -> Member:
        local = self.local
        assert local is not None, "announce comes first"
        return local

    def _publish(self, meta: bytes | None, addr: bytes, now: float) -> None:
        if len(meta or b"") > MAX_META:
            raise ValueError(
                f"{len(meta or b'')} bytes of metadata, at most {MAX_META} are allowed"
            )
        settings = self.settings
        alive = Alive(self._incarnation, settings.name, addr, settings.port, meta, self._versions)
        self._alive(alive, now, bootstrap=True)

    def _broadcast(self, subject: str, message: Message) -> None:
        """Queue news for everybody; while we look, what we hear we need not pass on."""
        if self.local is not None:
            self._broadcasts.queue(subject, encode(message))

    def _finish_leave(self, now: float) -> None:
        if not self._left:
            self._left = True
            self._outbox.emit(LeaveFinished())

    def _settle(self, now: float) -> None:
        """End an input: what is new is gossiped at once, and much news makes us ask for more."""
        learnt, self._learnt = self._learnt, 0
        if self.local is None:
            return
        if learnt >= 2 and learnt * 10 > len(self.members):
            self._exchanges.ask_after_much_news(now)
        self._spread.eagerly(now)


def _same_place(message: Alive, member: Member) -> bool:
    """Tell whether the two addresses differ in their form only: 4 bytes, or 16 with IPv4 in them."""
    same_addr = short_form(message.addr) == short_form(member.addr)
    return same_addr and message.port == member.port


def _alive_of(member: Member) -> Alive:
    return Alive(
        member.incarnation, member.name, member.addr, member.port, member.meta, member.versions
    )
