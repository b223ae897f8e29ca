import subprocess
import sys
from collections.abc import Iterator

import pytest
from loguru import logger

from wesher.system import log
from wesher.system.terminal import Screen


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    logger.remove()
    logger.configure(patcher=lambda record: None)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")


def test_a_terminal_gets_time_level_and_message(
    terminal: None, capsys: pytest.CaptureFixture[str]
) -> None:
    log.set_up("info")

    logger.info("member {member} joined", member="north")

    time, level, message = capsys.readouterr().err.split(maxsplit=2)
    assert len(time) == len("12:34:56")
    assert (level, message) == ("INFO", "member north joined\n")


def test_on_a_terminal_long_lines_are_wrapped_below_the_message(
    terminal: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(log, "screen_of", lambda stream: Screen(40))
    log.set_up("info")

    logger.info("member north joined from far away")

    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("INFO    member north joined")
    assert second == " " * 17 + "from far away"
    assert first.index("member") == second.index("from")


@pytest.mark.parametrize(
    ("level", "priority"), [("DEBUG", 7), ("INFO", 6), ("WARNING", 4), ("ERROR", 3)]
)
def test_the_journal_gets_a_priority_and_no_time(
    journal: None, capsys: pytest.CaptureFixture[str], level: str, priority: int
) -> None:
    log.set_up("debug")

    logger.log(level, "a fact")

    assert capsys.readouterr().err == f"<{priority}>a fact\n"


@pytest.mark.parametrize(
    ("level", "shown"),
    [("debug", "diwe"), ("info", "iwe"), ("warn", "we"), ("error", "e")],
)
def test_the_level_decides_what_is_shown(
    journal: None, capsys: pytest.CaptureFixture[str], level: str, shown: str
) -> None:
    log.set_up(level)

    for name in ("DEBUG", "INFO", "WARNING", "ERROR"):
        logger.log(name, name[0].lower())

    lines = capsys.readouterr().err.split()
    assert "".join(line[3:] for line in lines) == shown


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("a\n<3>forged", "a\\n<3>forged"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b2J\x00", "\\x9b2J\\x00"),
        ("\u202etxt\u2028", "\\u202etxt\\u2028"),
        ("\ud800", "\\ud800"),
        ("{member}", "{member}"),
        ("zürich", "zürich"),
    ],
)
def test_what_could_forge_a_line_or_drive_a_terminal_is_escaped(
    journal: None, capsys: pytest.CaptureFixture[str], hostile: str, harmless: str
) -> None:
    log.set_up("info")

    logger.warning("dropped {what}", what=hostile)

    assert capsys.readouterr().err == f"<4>dropped {harmless}\n"


def test_a_traceback_shows_no_values_and_has_the_priority_on_every_line(
    journal: None, capsys: pytest.CaptureFixture[str]
) -> None:
    log.set_up("info")

    try:
        secret = "hunter2"
        raise ZeroDivisionError(len(secret))
    except ZeroDivisionError:
        logger.exception("failed")

    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "<3>ZeroDivisionError: 7"
    assert all(line.startswith("<3>") for line in lines)
    assert not any("│" in line or "'hunter2'" in line for line in lines)


def test_setting_up_twice_does_not_double_the_lines(
    journal: None, capsys: pytest.CaptureFixture[str]
) -> None:
    log.set_up("info")
    log.set_up("info")

    logger.info("once")

    assert capsys.readouterr().err == "<6>once\n"


def test_telling_nobody_is_no_failure() -> None:
    script = (
        "import os, sys, time; from wesher.system.log import tell;"
        "tell('one'); time.sleep(0.2); tell('two'); tell('three'); print('end', file=sys.stderr)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()

    errors = process.stderr.read()
    process.stderr.close()

    assert process.wait() == 0
    assert errors == "end\n"
