"""`wesher status` on a terminal: colours, and to be watched like top."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.agents import WESHER
from tests.testbed.pretended import Terminal, pretended_agent
from tests.unit.cli.statuses import member, mesh_of, status
from wesher.cli import main
from wesher.cli.watch import Sample, rates_between, sample_of

RED, YELLOW = "\x1b[1;31m", "\x1b[33m"
ENTERED, LEFT = "\x1b[?1049h", "\x1b[?1049l"

TerminalOf = Callable[..., Terminal]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    """Somebody who tells of 300 members, on the sockets in this directory."""
    with pretended_agent(tmp_path, {"status": lambda _: mesh_of(300)}):
        yield tmp_path


@pytest.fixture
def terminal_of(agent: Path) -> Iterator[TerminalOf]:
    """Type a command that asks this agent."""
    with ExitStack() as stack:

        def typed(*words: str, **options: Any) -> Terminal:
            terminal = Terminal(*words, f"--run-dir={agent}", **options)
            stack.callback(terminal.close)
            return terminal

        yield typed


def test_trouble_has_colours_on_a_terminal_and_nothing_wraps(terminal_of: TerminalOf) -> None:
    terminal = terminal_of("status")

    assert terminal.wait() == 0
    assert f"{RED}failed\x1b[0m" in terminal.shown
    assert f"{YELLOW}suspect\x1b[0m" in terminal.shown
    plain = terminal.shown.replace(RED, "").replace(YELLOW, "")
    plain = plain.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert "\x1b" not in plain
    assert max(map(len, plain.split("\r\n"))) <= 80


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_who_wants_no_colours_gets_none(terminal_of: TerminalOf, env: dict[str, str]) -> None:
    terminal = terminal_of("status", **env)

    assert terminal.wait() == 0
    assert "failed" in terminal.shown
    assert "\x1b" not in terminal.shown


def test_a_pipe_gets_no_colours_and_all_columns(agent: Path) -> None:
    done = subprocess.run(
        [*WESHER, "status", f"--run-dir={agent}"], capture_output=True, text=True, check=True
    )

    assert "\x1b" not in done.stdout
    assert "ROUND TRIP" in done.stdout


@pytest.mark.parametrize("key", ["q", "\x03"], ids=["q", "ctrl-c"])
def test_a_watch_ends_and_leaves_the_terminal_as_it_was(terminal_of: TerminalOf, key: str) -> None:
    terminal = terminal_of("status", "--watch", "0.1")
    terminal.shows("RECEIVED/s")
    assert terminal.shown.index(ENTERED) < terminal.shown.index("every 0.1 s")
    assert not terminal.is_as_before
    terminal.shows("0B")  # a rate, so this is the second look

    terminal.press(key)

    assert terminal.wait() == 0
    assert terminal.is_as_before
    assert LEFT in terminal.shown
    assert "\x1b[?25h" in terminal.shown
    assert terminal.shown.rpartition(LEFT)[2] == ""


def test_a_watch_fills_the_screen_and_no_more(terminal_of: TerminalOf) -> None:
    terminal = terminal_of("status", "--watch", NO_COLOR="1")
    terminal.shows("more lines")
    *_, first = terminal.shown.partition("\x1b[H")
    rows = first.partition("\x1b[J")[0].replace("\x1b[K", "").split("\r\n")
    assert len(rows) == 24
    assert max(map(len, rows)) <= 80

    terminal.resize(60, 12)
    terminal.shown = ""

    terminal.shows("more lines")  # before the two seconds are over
    *_, rest = terminal.shown.rpartition("\x1b[H")
    assert max(map(len, rest.replace("\x1b[K", "").split("\r\n"))) <= 60


def test_a_watch_goes_on_while_the_agent_is_restarted(tmp_path: Path) -> None:
    told = {"status": lambda _: mesh_of(3)}
    with pretended_agent(tmp_path, told):
        terminal = Terminal("status", "--watch=0.1", f"--run-dir={tmp_path}")
        terminal.shows("node3")
    try:
        terminal.shows("no agent runs on this host")
        terminal.shown = ""
        with pretended_agent(tmp_path, told):
            terminal.shows("node3")
    finally:
        terminal.close()


def test_rates_are_of_what_was_counted_twice() -> None:
    before = status(member(received=100, sent=50), member(public_key="new", sent=None))
    after = status(member(received=300, sent=50), member(public_key="new", received=1, sent=2))

    rates = rates_between(sample_of(before, 10.0), sample_of(after, 12.0))

    assert rates == {"key of db": (100.0, 0.0)}
    assert rates_between(None, sample_of(after, 12.0)) == {}


def test_what_counts_from_the_beginning_has_no_rate_yet() -> None:
    assert rates_between(Sample(1.0, {"a": (9, 9)}), Sample(2.0, {"a": (5, 10)})) == {}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--watch"], "--watch needs a terminal to draw on"),
        (["--watch", "--json"], "--watch and --json contradict each other"),
        (["--watch=often"], "--watch: 'often' is no number of seconds from 0.1 to 3600"),
        (["--watch=0"], "--watch: '0' is no number of seconds"),
        (["--watch=nan"], "--watch: 'nan' is no number of seconds"),
    ],
)
def test_a_watch_that_cannot_be_is_refused(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", *words]) == 2
    assert reason in capsys.readouterr().err
