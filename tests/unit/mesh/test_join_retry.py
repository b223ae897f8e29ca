"""Whom to contact while nobody else is known, and how often."""

import random
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import pytest

from wesher.base.addresses import Address
from wesher.mesh.base.seeds import Contact, Seed, parse_seed
from wesher.mesh.discovery.retries import JoinRetry


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("host", "host", 7946),
        ("host:1", "host", 1),
        (" host:65535 ", "host", 65535),
        ("db.example.org.:7000", "db.example.org.", 7000),
        ("localhost", "localhost", 7946),
        ("10.0.0.1", "10.0.0.1", 7946),
        ("10.0.0.1:80", "10.0.0.1", 80),
        ("::1", "::1", 7946),
        ("fe80::1%eth0", "fe80::1%eth0", 7946),
        ("[::1]", "::1", 7946),
        ("[::1]:7000", "::1", 7000),
    ],
)
def test_a_seed_is_read_from_any_usual_form(text: str, host: str, port: int) -> None:
    assert parse_seed(text, 7946) == Seed(host, port)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "lacks a host"),
        (":7946", "lacks a host"),
        ("host:", "a port is a number"),
        ("host:0", "a port is a number"),
        ("host:65536", "a port is a number"),
        ("host:" + "9" * 5000, "a port is a number"),
        ("host:http", "a port is a number"),
        ("host:٣", "a port is a number"),
        ("[::1", "is not \\[IPV6\\]"),
        ("[::1]7946", "is not \\[IPV6\\]"),
        ("[host]:1", "only IPv6 addresses"),
        ("[::zz]:1", "neither an IP address nor a host name"),
        ("a b", "neither an IP address nor a host name"),
        ("1:2:3", "neither an IP address nor a host name"),
        ("http://host", "a port is a number|neither"),
    ],
)
def test_a_malformed_seed_is_refused_saying_why(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_seed(text, 7946)


@pytest.mark.parametrize(
    ("seed", "text"), [(Seed("host", 1), "host:1"), (Seed("::1", 2), "[::1]:2")]
)
def test_a_seed_prints_as_it_is_written(seed: Seed, text: str) -> None:
    assert str(seed) == text
    assert parse_seed(text, 7946) == seed


def join_retry(
    seeds: Iterable[str] = (), saved: Iterable[Address] = (), number: int = 1
) -> JoinRetry:
    return JoinRetry([Seed(host, 7946) for host in seeds], saved, random.Random(number))


def rounds(searcher: JoinRetry, until: float) -> list[tuple[float, list[Contact]]]:
    """Run the search from 0 on; return (when, contacts) of each round."""
    result = []
    while (now := searcher.next_timer()) is not None and now <= until:
        result.append((now, searcher.contacts(now)))
    return result


def test_nobody_is_contacted_before_we_are_alone() -> None:
    searcher = join_retry(["a"])

    assert not searcher.searching
    assert searcher.next_timer() is None
    assert searcher.contacts(5.0) == []


def test_the_first_round_comes_at_once_and_none_before_its_time() -> None:
    searcher = join_retry(["a"])
    searcher.alone(5.0)

    assert searcher.contacts(4.9) == []
    assert searcher.contacts(5.0) == [Seed("a", 7946)]
    assert searcher.contacts(5.0) == []


@pytest.mark.parametrize("number", range(5))
def test_rounds_follow_each_other_within_two_seconds_for_ever(number: int) -> None:
    searcher = join_retry(["a"], number=number)
    searcher.alone(0.0)

    times = [when for when, _ in rounds(searcher, 3600)]

    waits = [after - before for before, after in pairwise(times)]
    bounds = [(0.5, 1)] + [(1, 2)] * len(waits)
    assert all(low <= wait <= high for wait, (low, high) in zip(waits, bounds, strict=False))
    assert len(waits) > 3500 / 2


def test_different_nodes_wait_differently() -> None:
    first, second = join_retry(["a"], number=1), join_retry(["a"], number=2)
    for searcher in first, second:
        searcher.alone(0.0)
        searcher.contacts(0.0)

    assert first.next_timer() != second.next_timer()


def test_an_answer_ends_the_search_and_being_alone_again_starts_it_quickly() -> None:
    searcher = join_retry(["a"])
    searcher.alone(0.0)
    rounds(searcher, 300)

    searcher.answered()
    quiet = searcher.next_timer()
    searcher.alone(500.0)
    searcher.contacts(500.0)

    assert quiet is None
    again = searcher.next_timer()
    assert again is not None
    assert again <= 501.0


def test_hearing_again_that_we_are_alone_does_not_restart_the_search() -> None:
    searcher = join_retry(["a"])
    searcher.alone(0.0)
    rounds(searcher, 100)
    due = searcher.next_timer()

    assert due is not None
    searcher.alone(due - 1)

    assert searcher.next_timer() == due


def test_everybody_gets_a_turn_and_no_round_is_large() -> None:
    seeds = [f"seed{number}" for number in range(20)]
    saved = [Address(f"10.0.0.{number}", 7946) for number in range(200)]
    searcher = join_retry(seeds, saved)
    searcher.alone(0.0)

    contacted = [contacts for _, contacts in rounds(searcher, 3600)]

    counts = Counter(contact for contacts in contacted for contact in contacts)
    assert max(len(contacts) for contacts in contacted) == 10
    assert len(counts) == 220
    for is_seed in True, False:
        turns = [count for contact, count in counts.items() if isinstance(contact, Seed) == is_seed]
        assert max(turns) - min(turns) <= 1


def test_nodes_ask_remembered_members_in_different_orders() -> None:
    saved = [Address(f"10.0.0.{number}", 7946) for number in range(50)]
    first, second = join_retry(saved=saved, number=1), join_retry(saved=saved, number=2)
    for searcher in first, second:
        searcher.alone(0.0)

    assert set(first.contacts(0.0)) != set(second.contacts(0.0))


def test_the_same_address_is_not_contacted_twice_in_a_round() -> None:
    searcher = join_retry(
        ["10.0.0.1", "10.0.0.1"], [Address("10.0.0.1", 7946), Address("10.0.0.2", 7946)] * 2
    )
    searcher.alone(0.0)

    contacts = searcher.contacts(0.0)

    assert contacts == [Seed("10.0.0.1", 7946), Address("10.0.0.2", 7946)]


def test_remembering_anew_forgets_the_others_and_keeps_the_turns() -> None:
    searcher = join_retry(saved=[Address(f"10.0.0.{number}", 7946) for number in range(20)])
    searcher.alone(0.0)
    first = searcher.contacts(0.0)

    searcher.remember([Address(f"10.0.0.{number}", 7946) for number in range(1, 21)])
    second, third = (
        searcher.contacts(at) for _ in range(2) if (at := searcher.next_timer()) is not None
    )

    assert not set(first) & set(second)
    assert {*second, *third} == {Address(f"10.0.0.{number}", 7946) for number in range(1, 21)}


@pytest.mark.parametrize(
    ("seeds", "saved", "anybody"),
    [([], [], False), (["a"], [], True), ([], [Address("10.0.0.1", 7946)], True)],
)
def test_it_knows_whether_there_is_anybody_to_contact(
    seeds: list[str], saved: list[Address], anybody: bool
) -> None:
    assert join_retry(seeds, saved).has_contacts is anybody
