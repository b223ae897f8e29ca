"""Who is a member, who is missing, who is gone: all that follows from the events of a Gossip.

The parts decide: each input of theirs says as values what is to be done about it (base/actions.py).
Here that is done, in one place and in its order; what only the node can do goes on to it.
"""

import random
from collections.abc import Callable
from itertools import chain
from typing import Any

from wesher.base.errors import ProtocolError
from wesher.gossip import (
    Address,
    AddressConflict,
    ClaimDenied,
    ClaimHeld,
    ExchangeFinished,
    Gossip,
    MemberCleared,
    MemberEvicted,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberProven,
    MemberSuspected,
    MemberUpdated,
    PingFinished,
    Record,
    Refuted,
    UserDataReceived,
)
from wesher.gossip.messages import leaps
from wesher.mesh.base import actions
from wesher.mesh.base.actions import Actions, ChangePlan, ForNode, SetTimer, Timer, inform, trace
from wesher.mesh.base.rotation import KeyOrder
from wesher.mesh.base.saved import Saved, SavedMember
from wesher.mesh.base.seeds import Seed
from wesher.mesh.base.settings import NodeSettings
from wesher.mesh.base.user_state import UserState, unpack
from wesher.mesh.discovery import Discovery, Lookup
from wesher.mesh.gossip_calls import call
from wesher.mesh.keys import KeyRotation
from wesher.mesh.members import (
    AfterSleep,
    AtClaimedAddress,
    AtOldAddress,
    EarlierName,
    FailedMembers,
    IdentityContests,
    LeftMembers,
    LivenessChecks,
    NameConflicts,
    NameTakeover,
    OfOurName,
    Resumption,
    SaidBack,
    SaidGone,
    in_need,
)

LONG_SUSPECTED = 2.0  # probe intervals; who is cleared after that was cut off, perhaps


class Coordinator:
    """Keeps the failed and the gone, searches for others, and settles whose a name is."""

    def __init__(
        self, settings: NodeSettings, saved: Saved, gossip: Gossip, rng: random.Random
    ) -> None:
        self._settings = settings
        self._saved = saved
        self._gossip = gossip
        self._table = table = gossip.members
        self.failed = FailedMembers()
        self.left = LeftMembers(settings.name, settings.forget_after, table, self.failed)
        contacts = [member.address for member in saved.members]
        self.discovery = Discovery(settings, contacts, table, self.failed, rng)
        self._liveness_checks = LivenessChecks()
        self._resumption = Resumption(table)
        self._name_takeover = NameTakeover(settings.name, table)
        self._name_conflicts = NameConflicts(settings.name, table)
        self.identity_contests = IdentityContests(settings, table, self.failed)
        self.earlier_name = EarlierName(saved, settings)
        self.complete = False
        """Whether others have told us all they know, or there is nobody to ask."""
        self.keys = KeyRotation(gossip.keyring, saved.keys, table, self.failed)
        self._crowded = False
        self._told = UserState()
        self._handlers = self._by_event()
        self._timers = self._by_timer()
        self._checked = self._by_check()

    def _by_event(self) -> dict[type[Any], Callable[[Any, float], Actions]]:
        """Return what follows up on each event of the gossip."""
        return {
            MemberJoined: self._on_joined,
            MemberUpdated: self._on_updated,
            MemberSuspected: lambda _, now: self.discovery.mind_company(now),
            MemberFailed: self._on_failed,
            MemberLeft: self._on_left,
            MemberCleared: self._on_cleared,
            MemberProven: self._on_proven,
            MemberEvicted: self._on_evicted,
            Refuted: lambda _, now: self._on_doubted(now),
            AddressConflict: self._on_conflict,
            ClaimHeld: self._on_claim_held,
            ClaimDenied: self.identity_contests.met,
            ExchangeFinished: self._on_exchange,
            PingFinished: self._on_ping,
            UserDataReceived: self._on_user_data,
        }

    def _by_timer(self) -> dict[Timer, Callable[[float], Actions]]:
        """Return what is done when each timer of ours is due."""
        return {
            Timer.LOOKUP: self.discovery.look_on,
            Timer.JOIN_RETRY: self.discovery.retry,
            Timer.RECONNECT: self.discovery.reconnect,
            Timer.FORGET: self._forget_failed,
            Timer.TOMBSTONES: self.left.refresh,
            Timer.RETELL: self.left.retell,
            Timer.NAME_CONFLICT: self._name_conflicts.ask_again,
            Timer.TAKEOVER: self._name_takeover.tell,
            Timer.RESUMPTION: self._go_on_resuming,
            Timer.CONTEST: self.identity_contests.time_is_over,
            Timer.KEYS: self.keys.look,
        }

    def _by_check(self) -> dict[type[Any], Callable[[Any, bool, float], Actions]]:
        """Return what hears of each kind of liveness check."""
        return {
            SaidBack: self.left.said_back,
            SaidGone: self.left.said_gone,
            AtOldAddress: self._name_conflicts.at_old_address,
            AtClaimedAddress: self._name_conflicts.at_claimed_address,
            OfOurName: self._name_conflicts.of_our_name,
        }

    # Inputs

    def start(self, now: float) -> list[ForNode]:
        """Hold who was known at our last end for failed, and begin to look for them."""
        self.left.restore(self._saved.tombstones, now)
        self.failed.restore(filter(self._may_be_a_peer, self._saved.members), now)
        addr = self._gossip.settings.addr
        restored = self.identity_contests.pins.restore(self._saved.pins)
        starting = chain(restored, self._expect_to_forget(), self.keys.start(now))
        return self._do(chain(starting, self.discovery.start(addr, now)), now)

    def _may_be_a_peer(self, saved: SavedMember) -> bool:
        if leaps(saved.incarnation, None):
            return False  # forged, and saved before we knew better
        if not saved.meta or saved.left or saved.name == self._settings.name:
            return False
        return not self.left.covers(saved.name, saved.incarnation)

    def incarnation_for(self, look: Lookup) -> int:
        """Return the one to enter with, above all that anybody has seen of us."""
        return look.incarnation_above(self._saved.incarnation, self.left.own_incarnation)

    def entered(self, look: Lookup, now: float) -> list[ForNode]:
        """Go on after a look, now that we have been announced: join, and take our name over."""
        self.complete = not self.discovery.has_contacts
        self._name_conflicts.entered(now)
        self.identity_contests.entered(now)
        return self._do(self._enter(look, now), now)

    def _enter(self, look: Lookup, now: float) -> Actions:
        yield from self.discovery.enter(look, now)
        if self.earlier_name.name:
            yield from self._retire(self.earlier_name, look, now)
        if look.asked_holder and look.earlier_self:
            yield from self._take_over(look.earlier_self, look, now)

    def _retire(self, earlier: EarlierName, look: Lookup, now: float) -> Actions:
        """Announce that the name we had before is nobody's any more, unless it is somebody's."""
        live = earlier.live(look.live)
        if live is not None and not earlier.is_us(live):
            return
        yield inform(
            "this host was {earlier} before: announcing that {earlier} has left",
            earlier=earlier.name,
        )
        yield from self.left.retire(earlier.name, earlier.incarnation, now)
        if live is not None:
            yield actions.ApplyLeft(earlier.name, live.incarnation)

    def _take_over(self, elsewhere: Record, look: Lookup, now: float) -> Actions:
        """Take our name from an earlier self at another address, where nobody answers."""
        yield inform(
            "nobody answers at {address}: taking the name {member} over from there",
            address=look.asked_holder,
            member=elsewhere.name,
        )
        port = self._settings.port
        old = actions.TakeOver(elsewhere.addr, elsewhere.port or port, elsewhere.meta)
        yield from self._name_takeover.begin(old, in_need(look.live, port), now)

    def move_to(self, addr: bytes, meta: bytes | None, now: float) -> list[ForNode]:
        """Announce ourselves at another address, taking our name over from the one before."""
        old = self._gossip.local
        self._gossip.move_to(addr, now, meta=meta)
        self.discovery.moved_to(addr)
        if old is None:
            return []
        return self._do(iter([actions.TakeOver(old.addr, old.port, old.meta)]), now)

    def obey(self, order: KeyOrder, now: float) -> list[ForNode]:
        """Do something about the cluster keys; ValueError says what stands in the way."""
        return self._do(self.keys.obey(order, now), now)

    def forget(self, name: str, now: float) -> list[ForNode]:
        """Give up a failed member, or a pin of a name; ValueError says why that cannot be."""
        pins, held = self.identity_contests.pins, self._table.get(name)
        if name in pins.identities and name not in self.failed and not (held and held.live):
            return self._do(pins.withdraw(name), now)
        suspected_until = self._gossip.suspected_until(name) or now
        member = self.left.failed_member(name, suspected_until - now)

        def forget() -> Actions:
            yield from self.left.retire(name, member.incarnation, now)
            yield from pins.withdraw(name)
            yield actions.Forget(member)
            yield inform("member {member} was forgotten", member=name)
            yield ChangePlan()

        return self._do(forget(), now)

    def trust(self, name: str, identity: str | None, now: float) -> list[ForNode]:
        """Pin a name to the identity that claims it; ValueError says why that cannot be."""
        return self._do(self.identity_contests.trust(name, identity, now), now)

    def reconfigure(
        self, seeds: tuple[Seed, ...], forget_after: float, now: float
    ) -> list[ForNode]:
        """Contact these seeds, and keep who failed or left so many seconds, from now on."""
        self.left.keep_for(forget_after)
        seeking = self.discovery.replace_seeds(seeds)
        return self._do(chain(seeking, self._expect_to_forget()), now)

    def resolved(self, seed: Seed, ips: list[str], now: float) -> list[ForNode]:
        """Take the addresses of a seed's name; none when the look-up failed."""
        return self._do(self.discovery.resolved(seed, ips, now), now)

    def stop(self, now: float) -> list[ForNode]:
        """Contact nobody any more."""
        return self._do(self.discovery.stop(), now)

    def resumed(self, seconds: float, now: float, *, look: bool) -> list[ForNode]:
        """Go on after so many seconds for which we did not run; `look` before we tell anything."""
        self.failed.shift(seconds)
        self.left.shift(seconds)
        self.keys.shift(seconds)
        looking = self._resumption.resumed(now) if look else iter(())
        return self._do(chain(self._expect_to_forget(), looking), now)

    def handle(self, event: object, now: float) -> list[ForNode]:
        """Follow up on an event of the gossip."""
        handler = self._handlers.get(type(event))
        return self._do(handler(event, now), now) if handler else []

    def on_timer(self, timer: Timer, now: float) -> list[ForNode]:
        """Do what is due."""
        return self._do(self._timers[timer](now), now)

    def settle(self, now: float) -> list[ForNode]:
        """Follow up on all that has happened, once its events have been handled."""
        for_node = self._do(chain(self.identity_contests.admit(), self.left.publish(now)), now)
        if self._crowded != self._table.proofs.crowded:
            self._crowded = not self._crowded
            for_node.append(ChangePlan())
        return for_node

    # Acting

    def _do(self, wanted: Actions, now: float) -> list[ForNode]:
        """Do what a part wants done, and return what is the node's."""
        for_node: list[ForNode] = []
        for action in wanted:
            match action:
                case actions.Check():
                    for_node += self._do(self._liveness_checks.begin(action), now)
                case actions.Checked():
                    for_node += self._do(self._on_checked(action, now), now)
                case actions.Reach():
                    for_node += self._do(self.discovery.reach(action.to), now)
                case actions.TakeOver():
                    targets = in_need(self._table.others(), self._settings.port)
                    for_node += self._do(self._name_takeover.begin(action, targets, now), now)
                case actions.Merge():
                    if self._gossip.merge(action.looked, now):
                        for_node += self._do(self._resumption.merged(action.looked, now), now)
                case actions.SendWithTables():
                    self._gossip.send_with_tables(self._told.put(action.part, action.payload))
                case actions.Complete():
                    if not self.complete:
                        for_node.append(ChangePlan())
                    self.complete = True
                case _ if isinstance(action, ForNode):
                    for_node.append(action)
                case _:
                    call(self._gossip, action, now)
        return for_node

    def _on_checked(self, checked: actions.Checked, now: float) -> Actions:
        about, answered = checked.about, checked.answered
        if isinstance(about, AfterSleep):  # asked again, even if it could not be asked
            yield from self._resumption.after_sleep(about, answered, now)
        elif answered is not None:
            yield from self._checked[type(about)](about, answered, now)
            yield ChangePlan()

    # What happens

    def _on_joined(self, event: MemberJoined, now: float) -> Actions:
        member = event.member
        if member.name in self.failed:
            yield from self.discovery.returned(now)
        self.discovery.joined(member)
        yield from self.left.returned(member, now)
        self.failed.drop(member.name)
        yield from self._resumption.is_there(member.name)
        yield from self.discovery.mind_company(now)
        if self._waits(member.name):
            return
        self.identity_contests.pins.see(member)
        yield inform(
            "member {member} joined at {address}", member=member.name, address=member.address
        )
        yield ChangePlan()

    def _on_proven(self, event: MemberProven, _now: float) -> Actions:
        member = event.member
        self.identity_contests.pins.see(member)
        yield inform(
            "member {member} answered, which joined in a crowd, at {address}",
            member=member.name,
            address=member.address,
        )
        yield ChangePlan()

    def _waits(self, name: str) -> bool:
        """Tell whether a member came in a crowd and has not answered us yet."""
        proofs = self._table.proofs
        return proofs.crowded and proofs.waits(name)

    def _on_evicted(self, _event: MemberEvicted, now: float) -> Actions:
        yield from self.discovery.mind_company(now)
        yield ChangePlan()

    def _on_updated(self, event: MemberUpdated, _now: float) -> Actions:
        self.identity_contests.pins.see(event.member)
        yield trace("member {member} changed", member=event.member.name)
        yield ChangePlan()

    def _on_failed(self, event: MemberFailed, now: float) -> Actions:
        yield ChangePlan()
        member = event.member
        relied_on = not self._waits(member.name)
        if relied_on and not self.left.covers(member.name, member.incarnation):
            answered = member.name not in self._table.proofs.unproven
            self.failed.add(member, now, answered=answered)
            self.discovery.failed(member)
            yield from self._expect_to_forget()
            yield inform(
                "member {member} failed; its peer stays until it returns or is forgotten",
                member=member.name,
            )
        yield from self.discovery.mind_company(now)
        yield from self.identity_contests.vanished(member.name, now)

    def _on_left(self, event: MemberLeft, now: float) -> Actions:
        self.left.left(event.member, now)
        yield from self.discovery.mind_company(now)
        yield inform("member {member} left", member=event.member.name)
        yield ChangePlan()
        yield from self.identity_contests.vanished(event.member.name, now)

    def _on_cleared(self, event: MemberCleared, now: float) -> Actions:
        yield from self.discovery.mind_company(now)
        if now - event.suspected_at > LONG_SUSPECTED * self._settings.timing.probe_interval:
            yield from self._on_doubted(now)

    def _on_doubted(self, now: float) -> Actions:
        yield from self.discovery.returned(now)
        yield from self.left.reappeared(now)

    def _on_conflict(self, event: AddressConflict, now: float) -> Actions:
        claim = event.claim
        if event.member.name != self._settings.name:
            return self._name_conflicts.met(event)
        if self._name_takeover.concerns(claim.addr, claim.port):
            return iter(())
        return self._name_conflicts.met_ours(claim, now)

    def _on_claim_held(self, event: ClaimHeld, _now: float) -> Actions:
        return self.left.claim_held(event.claim)

    def _on_exchange(self, event: ExchangeFinished, now: float) -> Actions:
        if self._gossip.local is None:  # what comes with a look is ours to take
            yield from self._hear(event.user_state, event.to, now)
        else:
            yield from self.left.read(event.records, now)
        yield from self._name_takeover.exchanged(event, now)
        yield from self._resumption.exchanged(event)
        yield from self._name_conflicts.exchanged(event)
        yield from self.identity_contests.exchanged(event, now)
        yield from self.discovery.exchanged(event, now)

    def _on_ping(self, event: PingFinished, now: float) -> Actions:
        yield from self.discovery.pinged(event, now)
        yield from self._liveness_checks.pinged(event)
        yield from self.identity_contests.pinged(event, now)

    def _on_user_data(self, event: UserDataReceived, now: float) -> Actions:
        return self._hear(event.payload, event.source, now)

    def _hear(self, payload: bytes, source: Address, now: float) -> Actions:
        try:
            for part in unpack(payload):
                yield from self.left.heard(part, source, now)
                yield from self.keys.heard(part, now, new_here=not self.complete)
                yield from self.identity_contests.heard(part, source, now)
        except ProtocolError as error:
            yield trace("dropped what {address} told: {reason}", address=source, reason=str(error))

    # Timers

    def _expect_to_forget(self) -> Actions:
        yield SetTimer(Timer.FORGET, self.failed.next_timer(self.left.forget_after))

    def _forget_failed(self, now: float) -> Actions:
        if forgotten := self.failed.expire(now, self.left.forget_after):
            self.left.forgot(member.name for member in forgotten)
            self.discovery.forgotten()
            yield from map(actions.Forget, forgotten)
            yield ChangePlan()
            yield from self.left.publish(now)
        yield from self._expect_to_forget()

    def _go_on_resuming(self, now: float) -> Actions:
        return self._resumption.go_on(self.discovery.seed_addresses(), now)
