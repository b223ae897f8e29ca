"""Rules that hold at every step of every run, checked where something changes and nowhere else."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from wesher.gossip import (
    Event,
    Gossip,
    Member,
    MemberCleared,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberState,
    MemberSuspected,
    MemberUpdated,
)
from wesher.gossip.messages import MAX_INCARNATION
from wesher.mesh.base.plan import Plan

Report = Callable[[str], None]

Change = MemberJoined | MemberUpdated | MemberFailed | MemberLeft | MemberSuspected | MemberCleared
"""What is told of a change of a record."""

_RANKS = {MemberState.ALIVE: 0, MemberState.SUSPECT: 1, MemberState.DEAD: 2, MemberState.LEFT: 2}


@dataclass(slots=True)
class Rulebook:
    """What all watches of one world share: who has raised which incarnation, and whom to tell."""

    broken: Report
    """Called with what is wrong; raises."""
    changed: Report
    """Called with every change of a record, for the trace."""
    highest: dict[str, int] = field(default_factory=dict)
    """The highest incarnation that each member has had, in its own table."""


class Watch:
    """Watches one Gossip: every record it stores, and every event it tells of."""

    def __init__(self, name: str, gossip: Gossip, rules: Rulebook, *, events: bool = True) -> None:
        self._name = name
        self._transitions = rules
        self._get = gossip.members.get
        self._put = gossip.members.put
        self._drain = gossip.events
        self._untold: deque[Change] = deque()
        self._overdue: Change | None = None
        self._leaving = False
        self._expects_events = events
        gossip.members.put = self._on_put  # type: ignore[method-assign] # to see what it stores
        if events:
            gossip.events = self._on_drain  # type: ignore[method-assign] # to see what it tells

    def after_step(self) -> None:
        """Check that what changed in the step before was told by now."""
        if not self._untold:
            self._overdue = None
            return
        first = self._untold[0]
        if first is self._overdue:
            self._transitions.broken(f"{self._name} does not tell of {_told(first)}")
        self._overdue = first

    def _on_put(self, member: Member) -> None:
        old = self._get(member.name)
        self._put(member)
        if member.name == self._name:
            highest = self._transitions.highest
            highest[member.name] = max(highest.get(member.name, 0), member.incarnation)
        self._check(old, member)
        self._expect(old, member)
        if member.state is not MemberState.DEAD or member.incarnation:
            self._transitions.changed(f"{self._name} has {_text(member)}")

    def _check(self, old: Member | None, new: Member) -> None:
        if new.incarnation > self._transitions.highest.get(new.name, 0):
            self._transitions.broken(f"{self._name} raised the incarnation of {_text(new)}")
        if old is not None and not self._may_follow(old, new):
            self._transitions.broken(f"{self._name} went back from {_text(old)} to {_text(new)}")

    def _may_follow(self, old: Member, new: Member) -> bool:
        """Tell whether a record outranks what was held, or its member begins anew elsewhere."""
        if (old.incarnation, _RANKS[old.state]) < (new.incarnation, _RANKS[new.state]):
            return True
        if new.name == self._name:
            return new.incarnation == MAX_INCARNATION
        if (old.addr, old.port) == (new.addr, new.port):
            return False
        if old.state is MemberState.LEFT:
            return True
        return old.incarnation == new.incarnation

    def _expect(self, old: Member | None, new: Member) -> None:
        if self._expects_events and new.name != self._name:
            self._untold.extend(_events_of(old, new))

    def _on_drain(self) -> list[Event]:
        events = self._drain()
        for event in events:
            if isinstance(event, Change):
                self._check_event(event)
        return events

    def _check_event(self, event: Change) -> None:
        if not self._untold or self._untold.popleft() != event:
            self._transitions.broken(f"{self._name} tells, without a change, of {_told(event)}")


def check_plan(plan: Plan, public_key: str) -> str | None:
    """Say what is wrong with a plan of the host that has this key."""
    routed = [ip for peer in plan.peers.values() for ip in peer.allowed_ips]
    # As numbers: these are sooner compared.
    addresses = {int(ip.network_address) for ip in routed if ip.prefixlen == ip.max_prefixlen}
    if len(addresses) != sum(ip.prefixlen == ip.max_prefixlen for ip in routed):
        return "one address, two peers"
    if int(plan.interface.address) in addresses:
        return "our own address is a peer's"
    if not addresses.issuperset([int(entry.ip) for entry in plan.hosts]):
        return "a hosts entry without a route"
    if public_key in plan.peers:
        return "we are our own peer"
    return None


def _events_of(old: Member | None, new: Member) -> Iterator[Change]:
    """Yield what has to be told of a change."""
    if old is None or not old.live:
        if new.live:
            yield MemberJoined(new)
    elif new.state is MemberState.LEFT:
        yield MemberLeft(new)
    elif new.state is MemberState.DEAD:
        yield MemberFailed(new)
    elif new.state is MemberState.SUSPECT:
        if old.state is MemberState.ALIVE:
            yield MemberSuspected(new)
    elif new.state is MemberState.ALIVE:
        if old.state is MemberState.SUSPECT:
            yield MemberCleared(new, old.state_changed_at)
        if (old.meta or b"", old.address) != (new.meta or b"", new.address):
            yield MemberUpdated(new)


def _text(member: Member) -> str:
    return f"{member.name} {member.state.name.lower()} {member.incarnation}"


def _told(event: Change) -> str:
    return f"{type(event).__name__}({_text(event.member)})"
