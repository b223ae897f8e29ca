"""Warnings come at once, and neither too often nor too many."""

import pytest

from wesher.mesh.events import Notice, Severity
from wesher.mesh.notices import ALIKE, ALWAYS_ALIKE, MAX_RECENT, QUIET, Notices, Recent
from wesher.troubles import Trouble

ODD = Trouble("odd", "{member} is odd", "look at it")
STRANGE = Trouble("strange", "all is strange", "wait")


def said(notices):
    return [notice.text.format(**notice.data) for notice in notices.drain()]


def test_notices_come_in_their_order_and_once():
    notices = Notices()
    notices.inform("{member} joined", member="web")
    notices.trace("dropped")
    notices.warn("web", 0, ODD, member="web")

    drained = list(notices.drain())

    assert drained == [
        Notice(Severity.INFO, "{member} joined", {"member": "web"}),
        Notice(Severity.DEBUG, "dropped", {}),
        Notice(Severity.WARNING, "{member} is odd: look at it", {"member": "web"}),
    ]
    assert said(notices) == []


@pytest.mark.parametrize(("later", "times"), [(0, 1), (QUIET - 1, 1), (QUIET, 2)])
def test_a_warning_is_repeated_after_ten_minutes_at_the_earliest(later, times):
    notices = Notices()

    notices.warn("web", 5, ODD, member="web")
    notices.warn("web", 5 + later, ODD, member="web")

    assert said(notices) == ["web is odd: look at it"] * times


def test_a_warning_that_keeps_being_due_comes_every_ten_minutes():
    notices = Notices()

    for second in range(2 * QUIET + 1):
        notices.warn("web", second, ODD, member="web")

    assert said(notices) == ["web is odd: look at it"] * 3


def test_other_sources_and_other_troubles_are_told_at_once():
    notices = Notices()

    notices.warn("web", 0, ODD, member="web")
    notices.warn("db", 0, ODD, member="db")
    notices.warn("web", 0, STRANGE)

    assert said(notices) == [
        "web is odd: look at it",
        "db is odd: look at it",
        "all is strange: wait",
    ]


def test_invented_sources_cannot_fill_the_log():
    notices = Notices()

    for number in range(1000):
        notices.warn(f"ghost{number}", number / 100, ODD, member=number)
    notices.warn("web", 10, STRANGE)
    notices.warn("late", QUIET, ODD, member="late")

    odd = [f"{who} is odd: look at it" for who in (*range(ALIKE), "late")]
    more = [
        f"{count} more of this kind (odd) in the last ten minutes: see `wesher doctor`"
        for count in (1, 10, 100)
    ]
    assert said(notices) == [*odd[:-1], *more, "all is strange: wait", odd[-1]]


def test_who_is_only_counted_is_counted_once():
    notices = Notices()

    for second in range(100):
        for number in range(ALIKE + 2):
            notices.warn(f"ghost{number}", second, ODD, member=number)

    assert len(said(notices)) == ALIKE + 1


def test_former_peers_cannot_fill_the_log_either():
    notices = Notices()

    for number in range(2 * ALWAYS_ALIKE):
        notices.warn(f"ghost{number}", 0, ODD, always=True, member=number)

    assert len(said(notices)) < ALWAYS_ALIKE + 10


@pytest.mark.parametrize("say", [Notices.warn, Notices.err])
def test_a_crowd_of_inventions_does_not_hide_a_member_that_was_relied_upon(say):
    notices = Notices()
    for number in range(100):
        say(notices, f"ghost{number}", 0, ODD, member=number)
    list(notices.drain())

    say(notices, "web", 1, ODD, always=True, member="web")
    for number in range(100):
        say(notices, f"shade{number}", 2, ODD, member=number)

    told = said(notices)
    assert told[0] == "web is odd: look at it"
    assert "web" in [one.data["member"] for one in notices.recent(3)]


def test_recent_troubles_are_remembered_with_how_often_and_when():
    notices = Notices()

    notices.warn("web", 5, ODD, member="web")
    notices.warn("web", 7, ODD, member="web")
    notices.warn("db", 8, STRANGE)

    assert notices.recent(9) == [
        Recent(ODD, {"member": "web"}, 2, 7, source="web"),
        Recent(STRANGE, {}, 1, 8, source="db"),
    ]
    assert notices.recent(7 + QUIET) == [Recent(STRANGE, {}, 1, 8, source="db")]


def test_what_was_forgotten_meanwhile_is_counted_anew():
    notices = Notices()

    notices.warn("web", 0, ODD, member="web")
    notices.warn("web", QUIET, ODD, member="web")

    assert notices.recent(QUIET) == [Recent(ODD, {"member": "web"}, 1, QUIET, source="web")]


def test_of_many_sources_the_newest_are_remembered():
    notices = Notices()

    for number in range(MAX_RECENT + 5):
        notices.warn(f"ghost{number}", 0, ODD, member=number)

    assert [one.data["member"] for one in notices.recent(0)] == list(range(5, MAX_RECENT + 5))
