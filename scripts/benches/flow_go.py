"""Whether traffic from ours to a member that behaves like the Go program survives changes."""

import itertools
import re
import signal
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.benches.measuring import Options, Result, say, sleep_until
from tests.testbed.lab.daemons import Daemon, Mesh, ping
from tests.testbed.lab.netns import Lab, LabError, wait_for

_GUESTS = 5
_ROUNDS = 2  # each guest joins and leaves so often: 20 events
_INTERVAL = 8.0  # seconds between events
_TIMEOUT = 60  # seconds
_PING_INTERVAL = "0.05"  # seconds
_GO_BEHAVING = str(Path(__file__).with_name("go-behaving"))
_ANSWER = re.compile(r"^\[(\d+\.\d+)\] .* bytes from ", re.MULTILINE)


def measure(options: Options) -> Result:
    """Ping a Go-behaving member from ours while five nodes join, by either, and leave, twice.

    A silence is the longest time without an answer that begins between an event and the next.
    Wanted over the 20 events: a median of 1.0 s at most, and none above 2.5 s.
    """
    with Lab(2 + _GUESTS) as lab:
        mesh = Mesh(lab, command=options.command)
        ours, go, *guests = mesh.daemons
        go.command = [_GO_BEHAVING]
        for daemon in (ours, go):
            mesh.start_one(daemon)
        mesh.wait_until_complete(_TIMEOUT, (ours, go))
        target = go.overlay_address()
        if target is None:
            raise LabError("the Go-behaving member has no overlay address")
        wait_for(lambda: ping(ours, target, 1), _TIMEOUT, "a handshake")
        output = ours.host.directory / "ping.log"
        flow = ours.host.spawn(["ping", "-n", "-D", "-i", _PING_INTERVAL, target], output)
        events = _change(mesh, guests, (ours, go))
        ended = _wall_clock()
        flow.signal(signal.SIGINT)
        flow.wait(_TIMEOUT)
        answers = [float(at) for at in _ANSWER.findall(output.read_text())]
    silences = [_silence(answers, *span) for span in itertools.pairwise([*events, ended])]
    return {
        "events": len(events),
        "silences": [round(seconds, 2) for seconds in silences],
        "median": round(statistics.median(silences), 2),
        "worst": round(max(silences), 2),
    }


def _change(mesh: Mesh, guests: Sequence[Daemon], seeds: Sequence[Daemon]) -> list[float]:
    """Have the guests join and leave; return when each change was, on the wall clock of ping."""
    events: list[float] = []
    next_at = time.monotonic() + 3

    def pause(what: str) -> None:
        nonlocal next_at
        sleep_until(next_at)
        next_at += _INTERVAL
        say(what)
        events.append(_wall_clock())

    for number in range(_ROUNDS):
        for guest, seed in zip(guests, itertools.cycle(seeds)):
            pause(f"{guest.host.name} joins by {seed.host.name}")
            guest.start("--cluster-key", mesh.key, "--join", seed.host.address)
        for guest in guests if number % 2 else reversed(guests):
            pause(f"{guest.host.name} leaves")
            guest.stop()
    sleep_until(next_at)
    return events


def _wall_clock() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME)


def _silence(answers: Sequence[float], since: float, until: float) -> float:
    """Return the longest time without an answer that begins in this span, in seconds."""
    before = max((at for at in answers if at <= since), default=since)
    instants = [before, *(at for at in answers if at > since), max(until, *answers)]
    gaps = ((after - at, at) for at, after in itertools.pairwise(instants))
    return max(gap for gap, at in gaps if at < until)
