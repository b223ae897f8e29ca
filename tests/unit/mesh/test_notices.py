"""Warnings come at once, and neither too often nor too many."""

import pytest

from wesher.mesh.events import Notice, Severity
from wesher.mesh.notices import ALIKE, MAX_RECENT, QUIET, Notices, Recent


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


def test_recent_troubles_are_remembered_with_how_often_and_when():
    notices = Notices()

    notices.warn("web", 5, "odd", member="web")
    notices.warn("web", 7, "odd", member="web")
    notices.warn("db", 8, "strange")

    assert notices.recent(9) == [
        Recent("odd", {"member": "web"}, 2, 7),
        Recent("strange", {}, 1, 8),
    ]
    assert notices.recent(7 + QUIET) == [Recent("strange", {}, 1, 8)]


def test_what_was_forgotten_meanwhile_is_counted_anew():
    notices = Notices()

    notices.warn("web", 0, "odd")
    notices.warn("web", QUIET, "odd")

    assert notices.recent(QUIET) == [Recent("odd", {}, 1, QUIET)]


def test_of_many_sources_the_newest_are_remembered():
    notices = Notices()

    for number in range(MAX_RECENT + 5):
        notices.warn(f"ghost{number}", 0, "odd", number=number)

    assert [one.data["number"] for one in notices.recent(0)] == list(range(5, MAX_RECENT + 5))
