"""One heap of named timers."""

from functools import partial

from wesher.base.timers import Timers


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
