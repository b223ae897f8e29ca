"""The scenarios themselves: the same for the same seed, and all that they should contain."""

from collections import Counter

import pytest

from tests.testbed.sim.scenarios import KINDS, scenario, thundering_join

SEEDS = range(300)


def test_one_seed_is_one_scenario() -> None:
    assert [scenario(seed) for seed in SEEDS] == [scenario(seed) for seed in SEEDS]
    assert len({scenario(seed).steps for seed in SEEDS}) == len(SEEDS)


def test_everything_happens_within_a_few_hundred_seeds() -> None:
    told = Counter(
        kind for seed in SEEDS for kind in KINDS if kind in scenario(seed).title.split(", ")
    )
    calls = Counter(step.call for seed in SEEDS for step in scenario(seed).steps)

    assert told.keys() == KINDS.keys()
    assert calls.keys() == {
        *("start", "forget_seeds", "restart", "crash", "stop"),
        *("pause", "resume", "suspend", "wake", "drift", "slow"),
        *("part", "cut", "heal", "link", "streams"),
    }


def test_nodes_of_all_sorts_take_part() -> None:
    started = [
        dict(step.options)
        for seed in SEEDS
        for step in scenario(seed).steps
        if step.call == "start"
    ]

    assert {options.get("go") for options in started} == {None, "v0.1.4", "current"}
    assert {options.get("timing") for options in started} >= {"wan", "lan", "local"}


@pytest.mark.parametrize("seed", range(20))
def test_steps_come_in_order_and_before_the_faults_end(seed: int) -> None:
    script = scenario(seed)
    times = [step.at for step in script.steps]

    assert times == sorted(times)
    assert times[-1] < script.seconds


def test_a_scenario_can_be_asked_for_by_size_and_kind() -> None:
    script = scenario(7, members=30, kinds=("partition",))

    starts = [step for step in script.steps if step.call == "start"]
    assert len(starts) == 30
    assert script.title == "30 hosts, partition"


def test_all_but_one_of_a_thundering_join_start_within_a_second() -> None:
    starts = [step for step in thundering_join(1, 500).steps if step.call == "start"]

    first, *others = starts
    assert len(starts) == 500
    assert first.at == 0
    assert others[-1].at - others[0].at <= 1


def test_a_scenario_is_told_step_by_step() -> None:
    script = scenario(3)

    lines = list(script.lines())

    assert lines[0].startswith("seed 3: ")
    assert len(lines) == len(script.steps) + 2
