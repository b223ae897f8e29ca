"""Warnings come at once, and neither too often nor too many."""

import pytest

from wesher.base.problems import Problem
from wesher.mesh.base.actions import Warn, inform, trace
from wesher.mesh.base.events import Notice, Severity
from wesher.mesh.base.operator_log import (
    ALIKE,
    ALWAYS_ALIKE,
    MAX_RECENT,
    QUIET,
    OperatorLog,
    Recent,
)

ODD = Problem("odd", "{member} is odd", "look at it")
STRANGE = Problem("strange", "all is strange", "wait")


def warn(
    operator_log: OperatorLog,
    subject: str,
    now: float,
    problem: Problem,
    *,
    always: bool = False,
    severity: Severity = Severity.WARNING,
    **data: object,
) -> None:
    operator_log.warn(Warn(problem, subject, data, always, severity), now)


def said(operator_log: OperatorLog) -> list[str]:
    return [notice.text.format(**notice.data) for notice in operator_log.drain()]


def test_notices_come_in_their_order_and_once() -> None:
    operator_log = OperatorLog()
    operator_log.notice(inform("{member} joined", member="web"))
    operator_log.notice(trace("dropped"))
    warn(operator_log, "web", 0, ODD, member="web")

    drained = list(operator_log.drain())

    assert drained == [
        Notice(Severity.INFO, "{member} joined", {"member": "web"}),
        Notice(Severity.DEBUG, "dropped", {}),
        Notice(Severity.WARNING, "{member} is odd: look at it", {"member": "web"}),
    ]
    assert said(operator_log) == []


@pytest.mark.parametrize(("later", "times"), [(0, 1), (QUIET - 1, 1), (QUIET, 2)])
def test_a_warning_is_repeated_after_ten_minutes_at_the_earliest(later: int, times: int) -> None:
    operator_log = OperatorLog()

    warn(operator_log, "web", 5, ODD, member="web")
    warn(operator_log, "web", 5 + later, ODD, member="web")

    assert said(operator_log) == ["web is odd: look at it"] * times


def test_a_warning_that_keeps_being_due_comes_every_ten_minutes() -> None:
    operator_log = OperatorLog()

    for second in range(2 * QUIET + 1):
        warn(operator_log, "web", second, ODD, member="web")

    assert said(operator_log) == ["web is odd: look at it"] * 3


def test_other_sources_and_other_troubles_are_told_at_once() -> None:
    operator_log = OperatorLog()

    warn(operator_log, "web", 0, ODD, member="web")
    warn(operator_log, "db", 0, ODD, member="db")
    warn(operator_log, "web", 0, STRANGE)

    assert said(operator_log) == [
        "web is odd: look at it",
        "db is odd: look at it",
        "all is strange: wait",
    ]


def test_invented_sources_cannot_fill_the_log() -> None:
    operator_log = OperatorLog()

    for number in range(1000):
        warn(operator_log, f"ghost{number}", number / 100, ODD, member=number)
    warn(operator_log, "web", 10, STRANGE)
    warn(operator_log, "late", QUIET, ODD, member="late")

    odd = [f"{who} is odd: look at it" for who in (*range(ALIKE), "late")]
    more = [
        f"{count} more of this kind (odd) in the last ten minutes: see `wesher doctor`"
        for count in (1, 10, 100)
    ]
    assert said(operator_log) == [*odd[:-1], *more, "all is strange: wait", odd[-1]]


def test_who_is_only_counted_is_counted_once() -> None:
    operator_log = OperatorLog()

    for second in range(100):
        for number in range(ALIKE + 2):
            warn(operator_log, f"ghost{number}", second, ODD, member=number)

    assert len(said(operator_log)) == ALIKE + 1


def test_former_peers_cannot_fill_the_log_either() -> None:
    operator_log = OperatorLog()

    for number in range(2 * ALWAYS_ALIKE):
        warn(operator_log, f"ghost{number}", 0, ODD, always=True, member=number)

    assert len(said(operator_log)) < ALWAYS_ALIKE + 10


@pytest.mark.parametrize("severity", [Severity.WARNING, Severity.ERROR])
def test_a_crowd_of_inventions_does_not_hide_a_member_that_was_relied_upon(
    severity: Severity,
) -> None:
    operator_log = OperatorLog()
    for number in range(100):
        warn(operator_log, f"ghost{number}", 0, ODD, severity=severity, member=number)
    list(operator_log.drain())

    warn(operator_log, "web", 1, ODD, always=True, severity=severity, member="web")
    for number in range(100):
        warn(operator_log, f"shade{number}", 2, ODD, severity=severity, member=number)

    told = said(operator_log)
    assert told[0] == "web is odd: look at it"
    assert "web" in [one.warning.data["member"] for one in operator_log.recent(3)]


def test_recent_troubles_are_remembered_with_how_often_and_when() -> None:
    operator_log = OperatorLog()

    warn(operator_log, "web", 5, ODD, member="web")
    warn(operator_log, "web", 7, ODD, member="web")
    warn(operator_log, "db", 8, STRANGE)

    assert operator_log.recent(9) == [
        Recent(Warn(ODD, "web", {"member": "web"}), 7, count=2),
        Recent(Warn(STRANGE, "db", {}), 8),
    ]
    assert operator_log.recent(7 + QUIET) == [Recent(Warn(STRANGE, "db", {}), 8)]


def test_what_was_forgotten_meanwhile_is_counted_anew() -> None:
    operator_log = OperatorLog()

    warn(operator_log, "web", 0, ODD, member="web")
    warn(operator_log, "web", QUIET, ODD, member="web")

    assert operator_log.recent(QUIET) == [Recent(Warn(ODD, "web", {"member": "web"}), QUIET)]


def test_of_many_sources_the_newest_are_remembered() -> None:
    operator_log = OperatorLog()

    for number in range(MAX_RECENT + 5):
        warn(operator_log, f"ghost{number}", 0, ODD, member=number)

    assert [one.warning.data["member"] for one in operator_log.recent(0)] == list(
        range(5, MAX_RECENT + 5)
    )
