"""How often the missing are contacted, and by how many."""

import random

import pytest

from wesher.gossip import Address
from wesher.mesh.base.seeds import Contact
from wesher.mesh.discovery.retries import (
    EXPEDITED,
    EXPEDITED_TRIES,
    INTERVAL,
    MAX_PINGS,
    MAX_REPEATS,
    PINGS,
    REPEATS,
    Reconnect,
)

A = Address("192.0.2.10", 7946)


def contacts(count: int) -> list[Contact]:
    return [Address(f"192.0.2.{number + 1}", 7946) for number in range(count)]


def tries(missing: list[Contact], alive: int, seconds: float, seed: int = 1) -> list[Contact]:
    """Return whom one member contacts in so many seconds."""
    reconnect = Reconnect(random.Random(seed))
    reconnect.start(0)
    found: list[Contact] = []
    while (now := reconnect.next_timer()) is not None and now <= seconds:
        found += reconnect.contacts(missing, alive, now)
    return found


def test_nobody_is_contacted_before_the_start() -> None:
    reconnect = Reconnect(random.Random(1))

    assert reconnect.next_timer() is None
    assert reconnect.contacts(contacts(1), 1, 1000) == []


def test_nobody_is_contacted_while_nobody_is_missing() -> None:
    assert tries([], 10, 1000) == []


@pytest.mark.parametrize("half", [5, 50, 500])
def test_half_a_cluster_tries_about_once_an_interval_each(half: int) -> None:
    found = tries(contacts(half), half, 100 * INTERVAL)

    assert 80 <= len(found) <= 120
    assert set(found) <= set(contacts(half))
    assert len(set(found)) >= min(half, 30)


@pytest.mark.parametrize("alive", [10, 100, 1000])
def test_all_together_contact_as_many_as_are_missing_however_many_they_are(alive: int) -> None:
    found = sum(len(tries(contacts(8), alive, 20 * INTERVAL, seed)) for seed in range(alive))

    assert 120 <= found <= 200


@pytest.mark.parametrize("alive", [10, 100, 1000])
def test_one_that_is_missing_is_not_left_to_chance(alive: int) -> None:
    found = sum(len(tries(contacts(1), alive, 20 * INTERVAL, seed)) for seed in range(alive))

    assert 70 <= found <= 130


def test_one_that_is_nearly_alone_tries_several_at_a_time_but_not_all() -> None:
    found = tries(contacts(100), 2, 100 * INTERVAL)

    assert 4 * 80 <= len(found) <= 4 * 120


def test_who_has_answered_is_asked_again_a_few_times() -> None:
    reconnect = Reconnect(random.Random(1))
    reconnect.start(0)
    reconnect.answered(A, 1, reunited=False)

    asked = [delay for delay in range(1, 20) if reconnect.contacts([], 10, 1 + delay)]

    assert asked == list(REPEATS)


def test_who_shows_nobody_missing_is_not_asked_again() -> None:
    reconnect = Reconnect(random.Random(1))
    reconnect.start(0)
    reconnect.answered(A, 1, reunited=False)

    reconnect.answered(A, 2, reunited=True)

    assert not any(reconnect.contacts([], 10, now) for now in range(2, 30))


def test_only_so_many_are_asked_again() -> None:
    reconnect = Reconnect(random.Random(1))
    reconnect.start(0)
    for number in range(2 * MAX_REPEATS):
        reconnect.answered(Address("192.0.2.1", number), 0, reunited=False)

    assert len(reconnect.contacts([], 10, 1)) == MAX_REPEATS


def test_when_somebody_is_back_others_are_tried_soon() -> None:
    reconnect = Reconnect(random.Random(1))
    reconnect.start(0)

    reconnect.expedite(1)

    again = reconnect.next_timer()
    assert again is not None
    assert again <= 1 + EXPEDITED
    assert reconnect.contacts(contacts(1), 1, 1 + EXPEDITED) == contacts(1)


def test_however_many_are_back_there_are_some_seconds_between_two_tries() -> None:
    reconnect = Reconnect(random.Random(1))
    reconnect.start(0)
    tried = 0

    for step in range(int(100 * EXPEDITED_TRIES)):
        reconnect.expedite(step / 10)
        tried += len(reconnect.contacts(contacts(1), 1, step / 10))

    assert 8 <= tried <= 12


def test_nobody_is_in_a_hurry_before_the_start() -> None:
    reconnect = Reconnect(random.Random(1))

    reconnect.expedite(1)

    assert reconnect.next_timer() is None


@pytest.mark.parametrize(("missing", "pinged"), [(0, 0), (1, 1), (MAX_PINGS + 1, MAX_PINGS)])
def test_after_a_return_a_few_of_the_missing_are_pinged(missing: int, pinged: int) -> None:
    reconnect = Reconnect(random.Random(1))
    reconnect.start(0)

    reconnect.expedite(1)

    early = reconnect.to_ping(contacts(missing), 1 + PINGS[0] - 0.1)
    rounds = [reconnect.to_ping(contacts(missing), 1 + delay) for delay in PINGS]
    assert early == []
    assert [len(set(found)) for found in rounds] == [pinged] * len(PINGS)
    assert reconnect.to_ping(contacts(missing), 100) == []


def test_it_wants_to_be_woken_to_ping() -> None:
    reconnect = Reconnect(random.Random(1))
    reconnect.start(0)
    reconnect.expedite(1)
    reconnect.contacts(contacts(1), 1, 1 + EXPEDITED)

    assert reconnect.next_timer() == 1 + PINGS[0]


def test_the_last_of_many_returns_decides_when_to_ping() -> None:
    reconnect = Reconnect(random.Random(1))
    reconnect.start(0)
    for now in range(100):
        reconnect.expedite(now)

    assert reconnect.to_ping(contacts(1), 99 + PINGS[0] - 0.1) == []
    assert reconnect.to_ping(contacts(1), 99 + PINGS[0]) == contacts(1)
