"""What a person reads."""

import pytest

from wesher.base.problems import NO_TOOL
from wesher.cli.doctor import render
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

FAULT = Finding("tools", Verdict.FAULT, "`wg` is not installed", "run `apt install x`", "no-tool")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 seconds"),
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
    assert list(render([FAULT, ok("clock", "synchronised")])) == [
        "fault    tools: `wg` is not installed",
        "         -> run `apt install x`",
        "ok       clock: synchronised",
        "",
        "not healthy: 1 fault",
    ]


@pytest.mark.parametrize(
    ("findings", "healthy", "summary"),
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
def test_health_is_the_absence_of_faults(
    findings: list[Finding], healthy: bool, summary: str
) -> None:
    assert is_healthy(findings) is healthy
    assert list(render(findings))[-1] == summary
