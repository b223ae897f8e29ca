"""What an operator should know of packets and hosts that do not do what they should."""

from collections.abc import Callable, Container, Iterable
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
    PacketDropped,
    Refuted,
    SeenElsewhere,
    TcpOnly,
)
from wesher.gossip.push_pull import TABLE_FULL
from wesher.mesh.base.local_facts import LocalFacts
from wesher.mesh.base.metadata import read_key
from wesher.mesh.base.operator_log import OperatorLog
from wesher.mesh.base.plan import IPAddress
from wesher.mesh.base.seeds import Seed
from wesher.mesh.reporting.dropped_packets import DroppedPackets

ALONE_PATIENCE = 5.0  # seconds until the operator is told that nobody answers
SEEDS_SHOWN = 5
OWN_PAST = 60.0  # seconds after the start; a push/pull with everybody's neighbours in wan timing


class NetworkWarnings:
    """Warns of what events say of the network and of strangers; `contacted` are whom we asked."""

    def __init__(
        self,
        operator_log: OperatorLog,
        contacted: Container[str],
        public_key: str,
        relied_on: Container[str],
    ) -> None:
        self._operator_log = operator_log
        self._relied_on = relied_on  # our peers, of whom everything is told
        self._public_key = public_key
        self._contacted = contacted
        self._unresolved: set[str] = set()
        self._alone_at: float | None = None
        self._own_past_until = float("inf")
        self._announced: Address | None = None
        self._talks_from: IPAddress | None = None
        self.drops = DroppedPackets()
        self.member_ips: frozenset[str] = frozenset()
        """Where members are, so that an operator cares what comes from there."""
        self._handlers: dict[type[Any], Callable[[Any, float], None]] = {
            MemberJoined: self._on_joined,
            TcpOnly: self._on_tcp_only,
            SeenElsewhere: self._on_seen_elsewhere,
            ExchangeFinished: self._on_exchange,
            PacketDropped: self._on_drop,
            ClaimRefused: self._on_claim_refused,
            Refuted: self._on_refuted,
            MemberUpdated: self._on_updated,
        }

    def start(self, now: float, *, alone: bool) -> None:
        """Begin to wait for somebody's answer, unless there is nobody to ask (`alone`)."""
        self._alone_at = None if alone else now + ALONE_PATIENCE
        self._own_past_until = now + OWN_PAST

    def unresolved(self, host: str) -> None:
        """Take note that a seed's name has no address."""
        self._unresolved.add(host)

    def stop(self) -> None:
        """Do not mind any more that nobody answers."""
        self._alone_at = None

    def next_timer(self) -> float | None:
        """Return when `advance` has something to do, None for never."""
        return self._alone_at

    def advance(self, seeds: tuple[Seed, ...], now: float) -> None:
        """Say once, a while after the start, that nobody has been found."""
        if self._alone_at is None or now < self._alone_at:
            return
        self._alone_at = None
        if seeds and all(seed.host in self._unresolved for seed in seeds):
            return  # nobody could be asked, which has been told
        shown = ", ".join(str(seed) for seed in seeds[:SEEDS_SHOWN])
        shown = shown or "the addresses in the state file"
        self._operator_log.warn("", now, problems.NOBODY, seeds=shown)

    def handle(self, event: object, now: float) -> None:
        """Take note of an event of the gossip."""
        if handler := self._handlers.get(type(event)):
            handler(event, now)

    def _on_joined(self, _event: MemberJoined, _now: float) -> None:
        self._alone_at = None

    def compare(self, live: Iterable[Member], facts: LocalFacts, here: Address, now: float) -> None:
        """Warn of members that announce what only we can be, as the hosts of a NAT do."""
        self._announced, self._talks_from = here, facts.talks_from
        ours = {str(ip) for ip in facts.own_addresses if not ip.is_loopback}
        for member in live if not ours.isdisjoint(self.member_ips) else ():
            if member.address.ip in ours and member.port == here.port:
                self._operator_log.warn(
                    member.name,
                    now,
                    problems.ADDRESS_HERE,
                    member=member.name,
                    address=member.address.ip,
                )

    def _on_seen_elsewhere(self, event: SeenElsewhere, now: float) -> None:
        self._operator_log.warn(
            event.member.name,
            now,
            problems.TALKS_ELSEWHERE,
            member=event.member.name,
            address=event.member.address.ip,
            seen=event.ip,
        )

    def _on_tcp_only(self, event: TcpOnly, now: float) -> None:
        if self._talks_from and self._announced:
            self._operator_log.warn(
                "",
                now,
                problems.WE_TALK_ELSEWHERE,
                address=self._announced.ip,
                seen=self._talks_from,
            )
            return
        self._operator_log.warn(
            event.member.name,
            now,
            problems.UDP_BLOCKED,
            member=event.member.name,
            address=event.member.address,
            port=event.member.port,
        )

    def _on_claim_refused(self, event: ClaimRefused, now: float) -> None:
        self._operator_log.warn(
            event.name,
            now,
            problems.FORGED,
            always=event.name in self._relied_on,
            member=event.name,
            incarnation=event.incarnation,
            address=event.source,
        )

    def _on_refuted(self, event: Refuted, now: float) -> None:
        """Mind who announces us with a WireGuard key that is not ours."""
        claimed = read_key(event.claim.meta) if event.claim else None
        if event.claim is None or claimed in {None, self._public_key}:
            return
        if now < self._own_past_until:
            return  # what was known of our last start, which had another key, is still about
        self._operator_log.err(
            event.claim.node,
            now,
            problems.IMPERSONATED,
            always=True,
            member=event.claim.node,
            key=claimed,
        )

    def _on_updated(self, event: MemberUpdated, now: float) -> None:
        """Mind a WireGuard key that changes while its member is there all the time."""
        if event.old is None or event.old.state is not MemberState.ALIVE:
            return
        before, after = read_key(event.old.meta), read_key(event.member.meta)
        if before is None or after is None or before == after:
            return
        self._operator_log.err(
            event.member.name,
            now,
            problems.KEY_CHANGED,
            always=event.member.name in self._relied_on,
            member=event.member.name,
            old=before,
            new=after,
        )

    def _on_exchange(self, event: ExchangeFinished, now: float) -> None:
        if event.undecryptable:
            self._warn_of_key(event.to, now)
        if event.error == TABLE_FULL:
            self._alone_at = None  # somebody does answer
        if event.error is not None:
            self._operator_log.trace(
                "no exchange with {address}: {error}", address=event.to, error=event.error
            )

    def _on_drop(self, event: PacketDropped, now: float) -> None:
        self.drops.add(event, now)
        self._operator_log.trace(
            "dropped what {address} sent: {reason} ({detail})",
            address=event.source,
            reason=event.reason.value,
            detail=event.detail,
        )
        if event.reason is DropReason.UNDECRYPTABLE and self._knows(event.source.ip):
            self._warn_of_key(event.source, now)

    def _warn_of_key(self, source: Address, now: float) -> None:
        self._alone_at = None  # this says more than that nobody answers
        self._operator_log.warn(source.ip, now, problems.OTHER_KEY, address=source.ip)

    def _knows(self, ip: str) -> bool:
        """Tell whether a seed or a member is at this address, so that an operator cares."""
        return ip in self._contacted or ip in self.member_ips
