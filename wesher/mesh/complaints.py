"""What an operator should know of packets and hosts that do not do what they should."""

from collections.abc import Callable, Container
from typing import Any

from wesher.gossip import (
    Address,
    DropReason,
    ExchangeFinished,
    MemberJoined,
    PacketDropped,
    TcpOnly,
)
from wesher.mesh import troubles
from wesher.mesh.drops import Drops
from wesher.mesh.notices import Notices
from wesher.mesh.rejoin import Seed

ALONE_PATIENCE = 5.0  # seconds until the operator is told that nobody answers
SEEDS_SHOWN = 5


class Complaints:
    """Warns of what events say of the network and of strangers; `contacted` are whom we asked."""

    def __init__(self, notices: Notices, contacted: Container[str]) -> None:
        self._notices = notices
        self._contacted = contacted
        self._alone_at: float | None = None
        self.drops = Drops()
        self.member_ips: Container[str] = frozenset()
        """Where members are, so that an operator cares what comes from there."""
        self._handlers: dict[type[Any], Callable[[Any, float], None]] = {
            MemberJoined: self._on_joined,
            TcpOnly: self._on_tcp_only,
            ExchangeFinished: self._on_exchange,
            PacketDropped: self._on_drop,
        }

    def start(self, now: float) -> None:
        """Begin to wait for somebody's answer."""
        self._alone_at = now + ALONE_PATIENCE

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
        shown = ", ".join(str(seed) for seed in seeds[:SEEDS_SHOWN])
        shown = shown or "the addresses in the state file"
        self._notices.warn("", now, troubles.NOBODY, seeds=shown)

    def handle(self, event: object, now: float) -> None:
        """Take note of an event of the gossip."""
        if handler := self._handlers.get(type(event)):
            handler(event, now)

    def _on_joined(self, _event: MemberJoined, _now: float) -> None:
        self._alone_at = None

    def _on_tcp_only(self, event: TcpOnly, now: float) -> None:
        self._notices.warn(
            event.member.name,
            now,
            troubles.UDP_BLOCKED,
            member=event.member.name,
            address=event.member.address,
            port=event.member.port,
        )

    def _on_exchange(self, event: ExchangeFinished, now: float) -> None:
        if event.undecryptable:
            self._warn_of_key(event.to, now)
        if event.error is not None:
            self._notices.trace(
                "no exchange with {address}: {error}", address=event.to, error=event.error
            )

    def _on_drop(self, event: PacketDropped, now: float) -> None:
        self.drops.add(event, now)
        self._notices.trace(
            "dropped what {address} sent: {reason} ({detail})",
            address=event.source,
            reason=event.reason.value,
            detail=event.detail,
        )
        if event.reason is DropReason.UNDECRYPTABLE and self._knows(event.source.ip):
            self._warn_of_key(event.source, now)

    def _warn_of_key(self, source: Address, now: float) -> None:
        self._alone_at = None  # this says more than that nobody answers
        self._notices.warn(source.ip, now, troubles.OTHER_KEY, address=source.ip)

    def _knows(self, ip: str) -> bool:
        """Tell whether a seed or a member is at this address, so that an operator cares."""
        return ip in self._contacted or ip in self.member_ips
