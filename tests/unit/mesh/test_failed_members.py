"""Failed members stay known until they come back, leave, or time is up."""

from math import inf
from typing import Any

from wesher.gossip import Address, Member, MemberState
from wesher.mesh.base.saved import SavedMember
from wesher.mesh.members.failed_members import MAX_REMEMBERED, FailedMembers


def failed(name: str, meta: bytes | None = None) -> Member:
    return Member(name, bytes([192, 0, 2, 2]), 7946, meta, bytes(6), 1, MemberState.DEAD, 0.0)


def names(remembered: FailedMembers) -> list[str]:
    return [member.name for member in remembered]


def test_a_failed_member_is_remembered_as_it_was() -> None:
    remembered = FailedMembers()

    remembered.add(failed("web", b"meta"), 5.0)

    assert list(remembered) == [failed("web", b"meta")]
    assert "web" in remembered
    assert remembered.failed_at("web") == 5.0
    assert remembered.failed_at("db") is None


def test_who_never_answered_is_for_this_start_only_unless_an_earlier_one_knew_it() -> None:
    remembered = FailedMembers()
    remembered.restore([SavedMember("db", Address("192.0.2.3", 7946), b"meta")], 0.0)

    remembered.add(failed("db"), 1.0, answered=False)
    remembered.add(failed("invented"), 1.0, answered=False)
    remembered.add(failed("web"), 1.0)

    assert [one.name for one in remembered.to_save()] == ["db", "web"]
    assert sorted(names(remembered)) == ["db", "invented", "web"]


def test_a_member_that_came_back_is_dropped() -> None:
    remembered = FailedMembers()
    remembered.add(failed("web"), 5.0)

    remembered.drop("web")
    remembered.drop("never seen")

    assert len(remembered) == 0
    assert "web" not in remembered


def test_news_of_a_failed_member_do_not_prolong_its_memory() -> None:
    remembered = FailedMembers()
    remembered.add(failed("web"), 5.0)

    remembered.add(failed("web", b"newer"), 90.0)

    assert list(remembered) == [failed("web", b"newer")]
    assert remembered.failed_at("web") == 5.0


def test_members_expire_one_by_one_when_their_time_is_up() -> None:
    remembered = FailedMembers()
    for at, name in enumerate(["a", "b", "c"]):
        remembered.add(failed(name), float(at))

    early = remembered.expire(99.0, 100.0)
    due = remembered.next_timer(100.0)
    over = remembered.expire(101.0, 100.0)

    assert early == []
    assert due == 100.0
    assert [member.name for member in over] == ["a", "b"]
    assert names(remembered) == ["c"]
    assert remembered.next_timer(100.0) == 102.0


def test_members_restored_out_of_order_expire_in_order() -> None:
    remembered = FailedMembers()
    for at in 30.0, 10.0, 20.0:
        remembered.add(failed(f"n{at:.0f}"), at)

    assert remembered.next_timer(5.0) == 15.0
    assert [member.name for member in remembered.expire(25.0, 5.0)] == ["n10", "n20"]


def test_all_expire_when_the_time_of_all_is_up() -> None:
    remembered = FailedMembers()
    remembered.add(failed("a"), 1.0)
    remembered.add(failed("b"), 1.0)

    assert len(remembered.expire(1e6, 60.0)) == 2
    assert len(remembered) == 0


def test_nothing_expires_where_nothing_is_ever_forgotten() -> None:
    remembered = FailedMembers()
    remembered.add(failed("web"), 5.0)

    assert remembered.next_timer(inf) is None
    assert remembered.expire(1e12, inf) == []
    assert FailedMembers().next_timer(60.0) is None


def test_the_longest_failed_are_dropped_when_there_are_too_many() -> None:
    remembered = FailedMembers()

    for number in range(MAX_REMEMBERED + 5):
        remembered.add(failed(f"n{number}"), float(number))

    assert len(remembered) == MAX_REMEMBERED
    assert names(remembered)[0] == "n5"


def saved(name: str, **known: Any) -> SavedMember:
    return SavedMember(name, Address("192.0.2.2", 7946), b"meta", **known)


def test_what_an_earlier_start_knew_has_failed_when_it_did_or_now() -> None:
    remembered = FailedMembers()

    remembered.restore(
        [
            saved("alive", incarnation=7),
            saved("failed", failed_at=40.0),
            saved("odd", failed_at=999),
        ],
        100.0,
    )

    assert {name: remembered.failed_at(name) for name in names(remembered)} == {
        "failed": 40.0,
        "alive": 100.0,
        "odd": 100.0,
    }
    alive = remembered.get("alive")
    assert alive
    assert alive.incarnation == 7
    assert alive.address == Address("192.0.2.2", 7946)
    assert remembered.get("nobody") is None
