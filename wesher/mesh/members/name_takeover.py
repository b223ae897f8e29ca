"""Our own name elsewhere: at another address, or another name of ours at this one.

Go takes another address only from a member that has left. So members that hold our name at an
address where nobody answers hear, in this order, that we are alive there, that we have left there,
and that we are alive here (spec/memberlist.md, 4.11).

A host that was renamed is the same member under another name. Nothing of it has changed but its
name: state file, interface, addresses. Under the old name it would stay a failed member of all
others for a day, with the WireGuard key and the overlay address that it has now. So it says that
the old name has left, and keeps its address. It only does so if it is the host that had the name,
and no copy of its disk: by its WireGuard key, which is in the kernel, or by its underlay address. A
live member that has the name by now keeps it.
"""

from collections import Counter, deque
from collections.abc import Iterable

from wesher.base.frozen import frozen, replace
from wesher.gossip import (
    Address,
    ExchangeFinished,
    Members,
    MemberState,
    Record,
    RecordState,
    pack_ip,
    short_form,
    unpack_ip,
)
from wesher.mesh.base.actions import Actions, ApplyLeft, Exchange, SetTimer, TakeOver, Timer
from wesher.mesh.base.metadata import Announced, Metadata, read_key, read_metadata
from wesher.mesh.base.saved import Saved
from wesher.mesh.base.settings import NodeSettings

AT_A_TIME = 8  # members
PAUSE = 0.2  # seconds until the next few
TRIES = 3  # with each member
LASTS = 300.0  # seconds in which we look out for members that still hold the old address


@frozen
class _Telling:
    """The purpose of an exchange in which a member is told."""

    target: Address


def in_need(members: Iterable[Announced], default_port: int) -> list[Address]:
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
    """The owner's procedure (spec/memberlist.md, 4.11), with every member that needs it.

    Go takes another address only from a member that has left. So members hear, in this order, that
    we are alive at the old address, that we have left there, and that we are alive here.
    """

    def __init__(self, name: str, table: Members) -> None:
        self._name = name
        self._table = table
        self._old: TakeOver | None = None
        self._abandoned: set[tuple[bytes, int]] = set()
        self._ends_at = float("-inf")
        self._targets: deque[Address] = deque()
        self._tries: Counter[Address] = Counter()

    def concerns(self, addr: bytes, port: int) -> bool:
        """Tell whether this is an address from which we have taken our name."""
        return (short_form(addr), port) in self._abandoned

    def begin(self, old: TakeOver, targets: Iterable[Address], now: float) -> Actions:
        """Start with these members; our own record must be two incarnations above theirs."""
        self._old = old
        self._abandoned.add((short_form(old.addr), old.port))
        local = self._table.local
        if local is not None:  # we may be back where we were
            self._abandoned.discard((short_form(local.addr), local.port))
        self._ends_at = now + LASTS
        self._targets = deque(dict.fromkeys(targets))
        self._tries.clear()
        yield from self.tell(now)

    def tell(self, now: float) -> Actions:
        """Tell the next few members."""
        for _ in range(min(AT_A_TIME, len(self._targets))):
            yield from self._tell(self._targets.popleft())
        if self._targets:
            yield SetTimer(Timer.TAKEOVER, now + PAUSE)

    def exchanged(self, event: ExchangeFinished, now: float) -> Actions:
        """Take note of who has been told, and of who holds our name elsewhere as yet."""
        if isinstance(event.purpose, _Telling):  # what it answered is from before it heard us
            if event.error is not None:
                yield from self._again(event.purpose.target, now)
            return
        if self._old is None or now > self._ends_at:
            return
        for record in event.records:
            if record.name == self._name and self._is_old(record):
                yield from self._outdo(record.incarnation)
                yield from self._again(event.to, now)

    def _is_old(self, record: Record) -> bool:
        return record.state != RecordState.LEFT and self.concerns(record.addr, record.port)

    def _again(self, target: Address, now: float) -> Actions:
        if self._tries[target] < TRIES and target not in self._targets:
            if not self._targets:
                yield SetTimer(Timer.TAKEOVER, now + PAUSE)
            self._targets.append(target)

    def _outdo(self, incarnation: int) -> Actions:
        """See to it that our record is two incarnations above one that is held."""
        local = self._table.local
        if local is not None and local.incarnation < incarnation + 2:
            yield ApplyLeft(local.name, incarnation + 1)

    def _tell(self, target: Address) -> Actions:
        local, old = self._table.local, self._old
        if local is None or old is None:
            return
        self._tries[target] += 1
        there = replace(local, addr=old.addr, port=old.port, meta=old.meta)
        there = replace(there, incarnation=local.incarnation - 1)
        gone = replace(there, state=MemberState.LEFT)
        yield Exchange(target, _Telling(target), (there.as_record(), gone.as_record()))


class EarlierName:
    """The name that this host had at its last start, "" if it has it still or that is not known."""

    def __init__(self, saved: Saved, settings: NodeSettings) -> None:
        before = saved.this_host
        is_us = before is not None and (
            before.public_key == settings.public_key or before.ip == settings.ip
        )
        self.name = before.name if before and is_us and before.name != settings.name else ""
        self.incarnation = saved.incarnation
        self._keys = {settings.public_key, before.public_key} if before else set()
        self._addr = short_form(pack_ip(settings.ip))

    def live(self, members: Iterable[Record]) -> Record | None:
        """Return the live member that has our earlier name."""
        return next((one for one in members if self.name and one.name == self.name), None)

    def is_us(self, member: Announced) -> bool:
        """Tell whether it is this host as it was that is announced under the earlier name."""
        return read_key(member.meta) in self._keys or short_form(member.addr) == self._addr

    def others(self, members: Iterable[Announced]) -> list[Announced]:
        """Return those that are not us."""
        return [one for one in members if one.name != self.name or not self.is_us(one)]
