"""A crowd of members that may not exist: no peers before they answer, and the operator is told."""

from dataclasses import replace

from tests.unit.mesh.node_bench import Bench, metadata, remote, saved, seed
from wesher.gossip import ErrorReply
from wesher.gossip.codec import encode
from wesher.mesh.base.events import MemberEvent, MemberEventKind, Severity
from wesher.mesh.base.settings import Saved

NAME = "invented{}".format


def crowd(first, count):
    """So many members at addresses where nobody is."""
    return [
        remote(
            NAME(number),
            2,
            ip=f"198.18.{number // 250}.{number % 250 + 1}",
            meta=metadata(
                f"10.8.{number // 250}.{number % 250 + 1}", 100 + number % 150, version="1"
            ),
        )
        for number in range(first, first + count)
    ]


def peers(bench):
    """The names of the peers."""
    return {member.name for member in bench.node.status().members if member.endpoint}


def settled(**settings):
    bench = Bench(max_unproven=50, **settings).start()
    bench.pass_time(1)
    return bench


def test_in_a_crowd_who_has_not_answered_is_no_peer_and_nobody_is_told_of_it():
    bench = settled()
    bench.push(*crowd(0, 100))
    bench.push(remote("honest", 9), ip="192.0.2.9")
    bench.pass_time(1)
    assert peers(bench) == set()

    bench.keep_alive(remote("honest", 9), until=8)

    assert peers(bench) == {"honest"}
    assert [one.name for one in bench.push()] == ["local", "honest"]
    assert [(one.what, one.member) for one in bench.take(MemberEvent)] == [
        (MemberEventKind.JOINED, "honest")
    ]
    status = bench.node.status()
    assert [member.name for member in status.members] == ["honest"]
    assert status.waiting == 100


def test_who_was_a_peer_before_the_crowd_came_stays_one():
    bench = settled()
    bench.push(remote("honest", 9))
    bench.pass_time(2)
    bench.push(*crowd(0, 100))
    bench.pass_time(2)

    assert peers(bench) == {"honest"}


def test_who_was_a_peer_before_our_restart_need_not_answer_first():
    known = remote("honest", 9)
    [member] = saved("192.0.2.9").members
    earlier = Saved(members=(replace(member, name=known.name, meta=known.meta),))
    bench = Bench(earlier, max_unproven=50).start()
    bench.pass_time(30)

    bench.push(*crowd(0, 100), known)
    bench.pass_time(2)

    assert known.name in peers(bench)
    assert NAME(1) not in peers(bench)


def test_members_that_never_answer_are_told_of_and_leave_nothing():
    bench = settled()
    bench.push(remote("honest", 9))
    bench.keep_alive(remote("honest", 9), until=8)
    bench.push(*crowd(0, 120))

    bench.keep_alive(remote("honest", 9), until=600)

    told = bench.warnings(Severity.ERROR)
    assert [one.split(":")[0] for one in told] == [
        "100 members were asked three times whether they are there, and never answered"
    ]
    assert {member.name for member in bench.node.members} == {"local", "honest"}
    assert [member.name for member in bench.node.status().members] == ["honest"]
    assert [member.name for member in bench.node.saved().members] == ["honest"]
    assert "crowd" in {one.trouble.name for one in bench.node.account(bench.now).problems}


def test_a_full_table_is_told_of():
    bench = settled(max_members=100)

    bench.push(*crowd(0, 150))

    [told] = bench.warnings(Severity.ERROR)
    assert told.startswith(
        "the table of members is full: 100 are known, 99 of which never answered us: "
    )
    assert "table-full" in {one.trouble.name for one in bench.node.account(bench.now).problems}
    assert len(bench.node.members) == 100


def test_who_is_turned_away_is_told_why():
    bench = Bench(seeds=(seed("192.0.2.9"),)).start()
    [look] = bench.take_streams()
    bench.answer(look, remote("honest", 9))
    [join] = bench.take_streams()
    full = bench.wire.seal_frame(encode(ErrorReply("the table of members is full")), reply=True)

    bench.node.receive_reply(join.id, full, bench.now)
    bench.pass_time(10)

    assert bench.warnings(Severity.ERROR)[0] == (
        "192.0.2.9:7946 turns us away: its table of members is full: "
        "see `wesher doctor` there; trying again until it has a place for us"
    )
    assert "turned-away" in {one.trouble.name for one in bench.node.account(bench.now).problems}
    assert not bench.node.status().complete
