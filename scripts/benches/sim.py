"""`scripts/bench sim`: what the gossip does from 10 to 10,000 members, in simulated worlds."""

import argparse
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import partial
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

from scripts.benches import (
    sim_cost,
    sim_crash,
    sim_failures,
    sim_join,
    sim_load,
    sim_rejoin,
    sim_scenario,
)
from scripts.benches.sim_tables import Question
from tests.testbed.lab.netns import ended_by_signals

QUESTIONS: dict[str, Question] = {
    "join": sim_join.QUESTION,
    "crash": sim_crash.QUESTION,
    "load": sim_load.QUESTION,
    "failures": sim_failures.QUESTION,
    "cost": sim_cost.QUESTION,
    "rejoin": sim_rejoin.QUESTION,
    "scenario": sim_scenario.QUESTION,
}
_ROOT = Path(__file__).parents[2]

Measured = dict[str, dict[Any, Any]]
_Item = tuple[str, Any]
"""A question and one of its cases."""


def main() -> int:
    given = _parse()
    names = given.only or list(QUESTIONS)
    cases = {name: QUESTIONS[name].cases(given.quick) for name in names}
    if given.long:
        cases = {name: [*cases[name], *QUESTIONS[name].long] for name in names}
    try:
        with ended_by_signals():
            measured = measure(cases, jobs=1 if given.quick else given.jobs)
    except KeyboardInterrupt:
        return 130
    answered = [name for name in names if len(measured[name]) == len(cases[name])]
    for name in answered:
        for table in QUESTIONS[name].tables(measured[name]):
            print(f"{table.markdown()}\n")
    if given.plots:
        _draw({name: measured[name] for name in answered}, given.plots)
    if given.json:
        print(json.dumps(_plain(measured)))
    unanswered = [name for name in names if name not in answered]
    if unanswered:
        print(f"no tables of {', '.join(unanswered)}: cases failed, see above", file=sys.stderr)
    return 1 if unanswered else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench sim", description=__doc__, allow_abbrev=False
    )
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help="small worlds, and no plots")
    extent.add_argument(
        "--long", action="store_true", help="also what takes over an hour and 20 GB of memory"
    )
    parser.add_argument(
        "--only", action="append", choices=QUESTIONS, metavar="QUESTION", help=", ".join(QUESTIONS)
    )
    parser.add_argument("--jobs", type=_positive, default=os.cpu_count(), help="processes")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="where to (docs/images)")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    given = parser.parse_args()
    if not given.quick and not given.plots:
        given.plots = _ROOT / "docs/images"
    return given


def _positive(number: str) -> int:
    if not number.isdecimal() or int(number) < 1:
        raise argparse.ArgumentTypeError(f"{number} is no number of processes: give at least 1")
    return int(number)


def measure(cases: Mapping[str, Sequence[Any]], *, jobs: int) -> Measured:
    """Return what came of each question's cases, in their order; failed ones lack."""
    todo = [(name, case) for name in cases for case in cases[name]]
    done: dict[_Item, Any] = {}
    if jobs == 1:
        for item in todo:
            _keep(done, item, partial(_measure, *item))
    else:
        _measure_side_by_side(todo, jobs, done)
    measured: Measured = {name: {} for name in cases}
    for name, case in todo:
        if (name, case) in done:
            measured[name][case] = done[name, case]
    return measured


def _keep(done: dict[_Item, Any], item: _Item, result: Callable[[], Any]) -> None:
    """Add what came of a case; one that fails does not cost what the others took long for."""
    try:
        done[item] = result()
    except Exception:
        print(f"failed: {item}\n{traceback.format_exc()}", file=sys.stderr, flush=True)


def _measure_side_by_side(todo: Iterable[_Item], jobs: int, done: dict[_Item, Any]) -> None:
    # The largest take most of the time; what is left to do in the end should be small.
    ordered = sorted(todo, key=lambda item: item[1].members, reverse=True)
    # A process keeps the memory of its largest world: each case gets a new one.
    with ProcessPoolExecutor(
        jobs, get_context("spawn"), _end_without_a_word, max_tasks_per_child=1
    ) as processes:
        running = {processes.submit(_measure, *item): item for item in ordered}
        try:
            for future in _reported(running):
                _keep(done, running[future], future.result)
        except BaseException:
            _end(processes)
            raise


def _end_without_a_word() -> None:
    """Let Ctrl-C be reported by the process that was started, not by all."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _measure(name: str, case: Any) -> Any:
    return QUESTIONS[name].measure(case)


def _reported(running: Mapping[Future[Any], object]) -> Iterator[Future[Any]]:
    for number, future in enumerate(as_completed(running), start=1):
        print(f"{number} of {len(running)}: {running[future]}", file=sys.stderr, flush=True)
        yield future


def _end(processes: ProcessPoolExecutor) -> None:
    """Do not wait for what nobody waits for."""
    processes.shutdown(wait=False, cancel_futures=True)
    for process in active_children():
        process.terminate()


def _draw(measured: Measured, directory: Path) -> None:
    from scripts.benches import sim_plots  # noqa: PLC0415 - matplotlib is slow, and rarely needed

    directory.mkdir(parents=True, exist_ok=True)
    for name, cases in measured.items():
        if name in sim_plots.PLOTS:
            sim_plots.save(sim_plots.PLOTS[name](cases), directory / f"sim-{name}.svg")


def _plain(measured: Measured) -> dict[str, list[dict[str, Any]]]:
    """Return what was measured as JSON can carry it."""
    return {
        name: [{"case": asdict(case), "measured": asdict(value)} for case, value in cases.items()]
        for name, cases in measured.items()
    }


if __name__ == "__main__":
    sys.exit(main())
