"""Random scenarios with whole nodes: no rule is ever broken, and planted bugs are found."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.sim.planted_bugs import BUGS
from tests.testbed.sim.runner import PlanResult, play, play_seed
from tests.testbed.sim.scenarios import scenario, thundering_join

ROOT = Path(__file__).parents[2]
SEEDS = 200
AT_ONCE = 10
A_FEW = 40  # seeds, within which a bug shows
REVEALING = {
    "weak-refutation": "asymmetric cut",
    "risen-dead": "partition",
    "left-resurrected": "departures",
    "foreign-incarnation": "mass crash",
    "no-reunion": "long partition",
    "fat-packets": "churn",
}
"""Of what kind the scenarios are that show a bug at small cost."""


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_no_rule_is_broken_whatever_happens(first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        outcome = play_seed(seed)

        told = (f"scripts/soak --seed {seed}", outcome.violation, *outcome.history)
        assert not outcome.violation, "\n".join(told)


def test_everybody_meets_though_all_start_within_a_second() -> None:
    outcome = play(thundering_join(seed=1, members=100))

    assert not outcome.violation
    assert outcome.members == 100


def first_failure(bug: str) -> tuple[PlanResult, dict[str, Any]]:
    """Return the outcome of the first of a few scenarios that shows a bug, and how to play it."""
    options: dict[str, Any] = {"members": 4, "kinds": (REVEALING[bug],), "broken": bug}
    for seed in range(A_FEW):
        outcome = play_seed(seed, **options)
        if outcome.violation:
            return outcome, options
    raise AssertionError(f"{bug} shows in none of {A_FEW} scenarios")


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_within_a_few_seeds_and_replays_from_its_seed(bug: str) -> None:
    failed, options = first_failure(bug)

    again = play_seed(failed.scenario.seed, **options)

    assert (again.digest, again.violation) == (failed.digest, failed.violation)
    assert again.history == failed.history
    assert again.history


def test_a_bug_stays_planted_for_one_scenario_only() -> None:
    before = play_seed(3)
    play_seed(3, broken="fat-packets")

    assert play_seed(3).digest == before.digest


def test_what_a_scenario_came_to_is_counted() -> None:
    outcome = play_seed(0, members=5, kinds=("partition", "departures"))

    assert outcome.stats["partitions"] == 1
    assert outcome.stats["leaves"] >= 1
    assert outcome.stats["packets"] > outcome.stats["lost"] > 0
    assert outcome.seconds >= scenario(0, members=5, kinds=("partition", "departures")).seconds


# The command


def soak(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.testbed.sim.soak", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_soak_ends_with_a_line_that_says_how_much_it_did() -> None:
    done = soak("--seeds", "3", "--jobs", "2", "--members", "3")

    line = done.stdout.splitlines()[-1]
    assert done.returncode == 0
    assert re.fullmatch(
        r"3 seeds, [\d.]+ virtual hours, \d+ members: \d+ crashes, \d+ restarts, "
        r"\d+ partitions, \d+ leaves, [\d,]+ of [\d,]+ packets lost; "
        r"slowest agreement \d+ s; 0 violations",
        line,
    )


def test_a_soak_that_fails_tells_what_happened_and_how_to_see_it_again() -> None:
    bug = "fat-packets"
    done = soak("--seeds", "3", "--members", "4", "--kind", REVEALING[bug], "--break", bug)

    replay = next(line for line in done.stdout.splitlines() if line.startswith("replay: "))
    script, *options = shlex.split(replay.removeprefix("replay: "))
    again = soak(*options)

    assert done.returncode == again.returncode == 1
    assert re.search(r"; [1-3] violations\n\Z", done.stdout)
    assert script == "scripts/soak"
    assert "sends a bad packet" in done.stdout
    assert done.stdout[: done.stdout.index(replay)] in again.stdout


def test_what_makes_no_sense_is_refused_at_once() -> None:
    done = soak("--seeds", "0")

    assert done.returncode == 2
    assert "--seeds" in done.stderr
