"""The command line of `scripts/mutate`."""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from scripts.mutating import trial
from scripts.mutating.mutants import Mutant, mutants_of

ROOT = Path(__file__).parents[2]
GOSSIP = ROOT / "wesher/gossip"
# Those the core is made of; what encodes and seals has vectors of real bytes instead.
FILES = (
    "members",
    "core",
    "rules",
    "suspicion",
    "probe",
    "pings",
    "broadcasts",
    "spread",
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
EXPLAINED = ROOT / "docs/mutation.md"
PATIENCE = 5  # times what the tests need without a mistake
ENOUGH = 0.9  # of the mutants have to be killed
BY_SIMULATION = 1 / 3  # of those, by simulation alone


def main() -> int:
    given = _parse()
    mutants = [mutant for name in given.files for mutant in mutants_of(GOSSIP / f"{name}.py")][
        :: given.every
    ]
    if given.list:
        print(*mutants, sep="\n")
        return 0
    killed, survivors = {}, mutants
    for suite, tests in SUITES.items():
        killed[suite] = _killed_by(tests, survivors, given.jobs)
        survivors = [mutant for mutant in survivors if mutant not in killed[suite]]
    unexplained = [mutant for mutant in survivors if not _is_explained(mutant)]
    _report(mutants, killed, survivors, unexplained)
    share = 1 - len(survivors) / len(mutants)
    by_simulation = len(killed["simulation"]) / max(1, len(mutants) - len(survivors))
    result = {
        "mutants": len(mutants),
        "killed": len(mutants) - len(survivors),
        "share": round(share, 3),
        "by_simulation_alone": round(by_simulation, 3),
        "survivors_explained": len(survivors) - len(unexplained),
    }
    print(json.dumps(result))
    return 0 if share >= ENOUGH and by_simulation >= BY_SIMULATION and not unexplained else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/mutate", allow_abbrev=False)
    parser.add_argument("files", nargs="*", metavar="FILE", help=f"of {' '.join(FILES)} (all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at a time (cores)")
    parser.add_argument("--every", type=int, default=1, help="try only every Nth mutant (1)")
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


def _is_explained(mutant: Mutant) -> bool:
    """Tell whether a row of the page names the file, the source and the mistake."""
    rows = EXPLAINED.read_text().splitlines() if EXPLAINED.exists() else []
    wanted = (mutant.path.name, f"`{mutant.source}`", mutant.mistake)
    return any(all(part in row for part in wanted) for row in rows)


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
