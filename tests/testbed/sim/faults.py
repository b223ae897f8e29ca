"""What can happen to a mesh, each as a few steps at random times.

Steps are calls of a world. Episodes overlap, so a step may come when it makes no sense any more
(to crash a host that is down): who plays a scenario leaves out such a step.
"""

from dataclasses import dataclass
from math import exp, log
from random import Random
from typing import Any

FOUNDERS = 3
PACE = {"wan": 1, "lan": 4, "local": 6}  # how much happens in a second, roughly


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a world's method, at a time in seconds from the start."""

    at: float
    call: str
    args: tuple[Any, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        options = [f"{name}={value}" for name, value in self.options]
        return f"{self.at:8.2f}  {self.call}({', '.join([*map(str, self.args), *options])})"


class Script:
    """A scenario as it is written: its hosts and the steps so far."""

    def __init__(self, rng: Random, members: int, room: float) -> None:
        self.rng = rng
        self.state_lasts = False
        """Whether nobody ever loses its state file."""
        self.room = room
        """How many seconds of all hosts together one episode may take, at the pace of "wan"."""
        self.most = 2 * members + 2
        """How many hosts churn may lead to."""
        self.hosts = [f"h{number:03}" for number in range(members)]
        self.founders = tuple(self.hosts[:FOUNDERS])
        self.steps: list[Step] = []
        self.timings: tuple[str, ...] = ("wan",)
        """Presets of those who come later."""
        self._moves = 0

    def do(self, at: float, call: str, *args: object, **options: object) -> None:
        """Add a step."""
        self.steps.append(Step(round(at, 3), call, args, tuple(options.items())))

    def in_order(self) -> tuple[Step, ...]:
        """Return all steps, the earliest first."""
        return tuple(sorted(self.steps, key=lambda step: step.at))

    def seeds(self, host: str) -> list[str]:
        """Return whom `host` is told to join: all founders or, not being one, some of them."""
        others = [founder for founder in self.founders if founder != host]
        if host in self.founders:
            return others
        return self.rng.sample(others, self.rng.randint(1, len(others)))

    def newcomer(self, at: float) -> None:
        """Let one more host start."""
        host = f"h{len(self.hosts):03}"
        self.hosts.append(host)
        timing = self.rng.choice(self.timings)
        self.do(at, "start", host, *self.seeds(host), timing=timing)

    def new_address(self) -> str:
        """Return an address where nobody has been."""
        self._moves += 1
        return f"192.168.77.{self._moves}"

    def keeps_state(self) -> bool:
        """Tell whether a host that starts again has its state file, as nearly all have."""
        return self.state_lasts or self.rng.random() < 0.8

    def some(self, most: int) -> list[str]:
        """Return at least one of the hosts, and not more than `most`."""
        return self.rng.sample(self.hosts, self.rng.randint(1, max(1, min(most, len(self.hosts)))))

    def groups(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return all hosts in two groups, neither of them empty."""
        hosts = self.rng.sample(self.hosts, len(self.hosts))
        cut = self.rng.randint(1, max(1, len(hosts) - 1))
        return tuple(sorted(hosts[:cut])), tuple(sorted(hosts[cut:]))

    def between(self, shortest: float, longest: float, *, rooms: float = 1) -> float:
        """Return seconds, short ones being as likely as long ones; longer ones if there is room."""
        room = rooms * self.room / len(self.hosts) / max(PACE[timing] for timing in self.timings)
        longest = min(longest, max(room, 10))
        shortest = min(shortest, longest / 2)
        return exp(self.rng.uniform(log(shortest), log(longest)))


def churn(script: Script, at: float) -> float:
    """Hosts start, leave, crash and come back."""
    rng = script.rng
    end = at + script.between(30, 300)
    pace = rng.choice((1, 3, 10))
    while (at := at + rng.expovariate(1 / pace)) < end:
        host = rng.choice(script.hosts)
        kind = rng.choice(("crash", "stop", "restart", "restart", "new"))
        if kind == "new" and len(script.hosts) < script.most:
            script.newcomer(at)
        elif kind in ("crash", "stop"):
            script.do(at, kind, host)
            if rng.random() < 0.5:
                script.do(
                    at + script.between(0.1, 100), "restart", host, keep_state=script.keeps_state()
                )
        else:
            script.do(at, "restart", host, keep_state=script.keeps_state())
    return end


def rolling_restart(script: Script, at: float) -> float:
    """All hosts are restarted, one after another, as an upgrade does it."""
    rng = script.rng
    down, gap = script.between(0.1, 10), script.between(5, 300) / len(script.hosts)
    how = rng.choice(("stop", "crash"))
    for host in rng.sample(script.hosts, len(script.hosts)):
        script.do(at, how, host)
        script.do(at + 1.2 + down, "restart", host)
        at += 1.2 + down + gap
    return at


def mass_crash(script: Script, at: float) -> float:
    """Nearly a third of the hosts crash at the same moment; some come back."""
    rng = script.rng
    lost = rng.sample(script.hosts, max(1, round(0.3 * len(script.hosts))))
    script.do(at, "crash", *lost)
    end = at + script.between(5, 300)
    for host in lost:
        if rng.random() < 0.6:
            script.do(end + rng.uniform(0, 3), "restart", host, keep_state=script.keeps_state())
    return end + 3


def flapping_link(script: Script, at: float) -> float:
    """The way between two hosts fails and comes back, again and again."""
    if len(script.hosts) < 2:
        return at
    pair = script.rng.sample(script.hosts, 2)
    end = at + script.between(30, 300)
    while at < end:
        script.do(at, "link", *pair, loss=1.0)
        script.do(at, "streams", *pair, "stall")
        at += script.between(1, 30)
        script.do(at, "link", *pair, loss=0.0)
        script.do(at, "streams", *pair, None)
        at += script.between(1, 30)
    return at


def partition(script: Script, at: float) -> float:
    """Two groups of hosts cannot reach each other for up to ten minutes."""
    return _part(script, at, script.between(10, 600))


def long_partition(script: Script, at: float) -> float:
    """Two groups of hosts cannot reach each other for up to an hour, if there is room."""
    return _part(script, at, script.between(300, 3600, rooms=6))


def _part(script: Script, at: float, seconds: float) -> float:
    script.do(at, "part", *script.groups())
    if script.rng.random() < 0.3:  # and nobody there knows of the others who is new
        restarted = script.some(3)
        script.do(at + seconds * 0.3, script.rng.choice(("crash", "stop")), *restarted)
        for host in restarted:
            script.do(at + seconds * script.rng.uniform(0.4, 0.9), "restart", host)
    script.do(at + seconds, "heal")
    return at + seconds


def restart_at_once(script: Script, at: float) -> float:
    """Everything is restarted in the same moment, as after a power failure."""
    rng = script.rng
    script.do(at, rng.choice(("stop", "crash")), *script.hosts)
    back = at + 1.2 + script.between(0.1, 120)
    spread = rng.choice((0, 0.5, 5))
    for host in rng.sample(script.hosts, len(script.hosts)):
        script.do(back + rng.uniform(0, spread), "restart", host)
    return back + spread


def join_storm(script: Script, at: float, newcomers: int | None = None) -> float:
    """Many start within a second."""
    rng = script.rng
    for _ in range(newcomers or rng.randint(2, script.most // 2)):
        script.newcomer(at + rng.random())
    return at + 1


def asymmetric_cut(script: Script, at: float) -> float:
    """What some hosts send does not reach some others; the other direction works."""
    seconds = script.between(5, 300)
    script.do(at, "cut", *script.groups())
    script.do(at + seconds, "heal")
    return at + seconds


def pauses(script: Script, at: float) -> float:
    """Processes are stopped for a while, and then go on where they were."""
    return _hold(script, at, "pause", "resume")


def sleeps(script: Script, at: float) -> float:
    """Hosts sleep for a while, as laptops do."""
    return _hold(script, at, "suspend", "wake")


def _hold(script: Script, at: float, begin: str, finish: str) -> float:
    end = at
    for host in script.some(4):
        since = at + script.rng.uniform(0, 30)
        until = since + script.between(0.5, 300)
        script.do(since, begin, host)
        script.do(until, finish, host)
        end = max(end, until)
    return end


def slow_members(script: Script, at: float) -> float:
    """Some hosts are overloaded: they come to their packets and timers late."""
    end = at + script.between(20, 200)
    for host in script.some(3):
        script.do(at, "slow", host, script.between(0.01, 1.0))
        script.do(end, "slow", host, None)
    return end


def drift(script: Script, at: float) -> float:
    """Clocks run too fast or too slow, all of them by another rate."""
    end = at + script.between(20, 200)
    for host in script.hosts:
        script.do(at, "drift", host, round(script.between(0.8, 1.25), 3))
        script.do(end, "drift", host, 1.0)
    return end


def broken_streams(script: Script, at: float) -> float:
    """TCP between some pairs hangs, breaks off or is refused, while packets pass."""
    end = at + script.between(20, 200)
    for host in script.some(3):
        kind = script.rng.choice(("stall", "break", "refuse"))
        for other in script.some(len(script.hosts)):
            if other != host:
                script.do(at, "streams", host, other, kind)
                script.do(end, "streams", host, other, None)
    return end


def bad_links(script: Script, at: float) -> float:
    """Some pairs lose much, are far apart, or pass only small packets."""
    end = at + script.between(20, 200)
    for host in script.some(3):
        worse = script.rng.choice(({"loss": 0.6}, {"latency": (0.5, 1.5)}, {"max_packet": 600}))
        for other in script.some(len(script.hosts)):
            if other != host:
                script.do(at, "link", host, other, **worse)
    return end


def departures(script: Script, at: float) -> float:
    """Several hosts leave, at once or in a row; one of them returns."""
    rng = script.rng
    leaving = script.some(5)
    for host in leaving:
        script.do(at, "stop", host)
        at += rng.choice((0, 0.5, 10))
    back = at + script.between(2, 200)
    script.do(back, "restart", leaving[0], keep_state=script.keeps_state())
    return back


def moves(script: Script, at: float) -> float:
    """A host crashes or leaves, and starts again at another address."""
    rng = script.rng
    host = rng.choice(script.hosts)
    script.do(at, rng.choice(("crash", "stop")), host)
    back = at + 1.2 + script.between(1, 300)
    script.do(
        back,
        "start",
        host,
        *script.seeds(host),
        ip=script.new_address(),
        timing=rng.choice(script.timings),
    )
    return back
