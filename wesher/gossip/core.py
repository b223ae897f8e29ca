"""The membership protocol as one object: bytes, time and commands in; what is to be done out.

`Gossip` is SWIM as memberlist speaks it, without a clock, a socket or a random number of its own
(decision 2): it is told what arrived and what time it is, and leaves what is to be done for its
owner to fetch. The mechanisms behind it, each in a file of its own:

    bytes -> wire -> codec -> validate -> intake -> precedence -> transitions -> events, news
    timers -> probe: who does not answer?   dissemination: news to a few   push_pull: whole tables

They meet in the `Context` only. What is here is the way in and out: which message goes where, who
is answered, and what every input ends with (`settle`): what is new is gossiped at once.

Its life is silent, announced, leaving. Before `announce` nobody learns of us: we answer, look at
others' tables and take them over. `leave` tells the others, and LeaveFinished when they were told
as well as can be: after two periodic rounds and two at once, which reach all of a small cluster,
or a second. Go waits for a broadcast's last transmission (spec/memberlist.md, 4.14).
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from random import Random
from typing import Any

from wesher.base.addresses import Address
from wesher.base.errors import ProtocolError
from wesher.base.frozen import replace
from wesher.base.timers import Timers
from wesher.gossip.codec import decode_stream, encode
from wesher.gossip.context import Context, TokenBucket
from wesher.gossip.dissemination import Dissemination
from wesher.gossip.events import (
    DropReason,
    Event,
    ExchangeFinished,
    LeaveFinished,
    UserDataReceived,
)
from wesher.gossip.intake import Admission, Intake
from wesher.gossip.members import Member
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
    Suspect,
    UserMessage,
    validate_ping,
)
from wesher.gossip.outbox import Packet, Stats
from wesher.gossip.pings import Pings
from wesher.gossip.probe import Probes, Trials
from wesher.gossip.push_pull import TABLE_FULL, Exchanges, Merged
from wesher.gossip.settings import GossipSettings, Timer
from wesher.gossip.streams import Answer, StreamRequest
from wesher.gossip.transitions import Transitions
from wesher.gossip.wire import LabelError, Wire, drop_of, inflate_frame

ERROR_REPLIES_PER_SECOND = 10
LEAVE_ROUNDS = 2  # periodic gossip rounds that carry our departure
LEAVE_TIMEOUT = 1.0  # seconds


class Gossip:
    """One participant, silent at first: it answers pings and push/pulls, but announces nothing.

    Inputs take the time in seconds, from any start, never running backwards. After each of them
    the owner drains `packets_to_send`, `streams_to_open` and `events`, and it calls `handle_timer`
    at `next_timer`. An owner with timers of its own may share its heap.
    """

    def __init__(
        self, settings: GossipSettings, wire: Wire, rng: Random, timers: Timers | None = None
    ) -> None:
        context = Context(settings, wire, rng, timers or Timers())
        self.settings = settings
        self.members = context.members
        self.stats: Stats = context.outbox.stats
        """What we have said, heard and thought so far."""
        self.keyring = wire.keyring
        self._wire = wire
        self._context = context
        self._outbox = context.outbox
        self._streams = context.streams
        self._transitions = Transitions(context)
        self._pings = Pings(context)
        self._probes = Probes(context, self._pings, self._transitions.suspect)
        self._trials = Trials(context, self._pings, self._transitions.suspect)
        self._intake = Intake(context, self._transitions, self._trials)
        self._dissemination = Dissemination(context)
        self._exchanges = Exchanges(context, self._intake.take_table)
        self._error_replies = TokenBucket(ERROR_REPLIES_PER_SECOND)
        self._left = False
        self._joins_settled = 0
        self._handlers: dict[type[Message], Callable[[Any, Address, float], None]] = {
            Ping: self._on_ping,
            IndirectPing: self._on_indirect_ping,
            Ack: self._on_ack,
            Nack: self._on_nack,
            Suspect: self._intake.on_suspect,
            Alive: self._intake.on_alive,
            Dead: self._intake.on_dead,
            UserMessage: self._on_user_message,
        }
        self._requests: dict[type[Message], Callable[[Any, Address, float], Message | None]] = {
            PushPull: self._on_push_pull,
            Ping: self._on_stream_ping,
            UserMessage: self._on_user_message,
        }

    # State

    @property
    def local(self) -> Member | None:
        """Our own record, once announced."""
        return self.members.local

    @property
    def health(self) -> int:
        """Our health score: 0 is healthy, the timing's `awareness_max` less one is worst."""
        return self._context.awareness.score

    @property
    def round_trips(self) -> Mapping[str, float]:
        """The seconds that each member's last direct answer to a probe took."""
        return self._probes.round_trips

    @property
    def answered_at(self) -> Mapping[str, float]:
        """When each member last answered a probe directly, by packet."""
        return self._probes.answered_at

    def suspected_until(self, name: str) -> float | None:
        """Return when a suspect will be given up, unless it is heard of; None for others."""
        return self._transitions.suspected_until(name)

    # Inputs from the network and the clock

    def receive_packet(self, data: bytes, source: Address, now: float) -> None:
        """Take one datagram."""
        opened = self._wire.open_packet(data)
        for reason, detail in opened.problems:
            self._outbox.drop(source, reason, detail)
        # An answer bears the key of its question, which says nothing of who sent it.
        if opened.messages and not isinstance(opened.messages[0], Ack | Nack):
            self._wire.keyring.note(source.ip, opened.key)
        self.stats.count_received(opened.messages)
        self._outbox.begin_answer(opened.key)
        for message in opened.messages:
            self._handlers[type(message)](message, source, now)
        self._outbox.end_answer()
        self.settle(now)

    def receive_request(self, data: bytes, source: Address, now: float) -> bytes | None:
        """Take all that a connection brought; return the reply, None to just close it."""
        if self._exchanges.end_if_ours(data, now):
            return None
        key = None
        try:
            body, key = self._wire.unseal_frame(data)
            plain = inflate_frame(body)
        except ProtocolError as error:
            reply = self._refuse_stream(source, error, now)
        else:
            self._wire.keyring.note(source.ip, key)
            reply = self._answer(plain, source, now)
            self.settle(now)
        return None if reply is None else self._seal_reply(reply, key)

    def receive_reply(self, request_id: int, data: bytes, now: float) -> None:
        """Take all that the other side of a stream of ours answered."""
        self._streams.receive_reply(request_id, data, now)
        self.settle(now)

    def stream_failed(self, request_id: int, error: str, now: float) -> None:
        """Hear that a stream of ours got no answer."""
        self._streams.finish(request_id, Answer(error=error), now)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self._context.timers.run(now)
        self.settle(now)

    # Inputs from our owner

    def announce(
        self, meta: bytes | None, now: float, incarnation: int = 1, addr: bytes | None = None
    ) -> None:
        """Enter the cluster, once: become a member, start probing and gossiping.

        `incarnation` should be above all that we were seen with; `addr` replaces the one in the
        settings. After `leave` nothing happens. Raises ValueError for more than 512 bytes of
        metadata.
        """
        self._transitions.announce(meta, addr or self.settings.addr, incarnation, now)
        if self._transitions.leaving:
            return
        self._probes.start(now)
        self._dissemination.start(now)
        self._exchanges.start(now)
        self.settle(now)

    def update_meta(self, meta: bytes | None, now: float) -> None:
        """Publish other metadata, between `announce` and `leave`; after that nothing happens.

        Raises ValueError for more than 512 bytes.
        """
        self._transitions.update_meta(meta, now)
        self.settle(now)

    def move_to(self, addr: bytes, now: float, *, meta: bytes | None = None) -> None:
        """Be at another address from now on; the metadata are the old ones without others."""
        self.settings = replace(self.settings, addr=addr)
        self._transitions.move_to(addr, meta, now)
        self.settle(now)

    def leave(self, now: float) -> None:
        """Announce our departure, once; LeaveFinished says when to stop, a second later at most."""
        if self._transitions.leaving:
            return
        self._transitions.leave(now)
        known, telling = self.members.live_remotes > 0, self._exchanges.telling
        if self.local is None or not (known or telling):
            self._finish_leave(now)
            return
        self._dissemination.widen_fanout()
        if known:  # else we wait for the answer that names them, as long as the timeout allows
            self._dissemination.after_rounds(LEAVE_ROUNDS, self._finish_leave)
        self._context.timers.set(Timer.LEAVE, now + LEAVE_TIMEOUT, self._finish_leave)
        self.settle(now)

    def push_pull(
        self,
        to: Address,
        now: float,
        *,
        join: bool,
        look: bool = False,
        first: tuple[Record, ...] = (),
        purpose: Hashable = None,
    ) -> int:
        """Exchange full tables with `to`; to `look` is to get theirs, telling and merging nothing.

        Records of our owner's may go `first`. ExchangeFinished will carry the `purpose`, and the
        number that is returned.
        """
        return self._exchanges.open(to, now, join=join, look=look, first=first, purpose=purpose)

    def broadcast(self, subject: str, payload: bytes, now: float) -> None:
        """Gossip bytes of our owner as news; they replace what waits about the same subject."""
        self._context.broadcast(subject, UserMessage(payload))
        self.settle(now)

    def apply_alive(
        self, claim: Alive, now: float, *, moved: bool = False, admitted: bool = False
    ) -> None:
        """Take a claim that our owner had not accepted, or held back, as far as it is news.

        `moved` says that nobody is at the old address any more, `admitted` to ask no admission.
        """
        if admitted or self._intake.objection(claim) is None:
            self._transitions.alive(claim, now, moved=moved)
        self.settle(now)

    def apply_left(self, name: str, incarnation: int, now: float) -> None:
        """Take for certain that a member has left; if that is us, we refute it.

        Others are told also of one that we do not know.
        """
        message = Dead(incarnation, name, name)
        if name in self.members:
            self._transitions.dead(message, now)
        else:
            self._context.broadcast(name, message)
        self.settle(now)

    def resume(self) -> None:
        """Take note that we did not run for a while, as the clock did not: old news is dropped."""
        self._context.broadcasts.drop_others()

    def send_with_tables(self, user_state: bytes) -> None:
        """Let these bytes of our owner go with every table from now on."""
        self._exchanges.user_state = user_state

    def hold_back(self, incarnations: Mapping[str, int], strangers: Collection[str] = ()) -> None:
        """Hold back claims that these members are alive, up to the incarnation of each.

        And all claims of the `strangers`, as long as they are no members. On a member that is not
        live they have no effect but that ClaimHeld tells of them; `apply_alive` lets one through.
        This replaces what was said before.
        """
        self._intake.held_back = incarnations
        self._intake.held_strangers = strangers

    def admit_by(self, admission: Admission) -> None:
        """Believe claims as this says, from now on; ClaimDenied tells of those it objects to."""
        self._intake.admission = admission

    def hide(self, names: Iterable[str]) -> None:
        """Tell nobody in tables that these members are alive, until `show` or this is called."""
        self._exchanges.hidden = set(names)

    def show(self, name: str) -> None:
        """Hide a member no longer."""
        self._exchanges.hidden.discard(name)

    def vouch_for(self, names: Collection[str]) -> None:
        """Rely on these members, and no others, also in a crowd, before they have answered us."""
        self.members.proofs.vouched = names

    def prove(self, names: Iterable[str], now: float) -> None:
        """Ask a few of these members, who have never answered us, whether they are there."""
        self._trials.prove(names, now)

    def merge(self, event: ExchangeFinished, now: float) -> bool:
        """Take over what a look has brought; False if it does not go with what we hold."""
        table = PushPull(False, event.records, event.user_state)
        merged = self._exchanges.merge(table, event.to, now)
        self.settle(now)
        return merged is not Merged.INCOMPATIBLE

    def ping(
        self,
        to: Address,
        node: str,
        now: float,
        *,
        stream: bool = False,
        purpose: Hashable = None,
    ) -> int:
        """Ping `node` ("" for whoever is there) at `to`, by packet or by TCP.

        PingFinished will carry the `purpose`, and the number that is returned.
        """
        ask = self._pings.ask_by_stream if stream else self._pings.ask
        return ask(to, node, now, purpose)

    # Outputs

    def packets_to_send(self) -> Iterator[Packet]:
        """Give out the packets to send, once."""
        return self._outbox.packets()

    def streams_to_open(self) -> Iterator[StreamRequest]:
        """Give out the streams to open, once."""
        return self._streams.requests()

    def events(self) -> list[Event]:
        """Give out what happened, once, in its order."""
        return self._outbox.events()

    def next_timer(self) -> float | None:
        """Return when `handle_timer` wants to be called, None for never."""
        return self._context.timers.next()

    # Packets

    def _on_ping(self, message: Ping, source: Address, now: float) -> None:
        if flaw := validate_ping(message):
            self._outbox.drop(source, DropReason.REFUSED, flaw)
            return
        if message.node in ("", self.settings.name):
            self._pings.answer(message, source, now)
            self._trials.hurry_if_at(message.source_node, source, now)

    def _on_indirect_ping(self, message: IndirectPing, source: Address, now: float) -> None:
        if flaw := validate_ping(message):
            self._outbox.drop(source, DropReason.REFUSED, flaw)
            return
        if self.local is not None:
            self._pings.relay(message, source, message.port or self.settings.port, now)

    def _on_ack(self, message: Ack, source: Address, now: float) -> None:
        self._pings.on_ack(message, source, now)

    def _on_nack(self, message: Nack, source: Address, now: float) -> None:
        self._pings.on_nack(message.sequence)

    def _on_user_message(self, message: UserMessage, source: Address, now: float) -> None:
        self._outbox.emit(UserDataReceived(source, message.payload))

    # Streams

    def _refuse_stream(self, source: Address, error: ProtocolError, now: float) -> Message | None:
        """Tell who sent something unreadable, but not as often as we are sent it."""
        self._outbox.drop(source, *drop_of(error), stream=True)
        if isinstance(error, LabelError) or not self._error_replies.allow(now):
            return None
        return ErrorReply(str(error))

    def _answer(self, plain: bytes, source: Address, now: float) -> Message | None:
        try:
            message = decode_stream(plain)
        except ProtocolError as error:
            self._outbox.drop(source, *drop_of(error), stream=True)
            return None
        self.stats.count_received([message])
        handler = self._requests.get(type(message))
        if handler is None:
            self._outbox.drop(source, DropReason.MALFORMED, "not a request", stream=True)
            return None
        return handler(message, source, now)

    def _on_push_pull(self, message: PushPull, source: Address, now: float) -> Message:
        """Exchange tables; ours as it was before theirs came."""
        reply = self._exchanges.table(join=message.join)
        match self._exchanges.merge(message, source, now):
            case Merged.INCOMPATIBLE:
                self._outbox.drop(source, DropReason.REFUSED, "incompatible versions", stream=True)
            case Merged.TURNED_AWAY:
                return ErrorReply(TABLE_FULL)
        return reply

    def _on_stream_ping(self, message: Ping, source: Address, now: float) -> Message | None:
        if message.node not in ("", self.settings.name):
            self._outbox.drop(source, DropReason.REFUSED, "ping for somebody else", stream=True)
            return None
        return Ack(message.sequence)

    def _seal_reply(self, message: Message, key: bytes | None) -> bytes:
        """Return the answer to what `key` opened, or to what none of our keys did (None)."""
        encoded = encode(message)
        self.stats.count_sent([encoded])
        return self._wire.seal_frame(encoded, key)

    # What follows

    def _finish_leave(self, now: float) -> None:
        if not self._left:
            self._left = True
            self._outbox.emit(LeaveFinished())

    def settle(self, now: float) -> None:
        """End an input: what is new is gossiped at once, and much news makes us ask for more.

        Only an owner that runs our timers itself needs to do so.
        """
        joined = self.stats.joins - self._joins_settled
        self._joins_settled += joined
        if self.local is None:
            return
        if joined >= 2 and joined * 10 > len(self.members):
            self._exchanges.ask_after_much_news(now)
        if self.members.proofs.crowded:
            self._trials.go_on(now)
        self._dissemination.flush(now)
