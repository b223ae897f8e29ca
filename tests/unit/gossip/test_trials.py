"""A crowd is asked: everybody in a pass, newcomers in between, and each a few times only."""

from collections import Counter
from collections.abc import Iterable, Sequence

import pytest

from tests.unit.gossip.harness import (
    LOCAL,
    PORT,
    STRANGER,
    VERSIONS,
    Harness,
    address,
    alive,
    others,
    subjects,
)
from wesher.gossip import Ack, Alive, Dead, NeverAnswered, Ping, Record
from wesher.gossip.messages import pack_ip
from wesher.gossip.probe import PASS, PER_ROUND, ROUND, TRIES, Trials
from wesher.gossip.settings import Timer

LIMIT = 50
HERE = address("10.0.0.2")
TRIED = 7.5  # seconds in which all of some hundreds are asked, and have had their time to answer


def crowd(number: int, letter: str = "c") -> list[Alive]:
    """Alive messages of so many inventions, each at an address of its own."""
    net = ord(letter)
    return [
        alive(f"{letter}{index}", ip=f"10.{net}.{index // 250}.{index % 250 + 1}")
        for index in range(number)
    ]


def table(number: int, letter: str = "d") -> list[Record]:
    """Records of so many inventions."""
    return [Record(one.node, one.addr, PORT, b"", 1, 0, VERSIONS) for one in crowd(number, letter)]


def met(messages: Iterable[Alive], *, seed: int = 0) -> Harness:
    """Return a participant that has heard of these, one after the other."""
    return Harness(*messages, max_unproven=LIMIT, seed=seed)


def trials(harness: Harness) -> Trials:
    return harness.gossip._trials


def asked(harness: Harness, until: float) -> list[str]:
    """Return who is pinged until then, in that order; the unproven of a crowd have no probes."""
    names = []
    while (at := harness.gossip.next_timer()) is not None and at <= until:
        harness.step()
        for _, messages in harness.said():
            names += [one.node for one in messages if isinstance(one, Ping)]
    harness.now = until
    return names


def answer_all(harness: Harness, until: float) -> None:
    """Let everybody who is asked answer from its address."""
    while harness.now < until:
        harness.run(harness.now + ROUND)
        for to, messages in harness.said():
            for one in messages:
                if isinstance(one, Ping):
                    harness.hears(Ack(one.sequence), source=to)


def test_a_pass_asks_everybody_once_whether_news_or_a_table_has_told_of_it() -> None:
    harness = met(crowd(100))
    harness.exchanges(*table(100))

    counts = Counter(asked(harness, PASS - ROUND))

    assert set(counts) >= {one.node for one in (*crowd(100), *crowd(100, "d"))}
    assert max(counts.values()) == 1


def test_a_round_asks_so_many() -> None:
    harness = met(crowd(500))
    harness.run(ROUND / 2)
    harness.packets()

    assert len(asked(harness, ROUND * 1.5)) == PER_ROUND


def test_one_of_whom_there_is_news_is_asked_in_the_next_round() -> None:
    harness = met(crowd(500))
    harness.hears(alive("newcomer", ip="10.0.0.9"))

    assert asked(harness, ROUND * 1.5).index("newcomer") <= PER_ROUND


def test_ones_that_a_table_tells_of_are_asked_in_any_order() -> None:
    """Or a whole cluster would ask the same ones at once."""
    orders = []
    for seed in range(2):
        harness = met(crowd(200), seed=seed)
        harness.exchanges(*table(20))
        first = asked(harness, ROUND * 2.5)
        orders.append([name for name in first if name.startswith("d")])

    assert all(len(order) < 20 for order in orders)
    assert orders[0] != orders[1]


def test_those_who_were_there_before_the_crowd_are_asked_in_any_order() -> None:
    first, second = (asked(met(crowd(LIMIT + 1), seed=seed), ROUND / 2) for seed in range(2))

    assert set(first) != set(second)


def test_whom_our_owner_relies_on_is_asked_first() -> None:
    harness = met(crowd(LIMIT))
    harness.gossip.vouch_for({"c7", "c13"})

    harness.hears(alive())

    assert set(asked(harness, ROUND / 2)[:2]) == {"c7", "c13"}


def test_the_silent_are_asked_again_at_the_next_pass_and_not_before() -> None:
    harness = met(crowd(100))

    first = asked(harness, PASS - ROUND)
    between = asked(harness, PASS + ROUND / 2)
    second = asked(harness, 2 * PASS - ROUND / 2)

    assert set(first) == {one.node for one in crowd(100)}
    assert len(first) == 100
    assert len(between) <= PER_ROUND
    assert Counter(between + second) == Counter(first)


def test_who_has_been_told_of_before_a_crowd_is_gossiped_no_more() -> None:
    harness = met(crowd(LIMIT + 1))

    assert not [name for name in subjects(harness.queued()) if name.startswith("c")]


def test_who_comes_itself_and_makes_the_crowd_is_asked_at_once() -> None:
    harness = met(crowd(LIMIT))
    newcomer = Record("remote", pack_ip(STRANGER.ip), PORT, b"", 1, 0, VERSIONS)

    harness.exchanges(newcomer, *table(20))

    there = address(STRANGER.ip)
    assert [one.node for one in harness.said_to(there) if isinstance(one, Ping)] == ["remote"]


def test_who_is_proven_is_not_asked_when_it_comes() -> None:
    harness = met(others(1))
    there = harness.member("m0").address
    while "m0" not in harness.gossip.members.proofs.proven:
        harness.step()
        for one in harness.said_to(there):
            if isinstance(one, Ping):
                harness.hears(Ack(one.sequence), source=there)
    for invention in crowd(200):
        harness.hears(invention)
    harness.forget()

    harness.hears(Ping(1, LOCAL, pack_ip(there.ip), PORT, "m0"), source=there)

    assert [one for one in harness.said_to(there) if isinstance(one, Ping)] == []


def test_who_comes_where_there_is_no_crowd_is_not_asked() -> None:
    harness = met([alive()])

    harness.hears(Ping(1, LOCAL, pack_ip(HERE.ip), PORT, "remote"), source=HERE)

    assert [one for one in harness.said_to(HERE) if isinstance(one, Ping)] == []


def test_who_has_left_meanwhile_is_not_asked() -> None:
    harness = met(crowd(200))
    for number in range(100):
        harness.hears(Dead(1, f"c{number}", f"c{number}"))

    names = set(asked(harness, PASS - ROUND))

    # The first round was sent with the first of these messages.
    assert len(names & {f"c{number}" for number in range(100)}) <= PER_ROUND
    assert names >= {f"c{number}" for number in range(100 + PER_ROUND, 200)}


def test_a_crowd_that_is_over_is_asked_no_more_and_the_next_one_is() -> None:
    harness = met(crowd(100))
    answer_all(harness, TRIED)
    over = harness.gossip.members.proofs.crowded
    waits = harness.gossip._context.timers.when(Timer.TRIALS)

    for one in crowd(100, "d"):
        harness.hears(one)
    again = set(asked(harness, harness.now + PASS - ROUND))

    assert (over, waits) == (False, None)
    assert again >= {one.node for one in crowd(100, "d")}


def never_answered(harness: Harness) -> Sequence[int]:
    return [event.members for event in harness.events() if isinstance(event, NeverAnswered)]


@pytest.mark.parametrize("earlier", [0, 60])
def test_those_who_never_answer_are_counted_for_each_crowd(earlier: int) -> None:
    harness = met(crowd(earlier, "e"))
    harness.run(TRIES * PASS + TRIED)
    told = never_answered(harness)
    for number in range(earlier):
        harness.gossip.members.evict(f"e{number}")
    harness.run(harness.now + 2 * ROUND)
    for one in crowd(60):
        harness.hears(one)
    began = harness.now
    harness.run(began + TRIES * PASS + TRIED)

    assert told == list(range(1, earlier + 1))
    assert never_answered(harness) == list(range(1, 61))


def test_no_tries_are_remembered_of_those_who_are_gone() -> None:
    harness = met(crowd(100))
    harness.run(PASS / 2)
    for number in range(40):
        harness.gossip.members.evict(f"c{number}")

    harness.run(PASS + ROUND)

    assert set(trials(harness)._tries) == {f"c{number}" for number in range(40, 100)}
