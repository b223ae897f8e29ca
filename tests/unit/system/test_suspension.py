"""A suspended host's clocks differ by the time it slept."""

import time

import pytest

from wesher.system.suspension import LEAST, Suspension


@pytest.fixture
def clocks(monkeypatch):
    """Clocks that tests move by hand."""
    shown = {time.CLOCK_BOOTTIME: 1000.0, time.CLOCK_MONOTONIC: 900.0}
    monkeypatch.setattr(time, "clock_gettime", shown.__getitem__)
    return shown


def test_a_host_that_runs_was_not_suspended(clocks):
    suspension = Suspension()

    for clock in clocks:
        clocks[clock] += 50.0

    assert suspension.seconds() == 0.0


def test_time_that_only_one_clock_counts_was_slept_and_is_told_once(clocks):
    suspension = Suspension()
    clocks[time.CLOCK_BOOTTIME] += 600.0

    told = suspension.seconds(), suspension.seconds()

    assert told == (600.0, 0.0)


def test_little_differences_are_none_but_do_not_get_lost(clocks):
    suspension = Suspension()
    clocks[time.CLOCK_BOOTTIME] += LEAST / 2
    first = suspension.seconds()
    clocks[time.CLOCK_BOOTTIME] += LEAST / 2

    assert (first, suspension.seconds()) == (0.0, LEAST)


def test_the_clocks_of_this_host_can_be_read():
    assert Suspension().seconds() == 0.0
