"""One heap of named timers, and a clock that stands still while its process does not run."""

from functools import partial

import pytest

from wesher.base.timers import NodeClock, Timers


def test_timers_are_kept_in_order_and_done_once() -> None:
    timers = Timers()
    done: list[tuple[str, float]] = []

    def note(name: str, now: float) -> None:
        done.append((name, now))

    for name, when in (("late", 3.0), ("b", 1.0), ("c", 2.0), ("d", 1.0)):
        timers.set(name, when, partial(note, name))

    ran = timers.run(2.5)

    assert ran
    assert done == [("b", 2.5), ("d", 2.5), ("c", 2.5)]
    assert timers.next() == 3.0
    assert not timers.run(2.9)


def test_setting_a_timer_anew_replaces_it() -> None:
    timers = Timers()
    done: list[str] = []
    timers.set("one", 1.0, lambda _: done.append("first"))
    timers.set("one", 2.0, lambda _: done.append("second"))

    before = timers.next()
    timers.run(5.0)

    assert before == 2.0
    assert done == ["second"]
    assert "one" not in timers


def test_a_timer_that_was_cancelled_is_not_done() -> None:
    timers = Timers()
    done: list[float] = []
    timers.set("one", 1.0, done.append)

    timers.cancel("one")
    timers.cancel("unknown")

    assert timers.next() is None
    assert not timers.run(2.0)
    assert done == []


def test_what_is_set_meanwhile_is_done_as_well_if_it_is_due() -> None:
    timers = Timers()
    done: list[float] = []

    def again(now: float) -> None:
        done.append(now)
        if len(done) < 3:
            timers.set("again", now, again)

    timers.set("again", 1.0, again)
    timers.run(4.0)

    assert done == [4.0, 4.0, 4.0]


def test_what_is_pending_can_be_told_by_name() -> None:
    timers = Timers()
    for name, when in (("b", 2.0), ("a", 3.0), ("c", 1.0)):
        timers.set(name, when, lambda _: None)
    timers.set("b", 5.0, lambda _: None)

    assert timers.pending() == [(1.0, "c"), (3.0, "a"), (5.0, "b")]
    assert timers.when("b") == 5.0
    assert timers.when("d") is None


def test_timers_that_are_set_anew_without_end_do_not_pile_up() -> None:
    timers = Timers()

    for number in range(10_000):
        timers.set("one", float(number), lambda _: None)

    assert len(timers._heap) < 200
    assert timers.next() == 9999.0


def test_time_in_which_the_process_did_not_run_is_taken_off_once() -> None:
    clock = NodeClock(patience=2.0)
    clock.missed(None, 10.0)

    missed = clock.missed(12.0, 100.0)

    assert missed == 88.0
    assert clock.time(100.0) == 12.0
    assert clock.missed(12.0, 100.5) == 0.0
    assert clock.time(105.0) == 17.0
    assert clock.driver_time(17.0) == 105.0


@pytest.mark.parametrize(("due", "now"), [(None, 100.0), (11.0, 12.9), (200.0, 100.0)])
def test_a_process_that_was_not_late_has_missed_nothing(due: float | None, now: float) -> None:
    clock = NodeClock(patience=2.0)
    clock.missed(None, 10.0)

    assert clock.missed(due, now) == 0.0
    assert clock.time(now) == now


def test_what_was_overdue_when_it_was_planned_is_not_late() -> None:
    clock = NodeClock(patience=2.0)
    clock.missed(None, 50.0)

    assert clock.missed(10.0, 51.0) == 0.0


@pytest.mark.parametrize("late", [3.3, 1e5 / 3, 86400.1])
def test_the_driver_never_wakes_too_early_by_a_rounding(late: float) -> None:
    clock = NodeClock(patience=2.0)
    clock.missed(None, 0.1)
    clock.missed(0.2, 0.2 + late)

    for step in range(1000):
        instant = step / 7
        assert clock.time(clock.driver_time(instant)) >= instant
