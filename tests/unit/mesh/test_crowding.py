"""A crowd of members that may not exist: no peers before they answer, and the operator is told."""

from typing import Any

from tests.unit.mesh.node_harness import Harness, metadata, remote, saved, seed
from wesher.base.frozen import replace
from wesher.gossip import ErrorReply, Record
from wesher.gossip.codec import encode
from wesher.mesh.base.events import MemberEvent, MemberEventKind, Severity
from wesher.mesh.base.saved import Saved

NAME = "invented{}".format


def crowd(first: int, count: int) -> list[Record]:
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


def peers(harness: Harness) -> set[str]:
    """The names of the peers."""
    return {member.name for member in harness.node.status().members if member.endpoint}


def settled(**settings: Any) -> Harness:
    harness = Harness(max_unproven=50, **settings).start()
    harness.pass_time(1)
    return harness


def test_in_a_crowd_who_has_not_answered_is_no_peer_and_nobody_is_told_of_it() -> None:
    harness = settled()
    harness.push(*crowd(0, 100))
    harness.push(remote("honest", 9), ip="192.0.2.9")
    harness.pass_time(1)
    assert peers(harness) == set()

    harness.keep_alive(remote("honest", 9), until=8)

    assert peers(harness) == {"honest"}
    assert [one.name for one in harness.push()] == ["local", "honest"]
    assert [(one.what, one.member) for one in harness.take(MemberEvent)] == [
        (MemberEventKind.JOINED, "honest")
    ]
    status = harness.node.status()
    assert [member.name for member in status.members] == ["honest"]
    assert status.waiting == 100


def test_who_was_a_peer_before_the_crowd_came_stays_one() -> None:
    harness = settled()
    harness.push(remote("honest", 9))
    harness.pass_time(2)
    harness.push(*crowd(0, 100))
    harness.pass_time(2)

    assert peers(harness) == {"honest"}


def test_who_was_a_peer_before_our_restart_need_not_answer_first() -> None:
    known = remote("honest", 9)
    [member] = saved("192.0.2.9").members
    earlier = Saved(members=(replace(member, name=known.name, meta=known.meta),))
    harness = Harness(earlier, max_unproven=50).start()
    harness.pass_time(30)

    harness.push(*crowd(0, 100), known)
    harness.pass_time(2)

    assert known.name in peers(harness)
    assert NAME(1) not in peers(harness)


def test_members_that_never_answer_are_told_of_and_leave_nothing() -> None:
    harness = settled()
    harness.push(remote("honest", 9))
    harness.keep_alive(remote("honest", 9), until=8)
    harness.push(*crowd(0, 120))

    harness.keep_alive(remote("honest", 9), until=600)

    told = harness.warnings(Severity.ERROR)
    assert [one.split(":")[0] for one in told] == [
        "100 members were asked three times whether they are there, and never answered"
    ]
    assert {member.name for member in harness.node.members} == {"local", "honest"}
    assert [member.name for member in harness.node.status().members] == ["honest"]
    assert [member.name for member in harness.saved.members] == ["honest"]
    assert "crowd" in {
        one.warning.problem.name for one in harness.node.account(harness.now).problems
    }


def test_a_full_table_is_told_of() -> None:
    harness = settled(max_members=100)

    harness.push(*crowd(0, 150))

    [told] = harness.warnings(Severity.ERROR)
    assert told.startswith(
        "the table of members is full: 100 are known, 99 of which never answered us: "
    )
    assert "table-full" in {
        one.warning.problem.name for one in harness.node.account(harness.now).problems
    }
    assert len(harness.node.members) == 100


def test_who_is_turned_away_is_told_why() -> None:
    harness = Harness(seeds=(seed("192.0.2.9"),)).start()
    [look] = harness.take_streams()
    harness.answer(look, remote("honest", 9))
    [join] = harness.take_streams()
    full = harness.wire.seal_frame(encode(ErrorReply("the table of members is full")))

    harness.node.receive_reply(join.id, full, harness.now)
    harness.pass_time(10)

    assert harness.warnings(Severity.ERROR)[0] == (
        "192.0.2.9:7946 turns us away: its table of members is full: "
        "see `wesher doctor` there; trying again until it has a place for us"
    )
    assert "turned-away" in {
        one.warning.problem.name for one in harness.node.account(harness.now).problems
    }
    assert not harness.node.status().complete
