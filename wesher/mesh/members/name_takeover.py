"""Moving our own name to this host's address, in the tables of members that hold it at another."""

from collections import Counter, deque
from collections.abc import Iterable
from typing import Protocol

from wesher.base.frozen import frozen, replace
from wesher.gossip import (
    Address,
    ExchangeFinished,
    Gossip,
    MemberState,
    Record,
    RecordState,
    short_form,
    unpack_ip,
)
from wesher.mesh.base.metadata import Metadata, read_metadata

AT_A_TIME = 8  # members
PAUSE = 0.2  # seconds until the next few
TRIES = 3  # with each member
LASTS = 300.0  # seconds in which we look out for members that still hold the old address


@frozen
class PreviousAddress:
    """What members hold under our name, at an address where nobody answers any more."""

    addr: bytes
    port: int
    meta: bytes | None


class Reachable(Protocol):
    """A member, or a record of one."""

    @property
    def name(self) -> str: ...
    @property
    def addr(self) -> bytes: ...
    @property
    def port(self) -> int: ...
    @property
    def meta(self) -> bytes | None: ...


def in_need(members: Iterable[Reachable], default_port: int) -> list[Address]:
    """Return where to reach those who can be told, Go peers first: ours find out by themselves.

    v0.1.4, known by its metadata, takes no notice of a departure and would revive the old address.
    """
    found: list[tuple[bool, Address]] = []
    for member in members:
        metadata = read_metadata(member)
        ours = isinstance(metadata, Metadata) and metadata.has_ext
        if isinstance(metadata, Metadata) and metadata.format == "v0.2" and not ours:
            continue
        if len(member.addr) in (4, 16):
            found.append((ours, Address(unpack_ip(member.addr), member.port or default_port)))
    return [address for _, address in sorted(found)]


class NameTakeover:
    """The owner's procedure of protocol 4.11, with every member that needs it.

    Go takes another address only from a member that has left. So members hear, in this order, that
    we are alive at the old address, that we have left there, and that we are alive here.
    """

    def __init__(self, gossip: Gossip) -> None:
        self._gossip = gossip
        self._old: PreviousAddress | None = None
        self._abandoned: set[tuple[bytes, int]] = set()
        self._ends_at = float("-inf")
        self._next_at: float | None = None
        self._targets: deque[Address] = deque()
        self._running: dict[int, Address] = {}
        self._tries: Counter[Address] = Counter()

    def concerns(self, addr: bytes, port: int) -> bool:
        """Tell whether this is an address from which we have taken our name."""
        return (short_form(addr), port) in self._abandoned

    def begin(self, old: PreviousAddress, targets: Iterable[Address], now: float) -> None:
        """Start with these members; our own record must be two incarnations above theirs."""
        self._old = old
        self._abandoned.add((short_form(old.addr), old.port))
        local = self._gossip.local
        if local is not None:  # we may be back where we were
            self._abandoned.discard((short_form(local.addr), local.port))
        self._ends_at = now + LASTS
        self._targets = deque(dict.fromkeys(targets))
        self._tries.clear()
        self._next_at = now

    def next_timer(self) -> float | None:
        """Return when `advance` has something to do, None for never."""
        return self._next_at

    def advance(self, now: float) -> None:
        """Tell the next few members."""
        if self._next_at is None or now < self._next_at:
            return
        for _ in range(min(AT_A_TIME, len(self._targets))):
            self._tell(self._targets.popleft(), now)
        self._next_at = now + PAUSE if self._targets else None

    def finished(self, event: ExchangeFinished, now: float) -> None:
        """Take note of who has been told, and of who holds our name elsewhere as yet."""
        target = self._running.pop(event.exchange, None)
        if target is not None:  # what it answered is from before it heard us
            if event.error is not None:
                self._again(target, now)
            return
        if self._old is None or now > self._ends_at:
            return
        for record in event.records:
            if record.name == self._gossip.settings.name and self._is_old(record):
                self._outdo(record.incarnation, now)
                self._again(event.to, now)

    def _is_old(self, record: Record) -> bool:
        return record.state != RecordState.LEFT and self.concerns(record.addr, record.port)

    def _again(self, target: Address, now: float) -> None:
        if self._tries[target] < TRIES and target not in self._targets:
            self._targets.append(target)
            self._next_at = now + PAUSE if self._next_at is None else self._next_at

    def _outdo(self, incarnation: int, now: float) -> None:
        """See to it that our record is two incarnations above one that is held."""
        local = self._gossip.local
        if local is not None and local.incarnation < incarnation + 2:
            self._gossip.apply_left(local.name, incarnation + 1, now)

    def _tell(self, target: Address, now: float) -> None:
        local, old = self._gossip.local, self._old
        if local is None or old is None:
            return
        self._tries[target] += 1
        there = replace(local, addr=old.addr, port=old.port, meta=old.meta)
        there = replace(there, incarnation=local.incarnation - 1)
        gone = replace(there, state=MemberState.LEFT)
        first = (there.as_record(), gone.as_record())
        exchange = self._gossip.push_pull(target, now, join=True, first=first)
        self._running[exchange] = target
