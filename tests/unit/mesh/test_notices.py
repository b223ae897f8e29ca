"""Warnings come at once, and neither too often nor too many."""

import pytest

from wesher.mesh.events import Notice, Severity
from wesher.mesh.notices import ALIKE, QUIET, Notices


def said(notices):
    return [notice.text.format(**notice.data) for notice in notices.drain()]


def test_notices_come_in_their_order_and_once():
    notices = Notices()
    notices.inform("{member} joined", member="web")
    notices.trace("dropped")
    notices.warn("web", 0, "{member} is odd", member="web")

    drained = list(notices.drain())

    assert drained == [
        Notice(Severity.INFO, "{member} joined", {"member": "web"}),
        Notice(Severity.DEBUG, "dropped", {}),
        Notice(Severity.WARNING, "{member} is odd", {"member": "web"}),
    ]
    assert said(notices) == []


@pytest.mark.parametrize(("later", "times"), [(0, 1), (QUIET - 1, 1), (QUIET, 2)])
def test_a_warning_is_repeated_after_ten_minutes_at_the_earliest(later, times):
    notices = Notices()

    notices.warn("web", 5, "odd")
    notices.warn("web", 5 + later, "odd")

    assert said(notices) == ["odd"] * times


def test_a_warning_that_keeps_being_due_comes_every_ten_minutes():
    notices = Notices()

    for second in range(2 * QUIET + 1):
        notices.warn("web", second, "odd")

    assert said(notices) == ["odd"] * 3


def test_other_sources_and_other_troubles_are_told_at_once():
    notices = Notices()

    notices.warn("web", 0, "odd")
    notices.warn("db", 0, "odd")
    notices.warn("web", 0, "strange")

    assert said(notices) == ["odd", "odd", "strange"]


def test_invented_sources_cannot_fill_the_log():
    notices = Notices()

    for number in range(1000):
        notices.warn(f"ghost{number}", number / 100, "{member} is odd", member=number)
    notices.warn("web", 10, "strange")
    notices.warn("late", QUIET, "{member} is odd", member="late")

    assert said(notices) == [*(f"{n} is odd" for n in range(ALIKE)), "strange", "late is odd"]
