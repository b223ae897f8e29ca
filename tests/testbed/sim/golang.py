"""A node that behaves like the original wesher, as far as others can see."""

from collections.abc import Iterator, Sequence
from random import Random

from wesher.gossip import (
    Address,
    Event,
    ExchangeFinished,
    Gossip,
    GossipSettings,
    Member,
    Members,
    MemberState,
    Packet,
    StreamRequest,
    Wire,
    pack_ip,
)
from wesher.gossip.messages import Dead, Record
from wesher.gossip.precedence import Action, Age, Claim
from wesher.gossip.transitions import Transitions
from wesher.mesh.base.address import overlay_address
from wesher.mesh.base.events import Departed, MeshEvent, PlanChanged
from wesher.mesh.base.metadata import Metadata, MetadataFormat, encode_metadata
from wesher.mesh.base.plan import LocalFacts, Plan
from wesher.mesh.base.saved import Saved, SavedMember
from wesher.mesh.base.settings import NodeSettings
from wesher.mesh.planning.planner import Planner
from wesher.mesh.planning.validation import LocalMember

FORMATS: dict[str, MetadataFormat] = {"v0.1.4": "v0.2", "current": "current"}
"""Which metadata the wesher writes that has this version of memberlist."""
FIRST_WAIT = 0.5  # seconds, wesher's back-off while it joins
LONGEST_WAIT = 60.0
GIVE_UP = 900.0
LEAVE_TIMEOUT = 10.0


class GoNode:
    """Driven like a MeshNode. It joins at its start and never again, and cannot move.

    No gossip at once, no second ping, no reunion, no tombstones and no `Ext`. As v0.1.4 it does not
    know that a member can leave: that one is dead, and its own departure names no accuser.
    """

    def __init__(
        self, version: str, settings: NodeSettings, saved: Saved, wire: Wire, rng: Random
    ) -> None:
        self._settings = settings
        self._wire = wire
        self._rng = rng
        self._contacts: Sequence[Address] = [
            Address(seed.host, seed.port) for seed in settings.seeds
        ] or [member.address for member in saved.members]
        self._address = overlay_address(settings.name, settings.overlay_net)
        self._format = FORMATS[version]
        self._gossip = Gossip(
            GossipSettings(
                settings.name,
                pack_ip(settings.ip, mapped=settings.mapped),
                settings.port,
                settings.timing,
                eager=False,
                pings=1,
                max_unproven=16384,
            ),
            wire,
            rng,
        )
        _take_accusers_as_they_are(self._gossip)
        if version == "v0.1.4":
            _know_no_departures(self._gossip)
        self._waiting: set[int] = set()
        self._wait = FIRST_WAIT
        self._join_at: float | None = None
        self._give_up_at = 0.0
        self._left_at: float | None = None
        self._departed = False
        self._events: list[MeshEvent] = []

    def start(self, now: float) -> None:
        """Enter, without metadata at first, and join."""
        self._gossip.announce(None, now)
        local = Metadata(overlay_addr=self._address, public_key=self._settings.public_key)
        self._gossip.update_meta(encode_metadata(local, self._format), now)
        self._give_up_at = now + GIVE_UP
        if self._contacts:
            self._join_at = now
        self._advance(now)

    def receive_packet(self, data: bytes, source: Address, now: float) -> None:
        """Take one datagram."""
        self._gossip.receive_packet(data, source, now)
        self._advance(now)

    def receive_request(self, data: bytes, source: Address, now: float) -> bytes | None:
        """Take a stream request."""
        reply = self._gossip.receive_request(data, source, now)
        self._advance(now)
        return reply

    def receive_reply(self, request_id: int, data: bytes, now: float) -> None:
        """Take the reply to a stream request of ours."""
        self._gossip.receive_reply(request_id, data, now)
        self._advance(now)

    def stream_failed(self, request_id: int, error: str, now: float) -> None:
        """Hear that a stream request of ours got no reply."""
        self._gossip.stream_failed(request_id, error, now)
        self._advance(now)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self._gossip.handle_timer(now)
        self._advance(now)

    def slept(self, seconds: float, now: float) -> None:
        """Notice nothing: Go's timers stand still as well."""

    def leave(self, now: float) -> None:
        """Announce our departure, and end when that has been told often enough."""
        if self._left_at is None:
            self._left_at = now
            self._join_at = None
            self._gossip.leave(now)
            self._advance(now)

    def packets_to_send(self) -> Iterator[Packet]:
        """Give out the packets to send, once."""
        return self._gossip.packets_to_send()

    def streams_to_open(self) -> Iterator[StreamRequest]:
        """Give out the streams to open, once."""
        return self._gossip.streams_to_open()

    def events(self) -> Iterator[MeshEvent]:
        """Give out what happened, once."""
        events, self._events = self._events, []
        return iter(events)

    def next_timer(self) -> float | None:
        """Return when `handle_timer` wants to be called."""
        timers = (self._gossip.next_timer(), self._join_at)
        return min((at for at in timers if at is not None), default=None)

    @property
    def members(self) -> Members:
        """Everybody that gossip knows."""
        return self._gossip.members

    def plan(self) -> Plan:
        """Return what this host looks like: the live members whose metadata it can read."""
        settings = self._settings
        local = LocalMember(
            name=settings.name,
            network=settings.overlay_net,
            overlay_addr=self._address,
            public_key=settings.public_key,
            wireguard_port=settings.wireguard_port,
            immovable=True,
            kept=False,
        )
        return Planner().build(local, self._live(), (), LocalFacts(), complete=True).plan

    def saved(self) -> Saved:
        """Return what it writes down: where the live members are."""
        members = [SavedMember(member.name, member.address, None) for member in self._live()]
        return Saved(members=tuple(members))

    def _live(self) -> list[Member]:
        ours = self._settings.name
        return [member for member in self.members if member.live and member.name != ours]

    def _advance(self, now: float) -> None:
        for event in self._gossip.events():
            self._on_event(event)
        if self._join_at is not None and now >= self._join_at:
            self._join(now)
        if self._left_at is not None and not self._departed and self._has_told(now - self._left_at):
            self._departed = True
            self._events.append(Departed())

    def _on_event(self, event: Event) -> None:
        if isinstance(event, ExchangeFinished):
            self._waiting.discard(event.exchange)
        else:
            self._events.append(PlanChanged())

    def _has_told(self, seconds: float) -> bool:
        waiting = len(self._gossip._context.broadcasts)
        return not waiting or seconds >= LEAVE_TIMEOUT or not self._live()

    def _join(self, now: float) -> None:
        """Ask all contacts for the members, again and again until there is another live one."""
        self._join_at = None
        if self._live() or now > self._give_up_at:
            return
        self._join_at = now + self._wait * self._rng.uniform(0.5, 1.5)
        self._wait = min(1.5 * self._wait, LONGEST_WAIT)
        if self._waiting:
            return
        for address in self._contacts:
            self._waiting.add(self._gossip.push_pull(address, now, join=True))


class _OldRules(Transitions):
    """The rules of v0.1.4, which has no state for members that have left."""

    def leave(self, now: float) -> None:
        self.leaving = True
        if local := self._members.local:
            self._end(local, Dead(local.incarnation, local.name, ""), MemberState.DEAD, now)

    def _action(self, member: Member, claim: Claim, age: Age) -> Action:
        if member.name == self._settings.name and member.state is MemberState.DEAD:
            return Action.IGNORE  # it has left
        return super()._action(member, claim, age)

    def _change(self, member: Member, state: MemberState, incarnation: int, now: float) -> Member:
        state = MemberState.DEAD if state is MemberState.LEFT else state
        return super()._change(member, state, incarnation, now)


def _take_accusers_as_they_are(gossip: Gossip) -> None:
    """Let nobody's accusation be one like any other, where ours see a departure of v0.1.4."""
    gossip._handlers[Dead] = lambda message, source, now: gossip._transitions.dead(message, now)


def _know_no_departures(gossip: Gossip) -> None:
    """Make `gossip` one of v0.1.4; its other parts have the same rules, of the same object."""
    gossip._transitions.__class__ = _OldRules
    take = gossip._intake._take_record

    def take_known(record: Record, source: Address, now: float) -> None:
        if record.state != MemberState.LEFT.value:
            take(record, source, now)

    gossip._intake._take_record = take_known  # type: ignore[method-assign] # other rules
