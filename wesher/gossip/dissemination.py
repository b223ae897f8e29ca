"""Gossip: telling random members the news, each interval and, ours, at once.

The periodic rounds are memberlist's (spec/memberlist.md, 4.13): each interval, a few members at
random get a packet of news each, those dead for less than a minute included, as they may not be.

Alone they take an interval for each hop. So news that changes who is there goes out at once as
well, to a few members, and a second time 20 ms later; whoever hears it does the same (decision 10).
These eager rounds are added to the others and do not count as transmissions; what they do not reach
the periodic ones do.

A storm of news must not make a storm of packets. Each eager round takes EAGER_COST from a credit
that time refills, second by second, up to EAGER_CREDIT: after fifty rounds at full speed it is used
up, and there are five in a second then. News that wait meanwhile share the packets.
"""

from collections.abc import Collection

from wesher.base.timers import Action
from wesher.gossip.context import Context
from wesher.gossip.members import Member, MemberState
from wesher.gossip.settings import Timer
from wesher.gossip.wire import BUDGET

EAGER_INTERVAL = 0.02  # seconds between eager rounds, but not for long:
EAGER_COST = 0.2  # seconds, what each takes from a credit
EAGER_CREDIT = 10.0  # seconds, of which one comes back in each second
FAREWELLS = 16  # members that each of the two eager rounds with our departure goes to


class Dissemination:
    """Sends what is queued to a few members each interval, and news at once and 20 ms later."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._timing = context.timing
        self._members = context.members
        self._broadcasts = context.broadcasts
        self._outbox = context.outbox
        self._timers = context.timers
        self._eager_again_at = float("-inf")
        self._eager_paid_until = float("-inf")
        self._wide_rounds = 0
        self._told: set[str] = set()
        self._calls: dict[int, Action] = {}
        self._rounds = 0
        self._last_round_at = 0.0

    def start(self, now: float) -> None:
        """Begin, at a random phase of the interval."""
        interval = self._timing.gossip_interval
        self._last_round_at = now - self._context.rng.uniform(0, interval)

    def flush(self, now: float) -> None:
        """Gossip what is new; for what waits then, there is a round at the end of the interval.

        So a member that has nothing to tell sleeps.
        """
        self._eagerly(now)
        if Timer.GOSSIP not in self._timers and (len(self._broadcasts) or self._calls):
            interval = self._timing.gossip_interval
            elapsed = (now - self._last_round_at) % interval
            self._timers.set(Timer.GOSSIP, now + interval - elapsed, self._tick)

    def _tick(self, now: float) -> None:
        self._last_round_at = now
        self._gossip(now)
        self._rounds += 1
        if self._rounds in self._calls:
            self._calls.pop(self._rounds)(now)

    def widen_fanout(self) -> None:
        """Let the next two eager rounds go to more members: we are not there to repeat them.

        Behind a cut that is not noticed yet most of those chosen cannot hear us.
        """
        self._wide_rounds = 2

    def after_rounds(self, rounds: int, action: Action) -> None:
        """Do `action` as soon as so many more periodic rounds have been sent."""
        self._calls[self._rounds + rounds] = action

    def _gossip(self, now: float) -> None:
        if not len(self._broadcasts):
            return
        for member in self._choose(self._timing.gossip_members, now):
            parts = self._outbox.take_broadcasts(BUDGET)
            if not parts:
                return
            self._outbox.send_parts(parts, member)

    def _eagerly(self, now: float) -> None:
        """Gossip what is new without waiting for the interval, at most once in 20 ms.

        A storm of news has fifty such rounds, and then five in a second.
        """
        if not self._broadcasts.eager_waiting:
            return
        if now < self._eager_again_at:
            self._plan_eager_round()
            return
        self._eager_again_at = now + EAGER_INTERVAL
        targets = self._eager_targets(now)
        if not targets:
            return
        self._wide_rounds = max(0, self._wide_rounds - 1)
        self._eager_paid_until = max(self._eager_paid_until, now) + EAGER_COST
        self._eager_again_at = max(self._eager_again_at, self._eager_paid_until - EAGER_CREDIT)
        parts = self._broadcasts.take_eagerly(BUDGET)
        for member in targets:
            self._outbox.send_parts(parts, member)
        if self._broadcasts.eager_waiting:
            self._plan_eager_round()

    def _plan_eager_round(self) -> None:
        if Timer.GOSSIP_EAGERLY not in self._timers:
            self._timers.set(Timer.GOSSIP_EAGERLY, self._eager_again_at, self._eagerly)

    def _eager_targets(self, now: float) -> list[Member]:
        """Return whom to tell: first of all others than in the round before.

        So the two rounds of a departure reach all members of a small cluster.
        """
        count = FAREWELLS if self._wide_rounds else self._timing.gossip_members
        targets = self._choose(count, now, rather_not=self._told)
        self._told = {member.name for member in targets}
        return targets

    def _choose(self, count: int, now: float, rather_not: Collection[str] = ()) -> list[Member]:
        oldest_death = now - self._timing.gossip_to_the_dead

        def eligible(member: Member) -> bool:
            if member.state is MemberState.DEAD:
                return member.state_changed_at >= oldest_death
            return member.live

        return self._members.choose(count, eligible, rather_not)
