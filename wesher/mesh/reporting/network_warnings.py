"""What an operator should know of packets, hosts and crowds that do not do what they should."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any

from wesher.base import problems
from wesher.gossip import (
    Address,
    ClaimRefused,
    DropReason,
    ExchangeFinished,
    Member,
    MemberJoined,
    MemberState,
    MemberUpdated,
    NeverAnswered,
    NotRead,
    PacketDropped,
    Refuted,
    SeenElsewhere,
    TableFull,
    TcpOnly,
)
from wesher.gossip.push_pull import TABLE_FULL
from wesher.mesh.base.actions import SetTimer, Timer, Warn, trace
from wesher.mesh.base.events import Notice, Severity
from wesher.mesh.base.metadata import read_key
from wesher.mesh.base.operator_log import QUIET, Recent
from wesher.mesh.base.plan import IPAddress, LocalFacts
from wesher.mesh.base.seeds import Seed

ALONE_PATIENCE = 5.0  # seconds until the operator is told that nobody answers
SEEDS_SHOWN = 5
OWN_PAST = 60.0  # seconds after the start; a push/pull with everybody's neighbours in wan timing
MANY = 100  # members that never answer; fewer are no crowd, but hosts that crashed as we came
MAX_SOURCES = 32  # strangers can invent as many as they like

Telling = Iterator[Warn | Notice | SetTimer]


class DroppedPackets:
    """Counts of everything dropped since the start, and the newest strangers."""

    def __init__(self) -> None:
        self.reasons: Counter[DropReason] = Counter()
        self._strangers: OrderedDict[str, Recent] = OrderedDict()

    def add(self, event: PacketDropped, now: float) -> None:
        """Count one."""
        self.reasons[event.reason] += 1
        if event.reason is DropReason.UNDECRYPTABLE:
            self._meet(event.source.ip, now)

    def strangers(self, now: float) -> list[Recent]:
        """Return who sent something undecryptable lately, the newest last."""
        return [one for one in self._strangers.values() if now - one.last_at < QUIET]

    def _meet(self, ip: str, now: float) -> None:
        met = Warn(problems.STRANGER, ip, {"address": ip})
        known = self._strangers.pop(ip, None)
        self._strangers[ip] = known.again(met, now) if known else Recent(met, now)
        if len(self._strangers) > MAX_SOURCES:
            self._strangers.popitem(last=False)


class NetworkWarnings:
    """Says what events tell of the network and of strangers; `contacted` are whom we asked."""

    def __init__(
        self, contacted: Container[str], public_key: str, relied_on: Container[str]
    ) -> None:
        self._relied_on = relied_on  # our peers, of whom everything is told
        self._public_key = public_key
        self._contacted = contacted
        self._resolved: set[str] = set()
        self._minds_being_alone = False
        self._own_past_until = float("inf")
        self._announced: Address | None = None
        self._talks_from: IPAddress | None = None
        self._member_ips: frozenset[str] = frozenset()
        self.drops = DroppedPackets()
        self._handlers: dict[type[Any], Callable[[Any, float], Telling]] = {
            MemberJoined: self._on_joined,
            TcpOnly: self._on_tcp_only,
            SeenElsewhere: self._on_seen_elsewhere,
            ExchangeFinished: self._on_exchange,
            NotRead: self._on_not_read,
            PacketDropped: self._on_drop,
            ClaimRefused: self._on_claim_refused,
            Refuted: self._on_refuted,
            MemberUpdated: self._on_updated,
            TableFull: self._on_full,
            NeverAnswered: self._on_never_answered,
        }

    def start(self, now: float, *, alone: bool) -> Telling:
        """Begin to wait for somebody's answer, unless there is nobody to ask (`alone`)."""
        self._own_past_until = now + OWN_PAST
        self._minds_being_alone = not alone
        if not alone:
            yield SetTimer(Timer.ALONE, now + ALONE_PATIENCE)

    def resolved(self, host: str, *, found: bool) -> Telling:
        """Take note that a seed's name has an address, or none."""
        if found:
            self._resolved.add(host)
        else:
            yield Warn(problems.SEED_NAME, host, {"seed": host})

    def not_alone(self) -> Telling:
        """Do not mind any more that nobody answers."""
        if self._minds_being_alone:
            self._minds_being_alone = False
            yield SetTimer(Timer.ALONE, None)

    def alone(self, seeds: tuple[Seed, ...], now: float) -> Telling:
        """Say once, a while after the start, that nobody has been found.

        A seed whose name has no address yet is not silent: its look-up tells what is wrong, however
        long that takes.
        """
        asked = [seed for seed in seeds if seed.address or seed.host in self._resolved]
        if seeds and not asked:
            yield SetTimer(Timer.ALONE, now + ALONE_PATIENCE)
            return
        self._minds_being_alone = False
        shown = ", ".join(str(seed) for seed in asked[:SEEDS_SHOWN])
        yield Warn(problems.NOBODY, "", {"seeds": shown or "the addresses in the state file"})

    def handle(self, event: object, now: float) -> Telling:
        """Take note of an event of the gossip."""
        handler = self._handlers.get(type(event))
        return handler(event, now) if handler else iter(())

    def compare(
        self,
        live: Sequence[Member],
        facts: LocalFacts,
        here: Address,
        relied_on: Container[str],
    ) -> Telling:
        """Warn of members that announce what only we can be, as the hosts of a NAT do."""
        self._relied_on = relied_on
        self._announced, self._talks_from = here, facts.talks_from
        self._member_ips = frozenset([member.address.ip for member in live])
        ours = {str(ip) for ip in facts.own_addresses if not ip.is_loopback}
        for member in live if not ours.isdisjoint(self._member_ips) else ():
            if member.address.ip in ours and member.port == here.port:
                data = {"member": member.name, "address": member.address.ip}
                yield Warn(problems.ADDRESS_HERE, member.name, data)

    def _on_joined(self, _event: MemberJoined, _now: float) -> Telling:
        return self.not_alone()

    def _on_seen_elsewhere(self, event: SeenElsewhere, _now: float) -> Telling:
        member = event.member
        data = {"member": member.name, "address": member.address.ip, "seen": event.ip}
        yield Warn(problems.TALKS_ELSEWHERE, member.name, data)

    def _on_tcp_only(self, event: TcpOnly, _now: float) -> Telling:
        member = event.member
        if self._talks_from and self._announced:
            ours = {"address": self._announced.ip, "seen": self._talks_from}
            yield Warn(problems.WE_TALK_ELSEWHERE, "", ours)
            return
        theirs = {"member": member.name, "address": member.address, "port": member.port}
        yield Warn(problems.UDP_BLOCKED, member.name, theirs)

    def _on_claim_refused(self, event: ClaimRefused, _now: float) -> Telling:
        name = event.name
        data = {"member": name, "incarnation": event.incarnation, "address": event.source}
        yield Warn(problems.FORGED, name, data, always=name in self._relied_on)

    def _on_refuted(self, event: Refuted, now: float) -> Telling:
        """Mind who announces us with a WireGuard key that is not ours."""
        claimed = read_key(event.claim.meta) if event.claim else None
        if event.claim is None or claimed in {None, self._public_key}:
            return
        if now < self._own_past_until:
            return  # what was known of our last start, which had another key, is still about
        name = event.claim.node
        data = {"member": name, "key": claimed}
        yield Warn(problems.IMPERSONATED, name, data, always=True, severity=Severity.ERROR)

    def _on_updated(self, event: MemberUpdated, _now: float) -> Telling:
        """Mind a WireGuard key that changes while its member is there all the time."""
        if event.old is None or event.old.state is not MemberState.ALIVE:
            return
        before, after = read_key(event.old.meta), read_key(event.member.meta)
        if before is None or after is None or before == after:
            return
        name = event.member.name
        yield Warn(
            problems.KEY_CHANGED,
            name,
            {"member": name, "old": before, "new": after},
            always=name in self._relied_on,
            severity=Severity.ERROR,
        )

    def _on_full(self, event: TableFull, _now: float) -> Telling:
        data = {"count": event.members, "unproven": event.unproven}
        yield Warn(problems.TABLE_FULL, "", data, severity=Severity.ERROR)

    def _on_never_answered(self, event: NeverAnswered, _now: float) -> Telling:
        if event.members >= MANY:
            yield Warn(problems.CROWD, "", {"count": event.members}, severity=Severity.ERROR)

    def _on_exchange(self, event: ExchangeFinished, _now: float) -> Telling:
        if event.undecryptable:
            yield from self._warn_of_key(event.to)
        if event.error == TABLE_FULL:
            yield from self.not_alone()  # somebody does answer
            data = {"address": event.to}
            yield Warn(problems.TURNED_AWAY, event.to.ip, data, severity=Severity.ERROR)
        if event.error is not None:
            yield trace("no exchange with {address}: {error}", address=event.to, error=event.error)

    def _on_drop(self, event: PacketDropped, now: float) -> Telling:
        self.drops.add(event, now)
        yield trace(
            "dropped what {address} sent: {reason} ({detail})",
            address=event.source,
            reason=event.reason.value,
            detail=event.detail,
        )
        if event.reason is DropReason.UNDECRYPTABLE and self._knows(event.source.ip):
            yield from self._warn_of_key(event.source)

    def _warn_of_key(self, source: Address) -> Telling:
        yield from self.not_alone()  # this says more than that nobody answers
        yield Warn(problems.OTHER_KEY, source.ip, {"address": source.ip})

    def _on_not_read(self, event: NotRead, _now: float) -> Telling:
        yield from self.not_alone()
        yield Warn(problems.NOT_READ, event.to.ip, {"address": event.to.ip})

    def _knows(self, ip: str) -> bool:
        """Tell whether a seed or a member is at this address, so that an operator cares."""
        return ip in self._contacted or ip in self._member_ips
