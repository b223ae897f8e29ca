"""`scripts/bench sim`, with small worlds."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.benches import sim, sim_rejoin
from scripts.benches.sim import QUESTIONS
from scripts.benches.sim_overload import Overload, OverloadedWorld
from scripts.benches.sim_tables import Table, verdict
from wesher.base.frozen import replace

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def answers() -> list[str]:
    command = [sys.executable, "-m", "scripts.benches.sim", "--quick", "--json"]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def measured(answers: list[str], question: str, **wanted: Any) -> list[dict[str, Any]]:
    cases = json.loads(answers[-1])[question]
    return [entry["measured"] for entry in cases if wanted.items() <= entry["case"].items()]


def test_a_quick_look_answers_every_question_with_tables_and_as_json(answers: list[str]) -> None:
    assert set(json.loads(answers[-1])) == set(QUESTIONS)
    assert sum(line.startswith("| ---") for line in answers) == 8


def test_gossip_at_once_is_faster_than_without(answers: list[str]) -> None:
    for members in (10, 30):
        (eager,) = measured(answers, "join", members=members, loss=0.0, eager=True)
        (plain,) = measured(answers, "join", members=members, loss=0.0, eager=False)
        assert 0 < eager["most"] < plain["most"]


def test_a_crash_is_suspected_before_it_is_declared_and_declared_before_all_know(
    answers: list[str],
) -> None:
    for times in measured(answers, "crash", told=True):
        assert 0 < times["suspected"] < times["declared_first"] < times["declared_last"]


def test_an_idle_member_sends_two_packets_for_each_probe(answers: list[str]) -> None:
    for load in measured(answers, "load", loss=0.0):
        assert load["gossip"]["packets"] == pytest.approx(2 / 5)


def test_lifeguard_prevents_false_failures(answers: list[str]) -> None:
    (lifeguard,) = measured(answers, "failures", mechanisms="all on")
    (plain,) = measured(answers, "failures", mechanisms="none: plain SWIM")

    assert lifeguard["declared"] * 10 < plain["declared"]


def test_cpu_and_memory_of_a_member_are_measured(answers: list[str]) -> None:
    for cost in measured(answers, "cost"):
        assert cost["push_pull"] > 0
        assert 0 < cost["shared_bytes"] < cost["own_bytes"]


def test_looking_for_missing_members_costs_each_the_same_in_clusters_of_any_size(
    answers: list[str],
) -> None:
    (small,) = measured(answers, "rejoin", members=10)
    (large,) = measured(answers, "rejoin", members=30)

    assert 0 < large["tries"] == pytest.approx(small["tries"], rel=0.3)


def test_simulating_members_that_come_and_go_is_measured(answers: list[str]) -> None:
    (scenario,) = measured(answers, "scenario")

    assert scenario["cpu"] > 0
    assert scenario["packets"] > 1000


def test_a_case_that_fails_costs_only_its_own_tables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail_with_many(case: sim_rejoin.RejoinCase) -> sim_rejoin.JoinRetry:
        assert case.members == 10, "too many"
        return sim_rejoin.measure(case)

    broken = replace(sim_rejoin.QUESTION, measure=fail_with_many)
    monkeypatch.setitem(QUESTIONS, "load", broken)
    monkeypatch.setattr(
        sys, "argv", ["sim", "--quick", "--json", "--only", "rejoin", "--only", "load"]
    )

    assert sim.main() == 1

    out, err = capsys.readouterr()
    assert sum(line.startswith("| ---") for line in out.splitlines()) == 1
    assert len(json.loads(out.splitlines()[-1])["load"]) == 1
    assert "AssertionError: too many" in err
    assert err.endswith("no tables of load: cases failed, see above\n")


@pytest.mark.parametrize("way", ["packets", "process"])
def test_a_blocked_member_sends_nothing(way: str) -> None:
    world = OverloadedWorld.converged(3, seed=1)
    world.overload(Overload(1, way, blocked=(100, 1e9), free=(1, 1)))
    world.run(101)
    answered = world.nodes["node00000"].packets_sent

    world.run(1000)

    assert world.nodes["node00000"].packets_sent == answered


@pytest.mark.parametrize(
    ("measured", "said"),
    [(7.9, "better"), (8.0, "as good"), (12.0, "as good"), (12.1, "worse, because of that")],
)
def test_a_number_is_better_as_good_or_worse_for_a_reason(measured: float, said: str) -> None:
    assert verdict(measured, 10, "of that") == said


def test_worse_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="because"):
        verdict(2, 1)


def test_a_table_is_markdown_with_readable_numbers() -> None:
    table = Table("Sizes", ["members", "seconds"], [(10000, 0.125)])

    assert table.markdown() == "Sizes\n\n| members | seconds |\n| --- | --- |\n| 10,000 | 0.12 |"
