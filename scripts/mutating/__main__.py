"""The command line of `scripts/mutate`."""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from scripts.mutating import trial
from scripts.mutating.explained import is_explained, rows_of, stale
from scripts.mutating.mutants import Mutant, mutants_of

ROOT = Path(__file__).parents[2]
GOSSIP = ROOT / "wesher/gossip"
# Those the core is made of; what encodes and seals has vectors of real bytes instead.
FILES = (
    "members",
    "core",
    "intake",
    "precedence",
    "transitions",
    "suspicion",
    "probe",
    "pings",
    "outbox",
    "dissemination",
    "push_pull",
)
# Each is given what those before it left. The simulations get every mutant: they must be quick.
_SLOW = (
    "newcomer or new_metadata or within_two_seconds[50] or loss[1] or loss[2] or loss[3] or loss[4]"
)
SUITES = {
    "simulation": ["tests/sim/test_gossip_worlds.py", "-k", f"not ({_SLOW})"],
    "unit": ["tests/unit/gossip"],
}
PAGE = "docs/mutation.md"
EXPLAINED = ROOT / PAGE
PATIENCE = 5  # times what the tests need without a mistake
ENOUGH = 0.9  # of the mutants have to be killed
BY_SIMULATION = 1 / 3  # of those, by simulation alone


def main() -> int:
    given = _parse()
    known = {name: mutants_of(GOSSIP / f"{name}.py") for name in FILES}
    mutants = [mutant for name in given.files for mutant in known[name]][:: given.every]
    rows = rows_of(EXPLAINED.read_text())
    if given.explained:
        mutants = [mutant for mutant in mutants if is_explained(mutant, rows)]
    if given.list:
        print(*mutants, sep="\n")
        return 0
    killed, survivors = {}, mutants
    for suite, tests in SUITES.items():
        killed[suite] = _killed_by(tests, survivors, given.jobs)
        survivors = [mutant for mutant in survivors if mutant not in killed[suite]]
    unexplained = [mutant for mutant in survivors if not is_explained(mutant, rows)]
    outdated = stale(rows, set(chain(*known.values())), set(mutants), set(survivors))
    _report(mutants, killed, survivors, unexplained)
    for row in outdated:
        print(f"no longer survives: {row}")
    shares = _summarize(len(mutants), len(killed["simulation"]), len(survivors), len(unexplained))
    enough = given.explained or (shares[0] >= ENOUGH and shares[1] >= BY_SIMULATION)
    return 0 if enough and not unexplained and not outdated else 1


def _summarize(
    mutants: int, by_simulation: int, survivors: int, unexplained: int
) -> tuple[float, float]:
    """Print the JSON object; return the share killed, and that of simulation alone in these."""
    killed = mutants - survivors
    shares = killed / max(1, mutants), by_simulation / max(1, killed)
    result = {
        "mutants": mutants,
        "killed": killed,
        "share": round(shares[0], 3),
        "by_simulation_alone": round(shares[1], 3),
        "survivors_explained": survivors - unexplained,
    }
    print(json.dumps(result))
    return shares


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/mutate", allow_abbrev=False)
    parser.add_argument("files", nargs="*", metavar="FILE", help=f"of {' '.join(FILES)} (all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at a time (cores)")
    parser.add_argument("--every", type=int, default=1, help="try only every Nth mutant (1)")
    parser.add_argument("--explained", action="store_true", help=f"try only those in {PAGE}")
    parser.add_argument("--list", action="store_true", help="only list the mutants")
    given = parser.parse_args()
    given.files = given.files or FILES
    if unknown := set(given.files) - set(FILES):
        parser.error(f"unknown: {' '.join(sorted(unknown))}; choose of {' '.join(FILES)}")
    if given.jobs < 1 or given.every < 1:
        parser.error("--jobs and --every are at least 1")
    return given


def _killed_by(tests: Sequence[str], mutants: Sequence[Mutant], jobs: int) -> set[Mutant]:
    """Return the mutants that fail at least one of these tests."""
    limit = PATIENCE * _cpu_seconds(tests)
    killed: set[Mutant] = set()
    running: dict[int, Mutant] = {}
    for done, mutant in enumerate(mutants):
        running[trial.start(mutant, tests, limit)] = mutant
        if len(running) >= jobs:
            _take_one(running, killed)
        if done % 50 == 49:
            print(f"  {done + 1} of {len(mutants)}: {len(killed)} killed", flush=True)
    while running:
        _take_one(running, killed)
    return killed


def _take_one(running: dict[int, Mutant], killed: set[Mutant]) -> None:
    pid, status = os.wait()
    mutant = running.pop(pid)
    if os.waitstatus_to_exitcode(status) != trial.PASSED:
        killed.add(mutant)


def _cpu_seconds(tests: Sequence[str]) -> float:
    """Run the tests without a mistake: they have to pass, and tell how long they take."""
    _, status, usage = os.wait4(trial.start(None, tests, 600), 0)
    if os.waitstatus_to_exitcode(status) != trial.PASSED:
        raise SystemExit(f"mutate: without any mistake these fail: {' '.join(tests)}")
    seconds = usage.ru_utime + usage.ru_stime
    print(f"{' '.join(tests)}: {seconds:.1f} CPU seconds", flush=True)
    return seconds


def _report(
    mutants: Sequence[Mutant],
    killed: dict[str, set[Mutant]],
    survivors: Sequence[Mutant],
    unexplained: Sequence[Mutant],
) -> None:
    print(f"{'file':16} {'mutants':>8} " + " ".join(f"{suite:>12}" for suite in killed), end="")
    print(f" {'survived':>9}")
    total = Counter(mutant.path.name for mutant in mutants)
    for name, count in total.items():
        by_suite = (_count(name, found) for found in killed.values())
        row = " ".join(f"{found:12}" for found in by_suite)
        print(f"{name:16} {count:8} {row} {_count(name, survivors):9}")
    for mutant in survivors:
        print(mutant if mutant in unexplained else f"{mutant}  (explained)")


def _count(name: str, mutants: Iterable[Mutant]) -> int:
    return sum(mutant.path.name == name for mutant in mutants)


if __name__ == "__main__":
    sys.exit(main())
