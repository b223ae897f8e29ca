"""The queue of news (spec/memberlist.md, 4.6)."""

import pytest

from wesher.gossip import Suspect
from wesher.gossip.codec import encode
from wesher.gossip.outbox import EAGER_LIMIT, Broadcasts


def queue_of(*messages: bytes, eager: bool = False) -> Broadcasts:
    broadcasts = Broadcasts("local", eager=eager)
    for message in messages:
        broadcasts.queue(message.decode(), message)
    return broadcasts


@pytest.mark.case(39)
def test_fewest_transmissions_first_then_the_longest_then_the_newest() -> None:
    broadcasts = queue_of(b"old", b"longest")
    broadcasts.take(100, limit=9)
    for message in (b"1st", b"2nd", b"longer"):
        broadcasts.queue(message.decode(), message)

    assert broadcasts.take(100, limit=9) == [b"longer", b"2nd", b"1st", b"longest", b"old"]


@pytest.mark.case(39)
def test_only_what_fits_is_taken_two_bytes_each_on_top() -> None:
    broadcasts = queue_of(b"aaaaaaaa", b"bbbb", b"cc")

    assert broadcasts.take(9, limit=9) == [b"bbbb"]
    assert broadcasts.take(10, limit=9) == [b"aaaaaaaa"]
    assert broadcasts.take(10, limit=9) == [b"cc", b"bbbb"]
    assert broadcasts.take(3, limit=9) == []
    assert broadcasts.take(0, limit=9) == []
    assert broadcasts.take(-5, limit=9) == []


@pytest.mark.case(39)
def test_what_does_not_fit_leaves_room_for_others_of_the_same_and_of_later_tiers() -> None:
    broadcasts = queue_of(b"told")
    broadcasts.take(100, limit=9)
    for message in (b"much too long", b"fits"):
        broadcasts.queue(message.decode(), message)

    assert broadcasts.take(12, limit=9) == [b"fits", b"told"]


@pytest.mark.case(39)
def test_news_about_the_same_subject_replaces_what_waits() -> None:
    broadcasts = queue_of(b"x")
    broadcasts.queue("subject", b"old")
    broadcasts.queue("subject", b"new")

    assert len(broadcasts) == 2
    assert broadcasts.take(100, limit=9) == [b"new", b"x"]


@pytest.mark.case(39)
@pytest.mark.parametrize(("limit", "times"), [(0, 1), (1, 1), (4, 4)])
def test_a_broadcast_is_sent_as_often_as_the_limit_says(limit: int, times: int) -> None:
    broadcasts = queue_of(b"news")

    sent = 0
    while broadcasts.take(100, limit):
        sent += 1

    assert sent == times
    assert len(broadcasts) == 0


def test_a_replaced_broadcast_starts_counting_anew() -> None:
    broadcasts = queue_of(b"news")
    broadcasts.take(100, limit=2)

    broadcasts.queue("news", b"newer")

    assert broadcasts.take(100, limit=2) == [b"newer"]
    assert broadcasts.take(100, limit=2) == [b"newer"]


def test_each_has_two_eager_rounds() -> None:
    broadcasts = queue_of(b"a" * 40, eager=True)

    rounds = [broadcasts.take_eagerly(100) for _ in range(3)]

    assert rounds == [[b"a" * 40], [b"a" * 40], []]
    assert not broadcasts.eager_waiting


def test_eager_rounds_do_not_count_as_transmissions() -> None:
    broadcasts = queue_of(b"a" * 40, eager=True)
    broadcasts.take_eagerly(100)

    assert broadcasts.take(100, limit=1) == [b"a" * 40]


def test_transmissions_do_not_count_as_eager_rounds() -> None:
    broadcasts = queue_of(b"a" * 40, eager=True)
    broadcasts.take(100, limit=1)

    assert broadcasts.take_eagerly(100) == [b"a" * 40]


def test_first_eager_rounds_come_before_second_ones_and_new_ones_before_old_ones() -> None:
    a, b, c = (letter * 40 for letter in (b"a", b"b", b"c"))
    broadcasts = queue_of(a, b, c, eager=True)

    rounds = [broadcasts.take_eagerly(42) for _ in range(6)]

    assert rounds == [[c], [b], [a], [a], [b], [c]]


@pytest.mark.parametrize(("space", "taken"), [(83, [b"b" * 40]), (84, [b"a" * 40, b"b" * 40])])
def test_first_and_second_rounds_together_fit_two_bytes_each_on_top(
    space: int, taken: list[bytes]
) -> None:
    broadcasts = queue_of(b"a" * 40, eager=True)
    broadcasts.take_eagerly(100)
    broadcasts.queue("b", b"b" * 40)

    assert broadcasts.take_eagerly(space) == taken


@pytest.mark.parametrize(("space", "taken"), [(41, []), (42, [b"a" * 40])])
def test_an_eager_round_takes_what_fits_two_bytes_on_top(space: int, taken: list[bytes]) -> None:
    broadcasts = queue_of(b"a" * 40, eager=True)

    assert broadcasts.take_eagerly(space) == taken


def test_news_that_was_replaced_counts_as_new() -> None:
    broadcasts = Broadcasts("local", eager=True)
    for subject, letter in (("x", b"a"), ("y", b"b"), ("x", b"c")):
        broadcasts.queue(subject, letter * 40)

    assert broadcasts.take_eagerly(42) == [b"c" * 40]


@pytest.mark.parametrize("rounds", [0, 1])
def test_what_replaces_news_that_is_told_at_once_is_told_at_once_itself(rounds: int) -> None:
    broadcasts = queue_of(b"x", eager=True)
    for _ in range(rounds):
        broadcasts.take_eagerly(100)

    broadcasts.queue("x", b"n" * 40, at_once=False)

    assert broadcasts.take_eagerly(100) == [b"n" * 40]


def test_what_does_not_fit_in_an_eager_round_leaves_room_for_others() -> None:
    broadcasts = queue_of(b"a" * 40, b"b" * 80, eager=True)

    assert broadcasts.take_eagerly(60) == [b"a" * 40]


def test_replaced_news_has_no_eager_rounds_left() -> None:
    broadcasts = queue_of(b"x", eager=True)
    broadcasts.queue("x", b"n" * 40)
    broadcasts.take_eagerly(100)
    broadcasts.queue("x", b"m" * 40)

    assert [broadcasts.take_eagerly(100) for _ in range(3)] == [[b"m" * 40], [b"m" * 40], []]


def numbered(count: int) -> list[bytes]:
    return [b"%040d" % number for number in range(count)]


@pytest.mark.parametrize("second_round", [False, True])
def test_only_the_newest_news_is_eager_and_our_own(second_round: bool) -> None:
    broadcasts = queue_of(eager=True)
    broadcasts.queue("local", b"own" * 20)
    if second_round:
        broadcasts.take_eagerly(100)
    for message in numbered(EAGER_LIMIT + 5):
        broadcasts.queue(message.decode(), message)

    taken = broadcasts.take_eagerly(100_000)

    assert len(taken) == EAGER_LIMIT
    assert set(taken) == {b"own" * 20, *numbered(EAGER_LIMIT + 5)[6:]}
    assert len(broadcasts) == EAGER_LIMIT + 6


def test_news_told_once_gives_way_to_fresh_news() -> None:
    first, *others = numbered(EAGER_LIMIT + 1)
    broadcasts = queue_of(first, eager=True)
    broadcasts.take_eagerly(100)
    for message in others:
        broadcasts.queue(message.decode(), message)

    assert set(broadcasts.take_eagerly(100_000)) == set(others)


def test_the_smallest_news_fits_exactly() -> None:
    broadcasts = Broadcasts("local", eager=True)
    smallest = encode(Suspect(1, "a", ""))
    broadcasts.queue("a", smallest)

    assert broadcasts.take_eagerly(len(smallest) + 1) == []
    assert broadcasts.take_eagerly(len(smallest) + 2) == [smallest]


def test_after_sleep_only_news_about_ourselves_is_left_of_any_kind() -> None:
    broadcasts = Broadcasts("local", eager=True)
    for subject in ("web", "local"):
        broadcasts.queue(subject, subject.encode() * 10)
        broadcasts.take_eagerly(1000)
    for subject in ("db", "local"):
        broadcasts.queue(subject, subject.encode() * 10)

    broadcasts.drop_others()

    assert broadcasts.take(1000, 9) == [b"local" * 10]
    assert [broadcasts.take_eagerly(1000) for _ in range(3)] == [[b"local" * 10]] * 2 + [[]]
