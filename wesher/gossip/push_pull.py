"""Exchanging the full table with another member (spec/memberlist.md, 3.5 and 4.13).

Gossip alone is not enough: news may be lost on all ways to a member, and a newcomer has missed all
there was. So tables are exchanged whole, by TCP: to join, with a random member each interval, and
soon after much news, since then more has been missed, probably (decision 10). What a table says is
taken in like any other claim, except that "dead" is only an opinion there (see `intake`).

The interval grows with the cluster (`push_pull_scale`), since tables do, too.

Two tables go together if all the alive ones of both understand what all speak; if they do not, Go
refuses the exchange, and so do we.

One can also only *look*: get somebody's table for none of ours, take nothing over, and judge first.
A request that comes back to us is recognised by its bytes: the seed was ourselves.
"""

from collections.abc import Callable, Hashable, Iterable
from enum import Enum, auto
from functools import partial
from itertools import chain

from wesher.base.addresses import Address
from wesher.base.frozen import replace
from wesher.gossip.context import Context
from wesher.gossip.events import ExchangeFinished
from wesher.gossip.members import Member, MemberState
from wesher.gossip.messages import PushPull, Record, RecordState
from wesher.gossip.settings import Timer, push_pull_scale
from wesher.gossip.streams import Answer

MAX_INBOUND_EXCHANGES = 127
"""How many push/pulls may run towards us at once; the transport counts them.

See spec/memberlist.md, 3.3.
"""
EARLY_DELAYS = (1.0, 5.0)  # seconds until the early exchanges after a join or much news
EARLY_INTERVAL = 10.0  # seconds between much news and much news that counts again, at least
_VERSIONS = 6  # bytes

TABLE_FULL = "the table of members is full"
"""What a newcomer hears that we have no place for; Go's join quotes it."""

Take = Callable[[PushPull, Address, float], bool]


class Merged(Enum):
    """What became of somebody's table."""

    DONE = auto()
    TURNED_AWAY = auto()
    """Taken over, but there is no place for who sent it."""
    INCOMPATIBLE = auto()
    """It does not go with ours: nothing was done."""


def compatible(records: Iterable[Record | Member]) -> bool:
    """Tell whether all of `records` speak versions that all the alive ones understand.

    Versions that are too short set no bounds, but count as version 0 against those of the others.
    """
    spoken = {(record.versions or b"", record.state) for record in records}
    bounds = [
        versions
        for versions, state in spoken
        if state == RecordState.ALIVE and len(versions) >= _VERSIONS
    ]
    for oldest, newest, current in ((0, 1, 2), (3, 4, 5)):
        low = max((versions[oldest] for versions in bounds), default=0)
        high = min((versions[newest] for versions in bounds), default=255)
        for versions, _ in spoken:
            if not low <= (versions[current] if len(versions) >= _VERSIONS else 0) <= high:
                return False
    return True


class _Exchange:
    """A push/pull that runs; its number is 0 if our owner did not ask for it."""

    def __init__(
        self,
        to: Address,
        *,
        join: bool = False,
        look: bool = False,
        first: tuple[Record, ...] = (),
        periodic: bool = False,
        purpose: Hashable = None,
    ) -> None:
        self.to = to
        self.join = join
        self.look = look
        self.first = first
        self.periodic = periodic
        self.purpose = purpose
        self.number = 0
        self.own = False


class Exchanges:
    """Push/pulls: those our owner wants, the periodic ones, early ones where news may lack."""

    def __init__(self, context: Context, take: Take) -> None:
        self._timing = context.timing
        self._members = context.members
        self._outbox = context.outbox
        self._streams = context.streams
        self._timers = context.timers
        self._rng = context.rng
        self._early = context.settings.eager
        self._take = take
        self._early_from = self._early_until = float("-inf")
        self._joined = False
        self._running: dict[int, _Exchange] = {}
        self.user_state = b""
        """Bytes of our owner that go with every table we send."""
        self.hidden: set[str] = set()
        """Members that no table of ours says to be alive."""

    def table(self, *, join: bool) -> PushPull:
        """Return all we know, ourselves included once announced.

        Of a crowd nobody is told who has not answered us: inventions stay where they were made.
        """
        members: Iterable[Member] = self._members
        proofs = self._members.proofs
        if proofs.crowded:
            members = [one for one in members if not proofs.waits(one.name)]
        if self.hidden:
            members = (one for one in members if one.name not in self.hidden or not one.live)
        records = tuple([member.as_record() for member in members])
        return PushPull(join, records, self.user_state)

    def merge(self, message: PushPull, source: Address, now: float) -> Merged:
        """Take over what a table says, if it goes with ours."""
        if not compatible(chain(message.records, self._members)):
            return Merged.INCOMPATIBLE
        return Merged.DONE if self._take(message, source, now) else Merged.TURNED_AWAY

    def open(
        self,
        to: Address,
        now: float,
        *,
        join: bool,
        look: bool,
        first: tuple[Record, ...] = (),
        purpose: Hashable = None,
    ) -> int:
        """Exchange tables with `to`, or only `look` at theirs; return the exchange's number."""
        exchange = _Exchange(to, join=join, look=look, first=first, purpose=purpose)
        exchange.number = self._open(exchange, now)
        return exchange.number

    @property
    def telling(self) -> bool:
        """Whether somebody is just being told our table, of whom we may know only by the answer."""
        return any(not exchange.look for exchange in self._running.values())

    def _open(self, exchange: _Exchange, now: float) -> int:
        def on_answer(answer: Answer, now: float) -> None:
            del self._running[number]
            self._outbox.emit(self._conclude(exchange, answer, now))
            if exchange.periodic:
                self._plan_next(now)

        number = self._streams.open(
            exchange.to, self._request(exchange), now, self._timing.stream_timeout, on_answer
        )
        self._running[number] = exchange
        return number

    def _request(self, exchange: _Exchange) -> PushPull:
        if exchange.look:
            return PushPull(exchange.join, ())
        table = self.table(join=exchange.join)
        return replace(table, records=exchange.first + table.records)

    def end_if_ours(self, frame: bytes, now: float) -> bool:
        """Tell whether a request that arrived is one we sent, and end that exchange if so."""
        for request_id, exchange in self._running.items():
            if self._streams.is_own(request_id, frame):
                exchange.own = True
                self._streams.finish(request_id, Answer(), now)
                return True
        return False

    def _conclude(self, exchange: _Exchange, answer: Answer, now: float) -> ExchangeFinished:
        finished = partial(ExchangeFinished, exchange.number, exchange.to, purpose=exchange.purpose)
        reply = answer.message
        if exchange.own:
            return finished(own=True)
        if not isinstance(reply, PushPull):
            error = answer.error or "unexpected reply"
            return finished(error=error, undecryptable=answer.undecryptable)
        if not exchange.look:
            if self.merge(reply, exchange.to, now) is Merged.INCOMPATIBLE:
                return finished(error="incompatible protocol versions")
            if exchange.join and not self._joined:
                self._joined = True
                self._ask_early(now)
        return finished(records=reply.records, user_state=reply.user_state)

    def start(self, now: float) -> None:
        """Begin the periodic exchanges, at a random phase of the interval."""
        delay = self._rng.uniform(0, self._timing.push_pull_interval)
        self._timers.set(Timer.PUSH_PULL, now + delay, self._tick)

    def _plan_next(self, now: float) -> None:
        interval = self._timing.push_pull_interval * push_pull_scale(len(self._members))
        self._timers.set(Timer.PUSH_PULL, now + interval, self._tick)

    def _tick(self, now: float) -> None:
        if not self._ask_somebody(now, periodic=True):
            self._plan_next(now)

    def _ask_somebody(self, now: float, *, periodic: bool = False) -> bool:
        for member in self._members.choose(1, lambda member: member.state is MemberState.ALIVE):
            self._open(_Exchange(member.address, periodic=periodic), now)
            return True
        return False

    def ask_after_much_news(self, now: float) -> None:
        """Ask others soon whether there is more, unless that is planned or has just been done."""
        if now >= self._early_until:
            self._ask_early(max(now, self._early_from + EARLY_INTERVAL))

    def _ask_early(self, start: float) -> None:
        """Catch up with what happened meanwhile, sooner than the interval would."""
        if not self._early:
            return
        self._early_from = start
        for number, delay in enumerate(EARLY_DELAYS):
            self._early_until = start + delay * self._rng.uniform(0.75, 1.25)
            name = (Timer.EARLY_PUSH_PULL, number)
            self._timers.set(name, self._early_until, self._ask_somebody_early)

    def _ask_somebody_early(self, now: float) -> None:
        self._ask_somebody(now)
