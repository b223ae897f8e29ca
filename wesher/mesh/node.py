"""MeshNode: one participant of the mesh, without a clock, a socket or a file."""

import random
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from wesher.base import problems
from wesher.base.frozen import fields, replace
from wesher.base.timers import NodeClock, Timers
from wesher.gossip import (
    Address,
    Event,
    Gossip,
    LeaveFinished,
    Members,
    NotRead,
    Packet,
    PingFinished,
    SeenAt,
    StreamRequest,
    Wire,
    pack_ip,
)
from wesher.mesh.base import actions
from wesher.mesh.base.actions import Action, SetTimer, Timer, inform
from wesher.mesh.base.events import (
    Departed,
    MeshEvent,
    Notice,
    Pinged,
    PlanChanged,
    Refused,
    Resolve,
    SaveKeys,
)
from wesher.mesh.base.operator_log import OperatorLog
from wesher.mesh.base.phases import MOVES, Move, Phase
from wesher.mesh.base.plan import LocalFacts, Plan
from wesher.mesh.base.rotation import KeyOrder
from wesher.mesh.base.saved import Saved, SavedKeys
from wesher.mesh.base.seeds import Seed
from wesher.mesh.base.settings import Adjustable, NodeSettings
from wesher.mesh.coordinator import Coordinator
from wesher.mesh.keys import KeyStatus
from wesher.mesh.planning import Overlay
from wesher.mesh.reporting import MemberEvents, NetworkWarnings, NodeStats, NodeStatus
from wesher.mesh.reviews import Reviews
from wesher.mesh.views import Views

LATE = 2.0  # probe intervals; a timer that is later was slept through
JOIN_PATIENCE = 0.25  # seconds that the first Plan waits for those who have answered our look
_FOR_OUR_OWNER = "for our owner"  # the purpose of pings


class MeshNode:
    """A Gossip and every decision that follows from it, yielding Plans.

    Driven like a Gossip: inputs take `now`, outputs are drained after every input. It begins by
    looking: who is there, and which overlay addresses are taken. Only then it announces itself.
    """

    def __init__(
        self,
        settings: NodeSettings,
        saved: Saved,
        facts: LocalFacts,
        wire: Wire,
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._saved = saved
        self._facts = facts
        self._wire = wire
        self._clock = NodeClock(LATE * settings.timing.probe_interval)
        self._timers = Timers()
        self._gossip = Gossip(settings.for_gossip(), self._wire, rng, self._timers)
        self._operator_log = OperatorLog()
        self._coordinator = Coordinator(settings, saved, self._gossip, rng)
        self._overlay = Overlay(settings, saved, wire.keyring, self.members.proofs.places)
        self._gossip.vouch_for(self._overlay.relied_on)
        self._network_warnings = NetworkWarnings(
            self._coordinator.discovery.contacted, settings.public_key, self._overlay.relied_on
        )
        self._views = Views(
            self._gossip,
            self._coordinator,
            self._overlay,
            self._operator_log,
            self._network_warnings.drops,
        )
        self._reviews = Reviews(
            self._gossip, self._coordinator, self._overlay, self._network_warnings
        )
        self._changes = MemberEvents(self._gossip.members.proofs)
        self._resolving: list[Resolve] = []
        self._events: list[MeshEvent] = []
        self._phase = Phase.NEW
        self._due: dict[Timer, Callable[[float], Iterable[Action]]] = {
            Timer.ALONE: lambda now: self._network_warnings.alone(self._settings.seeds, now),
            Timer.RENEWAL: self._reviews.renew,
            Timer.REVIEW: lambda now: self._reviews.review(self._facts, self._here, now),
        }

    # Inputs

    def start(self, now: float) -> None:
        """Look for other members, or announce ourselves at once when there is nobody to ask."""
        now = self._wake_up(now)
        self._go(Move.START)
        alone = not self._coordinator.discovery.has_contacts
        self._act(self._network_warnings.start(now, alone=alone), now)
        self._follow(self._coordinator.start(now), now)

    def receive_packet(self, data: bytes, source: Address, now: float) -> None:
        """Take one datagram."""
        now = self._wake_up(now)
        self._gossip.receive_packet(data, source, now)
        self._advance(now)

    def receive_request(self, data: bytes, source: Address, now: float) -> bytes | None:
        """Take one whole stream request; returns the reply, None to just close the stream."""
        now = self._wake_up(now)
        reply = self._gossip.receive_request(data, source, now)
        self._advance(now)
        return reply

    def receive_reply(self, request_id: int, data: bytes, now: float) -> None:
        """Take the whole reply to a stream request of ours."""
        now = self._wake_up(now)
        self._gossip.receive_reply(request_id, data, now)
        self._advance(now)

    def stream_failed(self, request_id: int, error: str, now: float) -> None:
        """Hear that a stream request of ours got no reply."""
        now = self._wake_up(now)
        self._gossip.stream_failed(request_id, error, now)
        self._advance(now)

    def handle_timer(self, now: float) -> None:
        """Do what is due; calling it too early does no harm, and too late is noticed."""
        self._advance(self._wake_up(now))

    def slept(self, seconds: float, now: float) -> None:
        """Hear that the host was suspended for so long, while the driver's clock stood still."""
        now = self._clock.time(now)
        self._resume(seconds, now)
        self._follow((), now)

    def resolved(self, seed: Seed, ips: Iterable[str], now: float) -> None:
        """Take the addresses of a seed's name; none when the look-up failed."""
        now, found = self._clock.time(now), list(ips)
        self._act(self._network_warnings.resolved(seed.host, found=bool(found)), now)
        self._follow(self._coordinator.resolved(seed, found, now), now)

    def update_facts(self, facts: LocalFacts, now: float) -> None:
        """Take what was newly learnt about this host."""
        if facts != self._facts:
            self._facts = facts
            self._follow([actions.ChangePlan()], self._clock.time(now))

    def move_to(self, ip: str, now: float) -> None:
        """Go on at another underlay address: the one we had is not the right one any more."""
        if self._departing or ip == self._settings.ip:
            return
        now = self._clock.time(now)
        told = inform(
            "this host's address changed from {old} to {new}", old=self._settings.ip, new=ip
        )
        self._act([told], now)
        self._change(ip=ip)
        addr = pack_ip(ip, mapped=self._settings.mapped)
        meta = self._overlay.metadata() if self._gossip.local else None
        self._follow(self._coordinator.move_to(addr, meta, now), now)

    def forget(self, name: str, now: float) -> None:
        """Give up a failed member, here and everywhere; ValueError says why not."""
        now = self._clock.time(now)
        self._follow(self._coordinator.forget(name, now), now)

    def trust(self, name: str, identity: str | None, now: float) -> None:
        """Pin a name to the identity that claims it, everywhere; ValueError says why not."""
        now = self._clock.time(now)
        self._follow(self._coordinator.trust(name, identity, now), now)

    def pinned_to(self, name: str) -> str | None:
        """Return the fingerprint of the identity that a name is pinned to."""
        return self._views.pinned_to(name)

    def ping(self, address: Address, name: str, now: float, *, stream: bool = False) -> int:
        """Ping the member of this name, by packet or by TCP; `Pinged` brings the number back."""
        return self._gossip.ping(
            address, name, self._clock.time(now), stream=stream, purpose=_FOR_OUR_OWNER
        )

    def reconfigure(self, wanted: Adjustable, now: float) -> None:
        """Take what an operator may change while we run."""
        now = self._clock.time(now)
        before = self._settings
        self._change(**fields(wanted))
        if wanted.preshared_keys is not before.preshared_keys:
            self._announce_anew(now)
        self._act([actions.ChangePlan()], now)
        again = self._coordinator.reconfigure(wanted.seeds, wanted.forget_after, now)
        self._follow(again, now)

    def obey(self, order: KeyOrder, now: float) -> None:
        """Do something about the cluster keys; ValueError says what stands in the way."""
        now = self._clock.time(now)
        self._follow(self._coordinator.obey(order, now), now)

    def leave(self, now: float) -> None:
        """Announce our departure; `Departed` follows within a second."""
        now = self._clock.time(now)
        self._depart(Move.LEAVE, now)
        self._gossip.leave(now)
        self._advance(now)

    # Outputs

    def packets_to_send(self) -> Iterator[Packet]:
        """Give out the packets to send, once."""
        return self._gossip.packets_to_send()

    def streams_to_open(self) -> Iterator[StreamRequest]:
        """Give out the streams to open, once."""
        return self._gossip.streams_to_open()

    def events(self) -> list[MeshEvent]:
        """Give out what happened, once; notices first."""
        events: list[MeshEvent] = [*self._operator_log.drain(), *self._resolving]
        events += [*self._changes.drain(), *self._events]
        self._events, self._resolving = [], []
        return events

    def next_timer(self) -> float | None:
        """Return when `handle_timer` wants to be called, None for never."""
        at = self._timers.next()
        return None if at is None else self._clock.driver_time(at)

    def frame_size(self, head: bytes, *, reply: bool) -> int | None:
        """Return the size of the stream that begins with `head`, see `Wire.frame_size`."""
        return self._wire.frame_size(head, reply=reply)

    @property
    def members(self) -> Members:
        """Everybody that gossip knows, ourselves included."""
        return self._gossip.members

    def contacts(self) -> list[str]:
        """Return the addresses of our seeds, or of the other live members when there are none."""
        seeds = self._coordinator.discovery.seed_addresses()
        return [one.ip for one in seeds or (member.address for member in self.members.others())]

    def plan(self) -> Plan | None:
        """Return what this host should look like; None until we have an overlay address."""
        return self._reviews.plan

    def key_status(self, now: float) -> KeyStatus:
        """Return which keys are held by whom, and where a change of the key stands."""
        return self._coordinator.keys.status(self._clock.time(now))

    def saved_keys(self) -> SavedKeys:
        """Return what to keep of the keys besides themselves, at any time."""
        return self._views.saved_keys(self._clock.behind)

    def status(self) -> NodeStatus:
        """Return what we know of ourselves and of everybody else, at this moment."""
        return self._views.status(self._settings, self._clock.behind)

    def account(self, now: float) -> NodeStats:
        """Return what we have counted, and the troubles of the last ten minutes."""
        return self._views.account(self._settings, self._facts, self._clock, now)

    def saved(self) -> Saved | None:
        """Return what to keep for the next start; None while there is nothing new to keep.

        Once our departure has begun the others leave too, perhaps: what we knew before is kept.
        """
        return None if self._departing else self._views.saved(self._settings, self._clock.behind)

    # Following up

    def _announce_anew(self, now: float) -> None:
        """Tell the others what has changed about us, if we have told them anything yet."""
        if self._gossip.local is not None:
            self._gossip.update_meta(self._overlay.metadata(), now)

    def _wake_up(self, now: float) -> float:
        """Return our own time, noticing before anything else that we did not run for long."""
        missed = self._clock.missed(self._timers.next(), now)
        now = self._clock.time(now)
        if missed:
            self._resume(missed, now)
        return now

    def _resume(self, seconds: float, now: float) -> None:
        """Go on after so many seconds for which we did not run, and our clock stood still."""
        self._act([actions.Warn(problems.SLEPT, "", {"seconds": round(seconds)})], now)
        self._gossip.resume()
        self._act(self._coordinator.resumed(seconds, now, look=not self._departing), now)

    def _follow(self, wanted: Iterable[Action], now: float) -> None:
        """Do what follows from an input of our owner's."""
        self._act(wanted, now)
        self._settle(now)
        self._advance(now)

    def _advance(self, now: float) -> None:
        """Follow up on what the last input brought, and do what is due."""
        while True:
            if events := self._gossip.events():
                for event in events:
                    self._handle(event, now)
                self._settle(now)
            elif not self._run_timers(now):
                return

    def _run_timers(self, now: float) -> bool:
        ran = self._timers.run(now)
        if not all(isinstance(name, Timer) for name in ran):
            self._gossip.settle(now)
        return bool(ran)

    def _settle(self, now: float) -> None:
        """Follow up on all that has happened together."""
        self._act(self._coordinator.settle(now), now)
        self._act(self._reviews.expect_renewal(now), now)

    def _handle(self, event: Event, now: float) -> None:
        """Follow up on an event of the gossip."""
        self._changes.note(event, self._coordinator.failed)
        self._act(self._coordinator.handle(event, now), now)
        # While the key is changed, not everybody has the newest, and nobody need do anything.
        if not (isinstance(event, NotRead) and self._coordinator.keys.under_way):
            self._act(self._network_warnings.handle(event, now), now)
        self._reviews.note(event, now)
        match event:
            case PingFinished() if event.purpose is _FOR_OUR_OWNER:
                self._events.append(Pinged(event.ping, event.seconds, event.error))
            case SeenAt():
                self._overlay.keepalives.note(event)
                self._act([actions.ChangePlan()], now)
            case _ if self._overlay.depends_on(event):
                self._act([actions.ChangePlan()], now)
            case LeaveFinished():
                self._events.append(Departed())

    def _change(self, **changes: object) -> None:
        """Take other settings for what they were."""
        self._settings = self._overlay.settings = replace(self._settings, **changes)

    def _act(self, wanted: Iterable[Action], now: float) -> None:
        """Do what the parts want done."""
        for action in wanted:
            match action:
                case Notice():
                    self._operator_log.notice(action)
                case actions.Warn():
                    self._operator_log.warn(action, now)
                case SetTimer():
                    self._set_timer(action.timer, action.at)
                case actions.ChangePlan():
                    self._act(self._reviews.want(now), now)
                    self._act(self._coordinator.keys.mind(now), now)
                case actions.Forget():
                    self._changes.forgot(action.member)
                case Resolve():
                    self._resolving.append(action)
                case PlanChanged() | SaveKeys():
                    self._events.append(action)
                case actions.AnnounceKeys():
                    self._announce_keys(action.fingerprints, now)
                case actions.LookupDone():
                    self._enter(now)
                case actions.GiveWay() if not self._departing:
                    self._refuse_name(action.to, self._settings.name, now)

    def _set_timer(self, timer: Timer, at: float | None) -> None:
        if at is None:
            self._timers.cancel(timer)
        else:
            self._timers.set(timer, at, partial(self._on_timer, timer))

    def _on_timer(self, timer: Timer, now: float) -> None:
        due = self._due.get(timer)
        self._act(due(now) if due else self._coordinator.on_timer(timer, now), now)

    # Deciding

    def _enter(self, now: float) -> None:
        """Choose an overlay address, announce ourselves, and join whoever answered."""
        look = self._coordinator.discovery.lookup
        assert look is not None, "what is over has begun"
        if look.holder_answered:
            self._refuse_name(look.asked_holder, look.holder_name, now)
            return
        coordinator = self._coordinator
        earlier = coordinator.earlier_name
        live = earlier.others([*look.live, *self.members.others()])
        failed = earlier.others([*look.failed, *coordinator.failed])
        if problem := self._overlay.choose(live, failed, self._facts, now):
            self._refuse(problem, now)
            return
        before, address = self._saved.overlay_addr, self._overlay.address
        if before not in {None, address}:
            told = inform("this host starts at {new}, after {old} before", new=address, old=before)
            self._act([told], now)
        self._gossip.announce(
            self._overlay.metadata(),
            now,
            incarnation=coordinator.incarnation_for(look),
            addr=look.address_form,
        )
        self._go(Move.ENTER)
        self._act(coordinator.entered(look, now), now)
        # Whoever answers in time is in the first Plan already: one reconcile less.
        first = now + JOIN_PATIENCE if look.answered else now
        self._act(self._reviews.first(first), now)

    def _announce_keys(self, fingerprints: tuple[str, ...], now: float) -> None:
        self._overlay.key_fingerprints = fingerprints
        self._announce_anew(now)
        self._act([actions.ChangePlan()], now)

    def _refuse_name(self, holder: Address | None, name: str, now: float) -> None:
        data = {"member": name, "address": holder}
        self._refuse(problems.TAKEN_NAME.text.format(**data), now)

    def _refuse(self, reason: str, now: float) -> None:
        self._depart(Move.GIVE_WAY, now)
        self._events.append(Refused(reason))

    def _depart(self, move: Move, now: float) -> None:
        """Seek and mind nobody any more."""
        self._go(move)
        self._act(self._coordinator.stop(now), now)
        self._act(self._network_warnings.not_alone(), now)
        self._act(self._reviews.stop(), now)

    def _go(self, move: Move) -> None:
        self._phase = MOVES[self._phase, move]

    @property
    def _here(self) -> Address:
        return Address(self._settings.ip, self._settings.port)

    @property
    def _departing(self) -> bool:
        return self._phase is Phase.DEPARTING
