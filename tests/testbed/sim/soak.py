"""Play random scenarios, many at a time, and tell what they came to.

scripts/soak --seeds 2000
scripts/soak --seed 17            play one again and show it whole
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import count, islice, takewhile

from tests.testbed.sim.parallel import played, positive
from tests.testbed.sim.planted_bugs import BUGS
from tests.testbed.sim.runner import PlanResult, play, play_seed
from tests.testbed.sim.scenarios import KINDS, thundering_join

THUNDER = 500  # members


def main() -> int:
    options = _options()
    if options.seed is not None:
        return _replay(options)
    totals = Totals()
    for outcome in _outcomes(options):
        totals.add(outcome)
        if outcome.violation:
            print("\n".join(_told(outcome, _command(options, outcome))), flush=True)
    print(totals.line())
    return 1 if totals.violations else 0


class Totals:
    """What many scenarios came to."""

    def __init__(self) -> None:
        self.seeds = 0
        self.seconds = 0.0
        self.members = 0
        self.violations = 0
        self.slowest = 0.0
        self.stats: Counter[str] = Counter()

    def add(self, outcome: PlanResult) -> None:
        """Count one more."""
        self.seeds += 1
        self.seconds += outcome.seconds
        self.members += outcome.members
        self.violations += bool(outcome.violation)
        self.slowest = max(self.slowest, outcome.settled_in or 0.0)
        self.stats += outcome.stats

    def line(self) -> str:
        """Return all of it as one line."""
        count = self.stats
        return (
            f"{self.seeds:,} seeds, {self.seconds / 3600:,.1f} virtual hours, "
            f"{self.members:,} members: {count['crashes']:,} crashes, "
            f"{count['restarts']:,} restarts, {count['partitions']:,} partitions, "
            f"{count['leaves']:,} leaves, {count['lost']:,} of {count['packets']:,} packets lost; "
            f"slowest agreement {self.slowest:.0f} s; {self.violations} violations"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--seeds", type=positive, metavar="N", help="how many scenarios; 200 unless --minutes")
    add("--minutes", type=float, metavar="M", help="begin no scenario after so long")
    add("--from", type=int, default=0, dest="first", metavar="SEED", help="the first seed (0)")
    add("--jobs", type=positive, default=os.cpu_count(), metavar="J", help="processes (all cores)")
    add("--members", type=positive, metavar="N", help="hosts to begin with (2 to 12 at random)")
    add("--kind", action="append", choices=KINDS, help="only what is of this kind; repeatable")
    add("--thunder", action="store_true", help=f"also let {THUNDER} hosts join at once")
    add("--break", choices=BUGS, dest="broken", help="plant a bug, which must be found")
    add("--seed", type=int, metavar="S", help="play this one only, and show scenario and history")
    return parser.parse_args()


def _player(options: argparse.Namespace) -> partial[PlanResult]:
    kinds = tuple(options.kind or ())
    return partial(play_seed, members=options.members, kinds=kinds, broken=options.broken)


def _outcomes(options: argparse.Namespace) -> Iterator[PlanResult]:
    """Play all seeds on several processes; the outcomes come in order."""
    if options.thunder:
        yield play(thundering_join(options.first, THUNDER), broken=options.broken)
    yield from played(_player(options), _seeds(options), options.jobs)


def _seeds(options: argparse.Namespace) -> Iterable[int]:
    seeds: Iterable[int] = count(options.first)
    if options.minutes is None:
        return islice(seeds, options.seeds or 200)
    ends_at = time.monotonic() + 60 * options.minutes
    seeds = takewhile(lambda _: time.monotonic() < ends_at, seeds)
    return islice(seeds, options.seeds)


def _replay(options: argparse.Namespace) -> int:
    outcome = _player(options)(options.seed)
    print("\n".join(outcome.scenario.lines()))
    print("\n".join(_told(outcome, _command(options, outcome))))
    return 1 if outcome.violation else 0


def _command(options: argparse.Namespace, outcome: PlanResult) -> str:
    words = ["scripts/soak", "--seed", str(outcome.scenario.seed)]
    if options.members:
        words += ["--members", str(options.members)]
    for kind in options.kind or ():
        words += ["--kind", f"'{kind}'"]
    if options.broken:
        words += ["--break", options.broken]
    return " ".join(words)


def _told(outcome: PlanResult, command: str) -> Iterator[str]:
    script = outcome.scenario
    if not outcome.violation:
        yield f"seed {script.seed}: all agree {outcome.settled_in:.0f} s after the last fault"
        return
    yield f"VIOLATION, seed {script.seed}: {script.title}"
    yield from (f"    {line}" for line in outcome.violation.splitlines())
    yield "what happened last:"
    yield from (f"    {line}" for line in outcome.history)
    yield f"replay: {command}"


if __name__ == "__main__":
    sys.exit(main())
