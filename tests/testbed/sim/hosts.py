"""A process on a host: when it runs, what it has not come to yet, and what it has reported."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tests.testbed.sim.cached_packets import CheckedWire
from tests.testbed.sim.invariants import Watch
from tests.testbed.sim.scheduler import Agenda
from wesher.base.frozen import replace
from wesher.gossip import Address, Gossip, Member, Packet, StreamRequest

PORT = 7946
RECEIVE_QUEUE = 256  # inputs that wait for a process; the kernel throws away what comes then
TIMERS_AT_ONCE = 1000  # so many without time passing are a node that never sleeps
_ROUNDING = 1e-6  # seconds, far above what floating-point numbers lose

Action = Callable[..., object]


class Engine(Protocol):
    """What a Gossip and a MeshNode have in common: inputs and a timer, and what comes of them."""

    def receive_packet(self, data: bytes, source: Address, now: float) -> None: ...
    def receive_request(self, data: bytes, source: Address, now: float) -> bytes | None: ...
    def receive_reply(self, request_id: int, data: bytes, now: float) -> None: ...
    def stream_failed(self, request_id: int, error: str, now: float) -> None: ...
    def handle_timer(self, now: float) -> None: ...
    def leave(self, now: float) -> None: ...
    def packets_to_send(self) -> Iterator[Packet]: ...
    def streams_to_open(self) -> Iterator[StreamRequest]: ...
    def events(self) -> Iterable[object]: ...
    def next_timer(self) -> float | None: ...


class AboutMember(Protocol):
    """An event that names a member."""

    @property
    def member(self) -> Member: ...


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock that showed `shown` at the time `since`, and has run at `rate` from then on."""

    since: float
    shown: float
    rate: float

    def at(self, now: float) -> float:
        """Return what it shows."""
        return self.shown + (now - self.since) * self.rate

    def when(self, shown: float) -> float:
        """Return when it will show that."""
        return self.since + (shown - self.shown) / self.rate


class Node:
    """One participant: an engine (a Gossip or a MeshNode) that is driven as the agent drives it.

    Who makes one gives it the annotated parts; `follow_up` is called after every input. Inputs wait
    while the process is paused, or busy with others because it is slow.
    """

    engine: Engine
    gossip: Gossip
    wire: CheckedWire
    watch: Watch
    follow_up: Callable[[], None]

    def __init__(self, host: str, name: str, ip: str, agenda: Agenda) -> None:
        self.host = host
        self.name = name
        self.ip = ip
        self.address = Address(ip, PORT)
        self.up = True
        self.paused = False
        self.started_at = agenda.now
        self.events: list[tuple[float, object]] = []
        self.packets_sent = self.bytes_sent = self.stream_bytes_sent = 0
        self._agenda = agenda
        self._clock: Clock | None = None
        self._time = float("-inf")
        self._cost: float | None = None
        self._held = False
        self._asleep: Clock | None = None
        self._timers_at_once = 0
        self._handled_at = float("-inf")
        self._inbox: deque[tuple[Action, tuple[object, ...]]] = deque()
        self._wakes_at = float("inf")
        self._busy_until = 0.0
        self._work_planned = False
        self._timer_was_last = False

    def heard(self, kind: type[AboutMember]) -> list[str]:
        """Return about whom it reported events of this kind."""
        return [event.member.name for _, event in self.events if isinstance(event, kind)]

    def member(self, name: str) -> Member:
        """Return what it holds of a member that it knows."""
        member = self.gossip.members.get(name)
        assert member, f"{self.host} does not know {name}"
        return member

    def live(self) -> set[str]:
        """Return whom it holds for alive or suspect, itself included."""
        return {member.name for member in self.gossip.members if member.live}

    # Time

    def time(self) -> float:
        """Return what its own clock shows; that never goes back."""
        if self._clock is None:
            return self._agenda.now
        self._time = max(self._time, self._clock.at(self._agenda.now))
        return self._time

    def drift(self, rate: float) -> None:
        """Let its clock run `rate` times as fast as time from now on."""
        self._clock = Clock(self._agenda.now, self.time(), rate)
        self._wakes_at = float("inf")
        self.arm()

    def arm(self) -> None:
        """See to it that the engine's timer is handled in time."""
        if not self.up:
            return
        at = self.engine.next_timer()
        if at is None:
            return
        if self._clock is not None:
            at = self._clock.when(at)
        if at < self._wakes_at:
            self._wakes_at = at
            self._agenda.at(max(at, self._agenda.now), self._wake, at)

    def _wake(self, planned: float) -> None:
        if not self.up or self._wakes_at != planned:
            return
        self._wakes_at = float("inf")
        if self._held:
            self._plan_work()
        else:
            self._handle_timer()

    def _timer_is_due(self) -> bool:
        at = self.engine.next_timer()
        return at is not None and at <= self.time() + (_ROUNDING if self._clock else 0)

    def _handle_timer(self) -> None:
        now = self.time()
        if self._clock is not None and self._timer_is_due():
            # A clock that drifts is never read at the very moment that we wait for.
            now = max(now, self.engine.next_timer() or now)
        self._timers_at_once = self._timers_at_once + 1 if now == self._handled_at else 0
        assert self._timers_at_once < TIMERS_AT_ONCE, f"{self.host} is woken without end"
        self._time = self._handled_at = now
        self.engine.handle_timer(now)
        self.follow_up()

    # Inputs

    def take(self, action: Action, *args: object) -> bool:
        """Handle an input, `action(*args, time)`, now or when it can; False if it is lost."""
        if not self.up or self._asleep:
            return False
        if not self._held:
            action(*args, self.time())
            self.follow_up()
            return True
        if len(self._inbox) >= RECEIVE_QUEUE:
            return False
        self._inbox.append((action, args))
        self._plan_work()
        return True

    def end(self) -> None:
        """Stop for good, without a word."""
        self.up = False
        self._inbox.clear()

    def pause(self) -> None:
        """Stop, to go on with `resume`; meanwhile no timer runs, and inputs wait."""
        self.paused = self._held = True

    @property
    def asleep(self) -> bool:
        """Whether its host sleeps."""
        return self._asleep is not None

    def suspend(self) -> None:
        """Sleep, as its whole host does: nothing arrives, and the clock stands still."""
        self.pause()
        self._asleep = Clock(self._agenda.now, self.time(), self._clock.rate if self._clock else 1)
        self._clock = replace(self._asleep, rate=0.0)

    def wake(self) -> None:
        """End `suspend`: its engine hears how long that was, before anything else."""
        assert self._asleep, f"{self.host} does not sleep"
        slept = self._agenda.now - self._asleep.since
        self._clock = replace(self._asleep, since=self._agenda.now)
        self._asleep = None
        self._wakes_at = float("inf")
        if self.up:
            self._notice_sleep(slept)
            self.follow_up()
        self.resume()

    def _notice_sleep(self, seconds: float) -> None:
        """Let the engine hear how long its host slept, if it wants to."""

    def resume(self) -> None:
        """Go on: first with the timers that are late, then with all that has come meanwhile."""
        self.paused = False
        self._held = self._cost is not None
        self._catch_up()

    def slow(self, cost: float | None) -> None:
        """Need `cost` seconds for each input and timer from now on; None for no time at all."""
        self._cost = cost
        self._held = self.paused or cost is not None
        self._busy_until = min(self._busy_until, self._agenda.now + (cost or 0))
        if not self.paused:
            self._catch_up()

    def _catch_up(self) -> None:
        if self._held:
            self._plan_work()
            return
        if self.up and self._timer_is_due():
            self._handle_timer()
        while self.up and self._inbox and not self._held:
            action, args = self._inbox.popleft()
            action(*args, self.time())
            self.follow_up()
        self.arm()

    def _plan_work(self) -> None:
        """See to it that a slow process goes on when it has done what it is busy with."""
        if self._work_planned or self.paused:
            return
        if self._inbox or self._timer_is_due():
            self._work_planned = True
            self._agenda.at(max(self._agenda.now, self._busy_until), self._work)
        else:
            self.arm()

    def _work(self) -> None:
        """Handle one thing: timers and inputs by turns, when both wait."""
        self._work_planned = False
        if not self.up or self.paused or self._cost is None:
            return
        self._busy_until = self._agenda.now + self._cost
        if self._inbox and (self._timer_was_last or not self._timer_is_due()):
            self._timer_was_last = False
            action, args = self._inbox.popleft()
            action(*args, self.time())
            self.follow_up()
        elif self._timer_is_due():
            self._timer_was_last = True
            self._handle_timer()
        if self.up:
            self._plan_work()


N = TypeVar("N", bound=Node)
