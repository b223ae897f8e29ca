"""What a person reads."""

import pytest

from wesher.base.problems import NO_TOOL
from wesher.cli.diagnosis import render, summary
from wesher.doctor.findings import (
    Finding,
    Verdict,
    counted,
    is_healthy,
    lasting,
    ok,
    unknown,
    warning,
)
from wesher.system.terminal import Screen, Style, painted

FAULT = Finding("tools", Verdict.FAULT, "`wg` is not installed", "run `apt install x`", "no-tool")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 seconds"),
        (1.2, "1 second"),
        (119, "119 seconds"),
        (121, "2 minutes"),
        (7300, "2 hours"),
        (2e5, "2 days"),
    ],
)
def test_durations_are_rough(seconds: float, words: str) -> None:
    assert lasting(seconds) == words


def test_things_are_counted() -> None:
    assert (counted(1, "line"), counted(2, "line")) == ("1 line", "2 lines")


def test_a_warning_has_words_and_remedy_of_its_trouble() -> None:
    finding = warning("tools", NO_TOOL, tool="wg", package="wireguard-tools")

    assert finding.text == "`wg` is not installed"
    assert finding.remedy == "run `apt install wireguard-tools`"
    assert finding.problem == "no-tool"


def test_a_fault_is_shown_with_its_remedy_below_and_counted() -> None:
    found = [FAULT, ok("clock", "synchronised")]

    assert [painted(line, colours=False) for line in render(found)] == [
        "fault    tools: `wg` is not installed",
        "         -> run `apt install x`",
        "ok       clock: synchronised",
    ]
    assert summary(found) == "not healthy: 1 fault"


@pytest.mark.parametrize(
    ("findings", "healthy", "said"),
    [
        ([ok("clock", "")], True, "healthy"),
        ([unknown("clock", "")], True, "healthy"),
        ([warning("tools", NO_TOOL, tool="", package="")] * 2, True, "healthy, with 2 warnings"),
        (
            [FAULT, FAULT, warning("tools", NO_TOOL, tool="", package="")],
            False,
            "not healthy: 2 faults, 1 warning",
        ),
    ],
)
def test_health_is_the_absence_of_faults(findings: list[Finding], healthy: bool, said: str) -> None:
    assert is_healthy(findings) is healthy
    assert summary(findings) == said


def test_long_findings_are_wrapped_with_their_indent_and_faults_stand_out() -> None:
    finding = Finding("tools", Verdict.FAULT, "one two three four five", "six seven eight nine ten")
    lines = list(render([finding, ok("clock", "synchronised")], Screen(33, True)))

    assert [painted(line, colours=False) for line in lines] == [
        "fault    tools: one two three",
        "         four five",
        "         -> six seven eight nine",
        "            ten",
        "ok       clock: synchronised",
    ]
    assert painted(lines[0], colours=True).startswith(f"\x1b[{Style.BAD.value}mfault")
