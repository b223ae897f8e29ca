"""Looking before announcing: ask every contact for the members it knows, changing nothing there."""

from collections.abc import Iterator

from wesher.gossip import Address, ExchangeFinished, Record, RecordState
from wesher.gossip.messages import SATURATED, short_form, unpack_ip

PATIENCE = 3.0  # seconds in all
GRACE = 0.5  # seconds more for the others once somebody has told us of members
HOLDER_PATIENCE = 3.0  # seconds for whoever has our name to answer a ping

_LIVE = (RecordState.ALIVE, RecordState.SUSPECT)


class Lookup:
    """The answers collected so far, and whether to wait for more of them.

    `name`, `addr` and `port` are ours, so that an earlier self is told from somebody else.
    """

    def __init__(self, name: str, addr: bytes, port: int, now: float) -> None:
        self._name = name
        self._addr = addr
        self._port = port
        self._resolving = 0
        self._pings = 0
        self._waiting = 0
        self._records: dict[str, Record] = {}
        self.deadline = now + PATIENCE
        self.answered: list[Address] = []
        self.asked_holder: Address | None = None
        self.holder_answered = False

    @property
    def earlier_self(self) -> Record | None:
        """What the members know under our name."""
        return self._records.get(self._name)

    def incarnation_above(self, *earlier: int) -> int:
        """Return one above these and all that anybody has seen of us, to enter with."""
        seen = [*earlier, self.earlier_self.incarnation if self.earlier_self else 0]
        # Above a spent counter there is nothing: who believes in it, as Go does, is lost anyway.
        highest = max((one for one in seen if one < SATURATED), default=0)
        return highest + (2 if self.asked_holder else 1)

    @property
    def _claimant(self) -> Record | None:
        """What is known under our name, else of a live member whose name differs in case only."""
        ours = self._name.lower()
        alike = (record for record in self.live if record.name.lower() == ours)
        return self.earlier_self or next(alike, None)

    @property
    def holder_name(self) -> str:
        """Our name as its holder writes it."""
        return self._claimant.name if self._claimant else self._name

    @property
    def live(self) -> list[Record]:
        """Everybody else in the cluster, as far as the members know."""
        return [record for record in self._others() if record.state in _LIVE]

    @property
    def failed(self) -> list[Record]:
        """Everybody else who has failed, or is in a state that we do not know."""
        return [record for record in self._others() if record.state not in _LIVE]

    def _others(self) -> Iterator[Record]:
        return (
            record
            for record in self._records.values()
            if record.state != RecordState.LEFT and record.name != self._name
        )

    @property
    def holder(self) -> Address | None:
        """Where a member of our name is said to be or to have failed, if that is not here."""
        record = self._claimant
        if record is None or record.state == RecordState.LEFT:
            return None
        port = record.port or self._port  # as everywhere in gossip, protocol 3.5
        same_ip = short_form(record.addr) == short_form(self._addr)
        if (same_ip and port == self._port) or len(record.addr) not in (4, 16):
            return None
        return Address(unpack_ip(record.addr), port)

    @property
    def address_form(self) -> bytes:
        """Our underlay address as the members write it, or as we do when they know none of ours.

        A Go peer takes the other form of the same address for a conflict (spec/memberlist.md, 4.2).
        """
        record = self.earlier_self
        if record and short_form(record.addr) == short_form(self._addr):
            return record.addr
        return self._addr

    def moved_to(self, addr: bytes) -> None:
        """Take note that our address has changed while we look."""
        self._addr = addr

    def resolving(self) -> None:
        """Note that a contact's name is being looked up."""
        self._resolving += 1

    def resolved(self) -> None:
        """Note that a look-up has ended, with or without addresses."""
        self._resolving -= 1

    def asked(self) -> None:
        """Note that a request is on its way."""
        self._waiting += 1

    def finished(self, event: ExchangeFinished, now: float) -> None:
        """Take one answer in; of two records of one name the newer counts."""
        self._waiting -= 1
        if event.error is not None or event.own:
            return
        self.answered.append(event.to)
        for record in event.records:
            known = self._records.get(record.name)
            if known is None or _age(known) < _age(record):
                self._records[record.name] = record
        if self._records and not self.asked_holder:
            self.deadline = min(self.deadline, now + GRACE)

    def ask_holder(self, holder: Address, pings: int, now: float) -> None:
        """Wait for the answer to one of so many pings, sent to the holder of our name."""
        self.asked_holder = holder
        self._pings = pings
        self.deadline = now + HOLDER_PATIENCE

    def pinged_holder(self, *, answered: bool) -> None:
        """Take the outcome of one of these pings in."""
        self._pings -= 1
        self.holder_answered |= answered

    def is_over(self, now: float) -> bool:
        """Say whether everyone has answered or failed to, or our patience has ended."""
        if now >= self.deadline or self.holder_answered:
            return True
        return not (self._resolving or self._waiting or self._pings)


def _age(record: Record) -> tuple[int, int]:
    """Order records of one name: the later state of one incarnation has the higher number."""
    return record.incarnation, record.state
