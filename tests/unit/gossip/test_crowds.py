"""More members than there can be: who gives way, who is asked, and who is relied on before it."""

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
    record,
)
from wesher.gossip import (
    Ack,
    Address,
    Alive,
    Dead,
    DropReason,
    ErrorReply,
    MemberEvicted,
    MemberJoined,
    MemberProven,
    NeverAnswered,
    PacketDropped,
    Ping,
    PushPull,
    Record,
    Suspect,
    TableFull,
)
from wesher.gossip.members import MAX_AT_ONE_ADDRESS
from wesher.gossip.probe import PER_ROUND, ROUND, TRIES

HERE = address("10.0.0.2")


def crowd(number: int, *, ip: str | None = None) -> list[Alive]:
    """Alive messages of so many inventions, each at an address of its own unless `ip` is given."""
    return [
        alive(f"c{index}", ip=ip or f"10.7.{index // 250}.{index % 250 + 1}")
        for index in range(number)
    ]


def pings(harness: Harness) -> dict[str, tuple[Address, Ping]]:
    """The pings that were sent, by the name that they are for."""
    return {
        message.node: (to, message)
        for to, messages in harness.said()
        for message in messages
        if isinstance(message, Ping)
    }


def answer(harness: Harness, names: set[str], *, source: Address | None = None) -> None:
    """Let the members of these names answer what was asked now and within the next rounds."""
    for _ in range(20):
        asked = pings(harness)
        for name in names & asked.keys():
            to, ping = asked[name]
            harness.hears(Ack(ping.sequence), source=source or to)
        harness.run(harness.now + ROUND)


def prove(harness: Harness, *names: str) -> None:
    """Prove members by ordinary probes."""
    while not all(name in harness.gossip.members.proofs.proven for name in names):
        harness.step()
        for name, (to, ping) in pings(harness).items():
            if name in names:
                harness.hears(Ack(ping.sequence), source=to)


def waits(harness: Harness, name: str = "remote") -> bool:
    return harness.gossip.members.proofs.waits(name)


def test_in_a_full_table_who_never_answered_gives_way_to_a_newcomer() -> None:
    harness = Harness(*others(2), max_members=3)
    prove(harness, "m0")
    harness.forget()

    harness.hears(alive())

    assert harness.state() == "ALIVE"
    assert harness.state("m0") == "ALIVE"
    assert harness.state("m1") == "unknown"
    full, evicted, joined = harness.events()
    assert full == TableFull(3, 1)
    assert isinstance(evicted, MemberEvicted)
    assert (type(evicted), evicted.member.name) == (MemberEvicted, "m1")
    assert joined == MemberJoined(harness.member())


def test_in_a_table_full_of_the_proven_a_newcomer_is_turned_away() -> None:
    harness = Harness(*others(2), max_members=3)
    prove(harness, "m0", "m1")
    harness.forget()

    harness.hears(alive())
    harness.hears(alive("m1", 2, ip="10.0.1.2", meta=b"new"))

    assert harness.state() == "unknown"
    assert harness.events()[:2] == [
        TableFull(3, 0),
        PacketDropped(STRANGER, DropReason.LIMIT, "too many members"),
    ]
    assert harness.member("m1").meta == b"new"


def test_a_newcomer_that_is_turned_away_is_told_so() -> None:
    harness = Harness(*others(2), max_members=3)
    prove(harness, "m0", "m1")

    newcomer = Record("remote", bytes([192, 0, 2, 7]), PORT, b"meta", 1, 0, VERSIONS)

    assert harness.asked(PushPull(True, (newcomer,))) == ErrorReply("the table of members is full")
    assert isinstance(harness.asked(PushPull(False, ())), PushPull)


def test_no_flood_of_inventions_throws_out_who_is_proven() -> None:
    harness = Harness(*others(5), max_members=20)
    prove(harness, *(f"m{index}" for index in range(5)))

    for invention in crowd(500):
        harness.hears(invention)

    assert len(harness.gossip.members) == 20
    assert all(harness.state(f"m{index}") == "ALIVE" for index in range(5))
    assert len(harness.gossip.members.proofs.unproven) == 14


def test_of_the_unproven_those_that_are_dead_give_way_first() -> None:
    harness = Harness(*crowd(6), max_members=7)
    harness.hears(*(Dead(1, f"c{index}", "c5") for index in range(5)))

    harness.hears(alive())

    assert harness.state("c5") == "ALIVE"


def test_whom_our_owner_relies_on_gives_way_last() -> None:
    harness = Harness(*crowd(6), max_members=7)
    harness.gossip.members.proofs.vouched = {"c0", "c1", "c2", "c3", "c4"}

    harness.hears(alive())

    assert harness.state("c5") == "unknown"


def test_of_who_gives_way_nothing_more_is_told() -> None:
    harness = Harness(*crowd(2), max_members=3)

    harness.hears(alive())

    left = next(name for name in ("c0", "c1") if harness.state(name) == "unknown")
    assert not harness.news(left)


def test_in_a_crowd_nobody_is_relied_on_before_it_answers() -> None:
    harness = Harness(max_unproven=50)
    harness.hears(alive())
    assert not waits(harness)

    for invention in crowd(50):
        harness.hears(invention)
    assert waits(harness)
    harness.forget()
    answer(harness, {"remote"})

    assert not waits(harness)
    assert waits(harness, "c0")
    assert MemberProven(harness.member()) in harness.events()


def test_whom_our_owner_relies_on_does_not_wait() -> None:
    harness = Harness(alive(), max_unproven=5)
    harness.gossip.members.proofs.vouched = {"remote"}

    for invention in crowd(20):
        harness.hears(invention)

    assert not waits(harness)
    assert waits(harness, "c0")


def test_an_answer_from_elsewhere_proves_nothing() -> None:
    """Who is asked itself sees how we number our pings."""
    harness = Harness(alive(), *crowd(10), max_unproven=5)

    answer(harness, {"remote"}, source=address("10.6.6.6"))

    assert waits(harness)


def test_one_address_proves_a_few_members_only() -> None:
    harness = Harness(*crowd(100, ip="10.6.6.6"), max_unproven=5)

    answer(harness, {f"c{index}" for index in range(100)})

    assert len(harness.gossip.members.proofs.proven) == MAX_AT_ONE_ADDRESS


def test_a_member_at_another_address_has_to_be_proven_there() -> None:
    harness = Harness(alive())
    prove(harness, "remote")
    harness.hears(Dead(1, "remote", "remote"))

    harness.hears(alive(incarnation=2, ip="10.0.0.3"))

    assert "remote" in harness.gossip.members.proofs.unproven


def test_who_brings_its_table_is_asked_at_once() -> None:
    harness = Harness(*crowd(500), max_unproven=50)
    source = STRANGER.ip

    newcomer = Record("remote", bytes(map(int, source.split("."))), PORT, b"", 1, 0, VERSIONS)
    harness.exchanges(newcomer)

    assert pings(harness)["remote"][0] == address(source)


def test_who_pings_us_from_its_address_is_asked_at_once() -> None:
    harness = Harness(alive(), *crowd(500), max_unproven=50)
    harness.forget()

    harness.hears(Ping(1, LOCAL, bytes([10, 0, 0, 2]), PORT, "remote"), source=HERE)
    assert "remote" in pings(harness)

    harness.hears(Ping(1, LOCAL, bytes([10, 0, 0, 2]), PORT, "c3"), source=HERE)
    assert not pings(harness)


def test_who_stays_silent_is_accused_to_itself_and_to_nobody_else() -> None:
    harness = Harness(alive(), *others(3), max_unproven=50)
    prove(harness, "m0", "m1", "m2")
    for invention in crowd(60):
        harness.hears(invention)
    harness.no_longer_queues()
    harness.forget()

    asked = accused = 0
    for _ in range(600):
        harness.run(harness.now + ROUND)
        for to, messages in harness.said():
            asked += to == HERE and any(isinstance(one, Ping) for one in messages)
            if any(isinstance(one, Suspect) and one.node == "remote" for one in messages):
                assert to == HERE
                accused += 1
            for one in messages:
                if isinstance(one, Ping) and one.node.startswith("m"):
                    harness.hears(Ack(one.sequence), source=to)

    assert (asked, accused) == (TRIES, 1)
    assert harness.state() == "SUSPECT"
    assert harness.state("m0") == "ALIVE"
    assert NeverAnswered(61) in harness.events()


def test_a_round_of_trials_has_so_many_pings() -> None:
    harness = Harness(*crowd(500), max_unproven=50)
    harness.forget()

    harness.run(harness.now + ROUND * 5)

    assert len(pings(harness)) in range(PER_ROUND * 5, PER_ROUND * 6 + 1)


def test_in_a_crowd_the_proven_alone_have_turns() -> None:
    """Or a crash would be noticed when all inventions have had their turn."""
    harness = Harness(*others(2), max_unproven=50)
    prove(harness, "m0", "m1")
    for invention in crowd(500):
        harness.hears(invention)

    members = harness.gossip.members
    turns = {member.name for _ in range(10) if (member := members.next_to_probe(harness.now, 60))}

    assert turns == {"m0", "m1"}


@pytest.mark.parametrize("count", [1, 2, 4])
def test_in_a_crowd_half_of_those_chosen_are_proven(count: int) -> None:
    harness = Harness(*others(2), max_unproven=50)
    prove(harness, "m0", "m1")
    for invention in crowd(500):
        harness.hears(invention)

    chosen = harness.gossip.members.choose(count, lambda member: member.live)

    assert len(chosen) == count
    assert sum(member.name in {"m0", "m1"} for member in chosen) >= (count + 1) // 2


def test_a_crowd_of_honest_members_is_none_for_long() -> None:
    harness = Harness(*crowd(200), max_unproven=50)

    answer(harness, {f"c{index}" for index in range(200)})

    assert not harness.gossip.members.proofs.crowded
    assert not any(waits(harness, f"c{index}") for index in range(200))


def test_one_table_that_fills_ours_is_told_in_spite_of_all_its_news() -> None:
    harness = Harness(max_members=2000)

    harness.exchanges(*(record(f"ghost{number}") for number in range(3000)))

    told = [event for event in harness.events() if isinstance(event, TableFull)]
    assert told[-1].members == 2000
