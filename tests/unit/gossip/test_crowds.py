"""More members than there can be: who gives way, who is asked, and who is relied on before it."""

import pytest

from tests.unit.gossip.bench import (
    LOCAL,
    PORT,
    STRANGER,
    VERSIONS,
    Bench,
    address,
    alive,
    others,
    record,
)
from wesher.gossip import (
    Ack,
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
from wesher.gossip.proofs import MAX_AT_ONE_ADDRESS
from wesher.gossip.trials import PER_ROUND, ROUND, TRIES

HERE = address("10.0.0.2")


def crowd(number, *, ip=None):
    """Alive messages of so many inventions, each at an address of its own unless `ip` is given."""
    return [
        alive(f"c{index}", ip=ip or f"10.7.{index // 250}.{index % 250 + 1}")
        for index in range(number)
    ]


def pings(bench):
    """The pings that were sent, by the name that they are for."""
    return {
        message.node: (to, message)
        for to, messages in bench.said()
        for message in messages
        if isinstance(message, Ping)
    }


def answer(bench, names, *, source=None):
    """Let the members of these names answer what was asked now and within the next rounds."""
    for _ in range(20):
        asked = pings(bench)
        for name in names & asked.keys():
            to, ping = asked[name]
            bench.hears(Ack(ping.sequence), source=source or to)
        bench.run(bench.now + ROUND)


def prove(bench, *names):
    """Prove members by ordinary probes."""
    while not all(name in bench.gossip.members.proofs.proven for name in names):
        bench.step()
        for name, (to, ping) in pings(bench).items():
            if name in names:
                bench.hears(Ack(ping.sequence), source=to)


def waits(bench, name="remote"):
    return bench.gossip.members.proofs.waits(name)


def test_in_a_full_table_who_never_answered_gives_way_to_a_newcomer():
    bench = Bench(*others(2), max_members=3)
    prove(bench, "m0")
    bench.forget()

    bench.hears(alive())

    assert bench.state() == "ALIVE"
    assert bench.state("m0") == "ALIVE"
    assert bench.state("m1") == "unknown"
    full, evicted, joined = bench.events()
    assert full == TableFull(3, 1)
    assert (type(evicted), evicted.member.name) == (MemberEvicted, "m1")
    assert joined == MemberJoined(bench.member())


def test_in_a_table_full_of_the_proven_a_newcomer_is_turned_away():
    bench = Bench(*others(2), max_members=3)
    prove(bench, "m0", "m1")
    bench.forget()

    bench.hears(alive())
    bench.hears(alive("m1", 2, ip="10.0.1.2", meta=b"new"))

    assert bench.state() == "unknown"
    assert bench.events()[:2] == [
        TableFull(3, 0),
        PacketDropped(STRANGER, DropReason.LIMIT, "too many members"),
    ]
    assert bench.member("m1").meta == b"new"


def test_a_newcomer_that_is_turned_away_is_told_so():
    bench = Bench(*others(2), max_members=3)
    prove(bench, "m0", "m1")

    newcomer = Record("remote", bytes([192, 0, 2, 7]), PORT, b"meta", 1, 0, VERSIONS)

    assert bench.asked(PushPull(True, (newcomer,))) == ErrorReply("the table of members is full")
    assert isinstance(bench.asked(PushPull(False, ())), PushPull)


def test_no_flood_of_inventions_throws_out_who_is_proven():
    bench = Bench(*others(5), max_members=20)
    prove(bench, *(f"m{index}" for index in range(5)))

    for invention in crowd(500):
        bench.hears(invention)

    assert len(bench.gossip.members) == 20
    assert all(bench.state(f"m{index}") == "ALIVE" for index in range(5))
    assert len(bench.gossip.members.proofs.unproven) == 14


def test_of_the_unproven_those_that_are_dead_give_way_first():
    bench = Bench(*crowd(6), max_members=7)
    bench.hears(*(Dead(1, f"c{index}", "c5") for index in range(5)))

    bench.hears(alive())

    assert bench.state("c5") == "ALIVE"


def test_whom_our_owner_relies_on_gives_way_last():
    bench = Bench(*crowd(6), max_members=7)
    bench.gossip.members.proofs.vouched = {"c0", "c1", "c2", "c3", "c4"}

    bench.hears(alive())

    assert bench.state("c5") == "unknown"


def test_of_who_gives_way_nothing_more_is_told():
    bench = Bench(*crowd(2), max_members=3)

    bench.hears(alive())

    left = next(name for name in ("c0", "c1") if bench.state(name) == "unknown")
    assert not bench.news(left)


def test_in_a_crowd_nobody_is_relied_on_before_it_answers():
    bench = Bench(max_unproven=50)
    bench.hears(alive())
    assert not waits(bench)

    for invention in crowd(50):
        bench.hears(invention)
    assert waits(bench)
    bench.forget()
    answer(bench, {"remote"})

    assert not waits(bench)
    assert waits(bench, "c0")
    assert MemberProven(bench.member()) in bench.events()


def test_whom_our_owner_relies_on_does_not_wait():
    bench = Bench(alive(), max_unproven=5)
    bench.gossip.members.proofs.vouched = {"remote"}

    for invention in crowd(20):
        bench.hears(invention)

    assert not waits(bench)
    assert waits(bench, "c0")


def test_an_answer_from_elsewhere_proves_nothing():
    """Who is asked itself sees how we number our pings."""
    bench = Bench(alive(), *crowd(10), max_unproven=5)

    answer(bench, {"remote"}, source=address("10.6.6.6"))

    assert waits(bench)


def test_one_address_proves_a_few_members_only():
    bench = Bench(*crowd(100, ip="10.6.6.6"), max_unproven=5)

    answer(bench, {f"c{index}" for index in range(100)})

    assert len(bench.gossip.members.proofs.proven) == MAX_AT_ONE_ADDRESS


def test_a_member_at_another_address_has_to_be_proven_there():
    bench = Bench(alive())
    prove(bench, "remote")
    bench.hears(Dead(1, "remote", "remote"))

    bench.hears(alive(incarnation=2, ip="10.0.0.3"))

    assert "remote" in bench.gossip.members.proofs.unproven


def test_who_brings_its_table_is_asked_at_once():
    bench = Bench(*crowd(500), max_unproven=50)
    source = STRANGER.ip

    newcomer = Record("remote", bytes(map(int, source.split("."))), PORT, b"", 1, 0, VERSIONS)
    bench.exchanges(newcomer)

    assert pings(bench)["remote"][0] == address(source)


def test_who_pings_us_from_its_address_is_asked_at_once():
    bench = Bench(alive(), *crowd(500), max_unproven=50)
    bench.forget()

    bench.hears(Ping(1, LOCAL, bytes([10, 0, 0, 2]), PORT, "remote"), source=HERE)
    assert "remote" in pings(bench)

    bench.hears(Ping(1, LOCAL, bytes([10, 0, 0, 2]), PORT, "c3"), source=HERE)
    assert not pings(bench)


def test_who_stays_silent_is_accused_to_itself_and_to_nobody_else():
    bench = Bench(alive(), *others(3), max_unproven=50)
    prove(bench, "m0", "m1", "m2")
    for invention in crowd(60):
        bench.hears(invention)
    bench.no_longer_queues()
    bench.forget()

    asked = accused = 0
    for _ in range(600):
        bench.run(bench.now + ROUND)
        for to, messages in bench.said():
            asked += to == HERE and any(isinstance(one, Ping) for one in messages)
            if any(isinstance(one, Suspect) and one.node == "remote" for one in messages):
                assert to == HERE
                accused += 1
            for one in messages:
                if isinstance(one, Ping) and one.node.startswith("m"):
                    bench.hears(Ack(one.sequence), source=to)

    assert (asked, accused) == (TRIES, 1)
    assert bench.state() == "SUSPECT"
    assert bench.state("m0") == "ALIVE"
    assert NeverAnswered(61) in bench.events()


def test_a_round_of_trials_has_so_many_pings():
    bench = Bench(*crowd(500), max_unproven=50)
    bench.forget()

    bench.run(bench.now + ROUND * 5)

    assert len(pings(bench)) in range(PER_ROUND * 5, PER_ROUND * 6 + 1)


def test_in_a_crowd_the_proven_alone_have_turns():
    """Or a crash would be noticed when all inventions have had their turn."""
    bench = Bench(*others(2), max_unproven=50)
    prove(bench, "m0", "m1")
    for invention in crowd(500):
        bench.hears(invention)

    members = bench.gossip.members
    turns = {members.next_to_probe(bench.now, 60).name for _ in range(10)}

    assert turns == {"m0", "m1"}


@pytest.mark.parametrize("count", [1, 2, 4])
def test_in_a_crowd_half_of_those_chosen_are_proven(count):
    bench = Bench(*others(2), max_unproven=50)
    prove(bench, "m0", "m1")
    for invention in crowd(500):
        bench.hears(invention)

    chosen = bench.gossip.members.choose(count, lambda member: member.live)

    assert len(chosen) == count
    assert sum(member.name in {"m0", "m1"} for member in chosen) >= (count + 1) // 2


def test_a_crowd_of_honest_members_is_none_for_long():
    bench = Bench(*crowd(200), max_unproven=50)

    answer(bench, {f"c{index}" for index in range(200)})

    assert not bench.gossip.members.proofs.crowded
    assert not any(waits(bench, f"c{index}") for index in range(200))


def test_one_table_that_fills_ours_is_told_in_spite_of_all_its_news():
    bench = Bench(max_members=2000)

    bench.exchanges(*(record(f"ghost{number}") for number in range(3000)))

    told = [event for event in bench.events() if isinstance(event, TableFull)]
    assert told[-1].members == 2000
