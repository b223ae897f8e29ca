"""Left, forgotten, returned: what a node makes of tombstones and of claims that one is back."""

import re
from typing import Any

import pytest

from tests.unit.mesh.node_harness import Harness, joined, metadata, remote, seed
from wesher.gossip import (
    Ack,
    Address,
    Dead,
    PingFinished,
    PushPull,
    RecordState,
    Suspect,
    UserMessage,
)
from wesher.gossip.codec import encode
from wesher.mesh.base.actions import Action, Check, Checked, Ping
from wesher.mesh.base.saved import Tombstone
from wesher.mesh.base.tombstones import decode_tombstones, encode_tombstones
from wesher.mesh.base.user_state import FIRST_BYTE
from wesher.mesh.members.left_members import MAX_RETOLD, NOTICED_WITHIN, RETELL_EVERY
from wesher.mesh.members.liveness import MAX_CHECKS, LivenessChecks

WEB, DB = remote("web", 2, incarnation=3), remote("db", 3)


def company(**settings: Any) -> Harness:
    """Return a node with two members, of which one has failed."""
    harness = joined(WEB, DB, **settings)
    harness.hear(Dead(3, "web", "db"))
    harness.pass_time(0.2)
    harness.packets.clear()
    harness.events.clear()
    return harness


def tombstones(harness: Harness) -> dict[str, Tombstone]:
    """Return those that go with the node's table, by name."""
    frame = harness.wire.seal_frame(encode(PushPull(False, ())))
    reply = harness.node.receive_request(frame, Address("192.0.2.99", 40000), harness.now)
    harness._drain()
    assert reply
    table = harness.wire.open_frame(reply, reply=True)
    assert isinstance(table, PushPull)
    return {one.name: one for one in decode_tombstones(table.user_state, harness.now)}


def tell(harness: Harness, *told: tuple[str, int], age: float = 0.0) -> None:
    """Let a packet tell of departures: names with incarnations."""
    left = [Tombstone(name, incarnation, harness.now - age) for name, incarnation in told]
    harness.hear(UserMessage(encode_tombstones(left, harness.now)))


def retold(harness: Harness) -> set[str]:
    """Return the names in the tombstones that were gossiped since the last call."""
    messages = harness.heard_by("192.0.2.3")
    payloads = [message.payload for message in messages if isinstance(message, UserMessage)]
    return {one.name for payload in payloads for one in decode_tombstones(payload, harness.now)}


def peers(harness: Harness) -> set[str]:
    harness.pass_time(0.2)
    return {entry.name for entry in harness.plan.hosts}


def answer_pings_for(harness: Harness, name: str) -> list[Address]:
    """Let whoever is pinged under this name answer; tells where that was."""
    pinged = [(to, ping) for to, ping in harness.pings() if ping.node == name]
    for to, ping in pinged:
        harness.hear(Ack(ping.sequence), ip=to.ip)
    return [to for to, _ in pinged]


# Forgetting


def test_a_failed_member_that_is_forgotten_is_gone_at_once_and_others_are_told() -> None:
    harness = company()

    harness.node.forget("web", harness.now)
    harness._drain()

    assert retold(harness) == {"web"}
    assert peers(harness) == {"db"}
    assert tombstones(harness)["web"].incarnation == 3


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("local", "cannot forget itself"),
        ("db", "alive at 192.0.2.3"),
        ("nobody", "no failed member is named nobody"),
    ],
)
def test_nobody_else_can_be_forgotten(name: str, reason: str) -> None:
    harness = company()

    with pytest.raises(ValueError, match=reason):
        harness.node.forget(name, harness.now)


def test_a_suspect_can_not_be_forgotten_yet() -> None:
    harness = joined(WEB, DB)
    harness.push(remote("web", 2, incarnation=3, state=RecordState.DEAD))

    with pytest.raises(ValueError, match=r"not given up yet: try again in (\d+) seconds") as told:
        harness.node.forget("web", harness.now)
    harness.pass_time(int(re.findall(r"\d+", str(told.value))[0]))

    harness.node.forget("web", harness.now)


def test_what_others_forget_is_gone_here_too_and_told_on() -> None:
    harness = company()

    tell(harness, ("web", 3))

    assert retold(harness) == {"web"}
    assert peers(harness) == {"db"}


def test_what_was_forgotten_long_ago_stays() -> None:
    harness = company(forget_after=3600)

    tell(harness, ("web", 3), age=3601)

    assert peers(harness) == {"web", "db"}
    assert tombstones(harness) == {}


def test_news_of_an_earlier_departure_leaves_a_failed_member_alone() -> None:
    harness = company()

    tell(harness, ("web", 2))

    assert peers(harness) == {"web", "db"}
    assert tombstones(harness) == {}


def test_a_tombstone_is_told_on_once() -> None:
    harness = company()
    tell(harness, ("stranger", 3))
    retold(harness)

    tell(harness, ("stranger", 3))

    assert retold(harness) == set()


def test_of_much_news_only_what_matters_is_told_on() -> None:
    harness = company()

    tell(harness, ("web", 3), *((f"n{number}", 1) for number in range(MAX_RETOLD)))

    assert retold(harness) == {"web"}
    assert len(tombstones(harness)) == MAX_RETOLD + 1


def test_damaged_tombstones_are_dropped() -> None:
    harness = company()

    harness.hear(UserMessage(bytes([FIRST_BYTE, 1, 0xC1])))
    harness.hear(UserMessage(b"somebody else's"))

    assert peers(harness) == {"web", "db"}


def test_a_tombstone_ages_and_ends() -> None:
    harness = company(forget_after=600)
    harness.node.forget("web", harness.now)
    harness.keep_alive(DB, until=harness.now + 300)
    later = tombstones(harness)["web"]

    harness.keep_alive(DB, until=harness.now + 400)

    assert 230 <= harness.now - 400 - later.made_at <= 301
    assert tombstones(harness) == {}


# Leaving and returning


def left() -> Harness:
    """Return a node that has seen a member leave, and has reaped it since."""
    harness = joined(WEB, DB)
    harness.hear(Dead(3, "web", "web"))
    harness.keep_alive(DB, until=harness.now + 100)
    harness.packets.clear()
    harness.events.clear()
    return harness


def test_who_left_has_a_tombstone_that_goes_with_tables_only() -> None:
    harness = joined(WEB, DB)
    harness.packets.clear()

    harness.hear(Dead(3, "web", "web"))

    assert tombstones(harness)["web"].incarnation == 3
    assert retold(harness) == set()


def test_a_higher_incarnation_is_a_return() -> None:
    harness = left()

    harness.hear_alive(remote("web", 2, incarnation=4))

    assert peers(harness) == {"web", "db"}
    assert tombstones(harness) == {}


@pytest.mark.parametrize("incarnation", [1, 3])
def test_no_higher_incarnation_counts_only_if_the_member_itself_answers(incarnation: int) -> None:
    harness = left()

    harness.hear_alive(remote("web", 2, incarnation=incarnation))
    before = peers(harness)
    asked = answer_pings_for(harness, "web")

    assert before == {"db"}
    assert asked == [Address("192.0.2.2", 7946)]
    assert peers(harness) == {"web", "db"}
    assert tombstones(harness) == {}


def test_a_stale_echo_is_nobody() -> None:
    harness = left()

    harness.hear_alive(WEB)
    harness.fail(*harness.take_streams())
    harness.keep_alive(DB, until=harness.now + 10)

    assert peers(harness) == {"db"}
    assert "web" in tombstones(harness)


def test_a_stale_echo_just_after_the_departure_is_not_even_asked_for() -> None:
    harness = joined(WEB, DB)
    harness.hear(Dead(3, "web", "web"))
    harness.packets.clear()

    harness.hear_alive(WEB)

    assert answer_pings_for(harness, "web") == []


def test_one_that_left_may_come_back_at_another_address_if_it_answers_there() -> None:
    harness = joined(WEB, DB)
    harness.hear(Dead(3, "web", "web"))
    elsewhere = remote("web", 50, meta=metadata("10.9.9.2", 2, version="1"))

    harness.hear_alive(elsewhere)
    asked = answer_pings_for(harness, "web")

    assert asked == [Address("192.0.2.50", 7946)]
    assert peers(harness) == {"web", "db"}


def test_who_came_back_is_not_buried_by_the_old_tombstone() -> None:
    harness = left()
    harness.hear_alive(remote("web", 2, incarnation=1))
    answer_pings_for(harness, "web")

    tell(harness, ("web", 3), age=100)

    assert answer_pings_for(harness, "web") == []
    assert peers(harness) == {"web", "db"}


def test_who_left_elsewhere_and_does_not_answer_has_left_here() -> None:
    harness = joined(WEB, DB)

    tell(harness, ("web", 3))
    before = peers(harness)
    harness.fail(*harness.take_streams())
    harness.keep_alive(DB, until=harness.now + 4)

    assert before == {"web", "db"}
    assert peers(harness) == {"db"}
    assert tombstones(harness)["web"].incarnation == 3


def test_who_is_said_to_have_left_but_answers_stays() -> None:
    harness = joined(WEB, DB)
    harness.packets.clear()

    tell(harness, ("web", 3))
    asked = answer_pings_for(harness, "web")
    harness.keep_alive(WEB, DB, until=harness.now + 10)
    tell(harness, ("web", 3))

    assert asked == [Address("192.0.2.2", 7946)]
    assert peers(harness) == {"web", "db"}
    assert answer_pings_for(harness, "web") == []
    assert tombstones(harness) == {}


def test_who_left_on_the_far_side_of_a_partition_is_gone_here_too() -> None:
    harness = company()
    told = encode_tombstones([Tombstone("web", 3, harness.now - 50)], harness.now)
    frame = harness.wire.seal_frame(encode(PushPull(True, (DB,), told)))

    harness.node.receive_request(frame, Address("192.0.2.3", 40000), harness.now)
    harness._drain()

    assert peers(harness) == {"db"}


@pytest.mark.parametrize(("incarnation", "left"), [(2, False), (3, True), (4, True)])
def test_whom_a_go_member_knows_to_have_left_is_gone_here_too(incarnation: int, left: bool) -> None:
    harness = company()
    harness.keep_alive(DB, until=harness.now + 20)
    request, *_ = harness.take_streams()
    harness.packets.clear()

    harness.answer(request, DB, remote("web", 2, incarnation=incarnation, state=RecordState.LEFT))

    assert retold(harness) == ({"web"} if left else set())
    assert peers(harness) == ({"db"} if left else {"web", "db"})


def test_one_that_fails_although_it_is_known_to_be_gone_keeps_no_peer() -> None:
    harness = joined(WEB, DB)
    tell(harness, ("web", 3))
    harness.hear(Dead(3, "web", "db"))

    harness.fail(*harness.take_streams())
    harness.keep_alive(DB, until=harness.now + 4)

    assert peers(harness) == {"db"}


# Reunions


def cut_off(harness: Harness) -> None:
    """Let a member leave, and forget what was gossiped of it."""
    harness.hear(Dead(1, "mail", "mail"))
    harness.pass_time(0.5)
    harness.packets.clear()


def trio() -> Harness:
    return joined(WEB, DB, remote("mail", 4))


def test_one_that_was_cut_off_is_told_who_has_left_meanwhile() -> None:
    harness = trio()
    harness.hear(Dead(3, "web", "db"))
    cut_off(harness)

    harness.hear_alive(remote("web", 2, incarnation=4))
    harness.pass_time(0.6)

    assert retold(harness) == {"mail"}


def test_so_is_one_that_was_suspected_for_long() -> None:
    harness = trio()
    harness.hear(Suspect(3, "web", "db"))
    harness.keep_alive(DB, until=harness.now + 15)
    cut_off(harness)

    harness.hear_alive(remote("web", 2, incarnation=4))
    harness.pass_time(0.6)

    assert retold(harness) == {"mail"}


def test_one_that_was_suspected_for_a_moment_was_not_cut_off() -> None:
    harness = trio()
    harness.hear(Suspect(3, "web", "db"))
    cut_off(harness)

    harness.hear_alive(remote("web", 2, incarnation=4))
    harness.pass_time(0.6)

    assert retold(harness) == set()


def test_who_was_doubted_itself_tells_so_too_again_and_again_for_a_while() -> None:
    harness = trio()
    cut_off(harness)
    harness.hear(Suspect(harness.record.incarnation, "local", "db"))

    times = 0
    for _ in range(12):
        harness.keep_alive(WEB, DB, until=harness.now + RETELL_EVERY - 1)
        harness.packets.clear()
        harness.pass_time(1.1)
        times += retold(harness) == {"mail"}

    assert 2 <= times <= 4


def test_departures_of_long_ago_are_not_retold() -> None:
    harness = trio()
    cut_off(harness)
    harness.keep_alive(WEB, DB, until=harness.now + NOTICED_WITHIN + 1)
    harness.hear(Suspect(harness.record.incarnation, "local", "db"))
    harness.packets.clear()

    harness.pass_time(0.6)

    assert retold(harness) == set()


# Ourselves


def test_being_said_to_be_gone_ourselves_is_refuted() -> None:
    harness = joined(WEB, DB)

    tell(harness, ("local", 9))

    assert harness.record.incarnation == 10
    assert tombstones(harness) == {}


def test_old_news_of_ourselves_is_nothing() -> None:
    harness = joined(remote("local", 1, ip="192.0.2.1", incarnation=9), WEB)
    before = harness.record.incarnation

    tell(harness, ("local", 9))

    assert harness.record.incarnation == before


def test_it_starts_above_the_incarnation_with_which_it_is_said_to_have_left() -> None:
    harness = Harness(seeds=(seed("192.0.2.10"),)).start()
    (look,) = harness.take_streams()
    told = encode_tombstones([Tombstone("local", 9, 0.0)], 0.0)
    reply = harness.wire.seal_frame(encode(PushPull(True, (WEB,), told)))

    harness.node.receive_reply(look.id, reply, harness.now)
    harness._drain()

    assert harness.record.incarnation == 10


# Asking


def begun(checks: LivenessChecks, name: str, port: int = 7946) -> tuple[list[Ping], list[Action]]:
    """Begin a check; return the pings it wants and what it says at once."""
    check = Check(Address("192.0.2.2", port), name, f"about {name}")
    actions = list(checks.begin(check))
    return [one for one in actions if isinstance(one, Ping)], actions


def outcome(checks: LivenessChecks, ping: Ping, seconds: float | None) -> list[Action]:
    return list(checks.pinged(PingFinished(0, seconds, purpose=ping.purpose)))


def test_silence_counts_only_when_both_ways_are_silent() -> None:
    checks = LivenessChecks()
    (by_packet, by_stream), _ = begun(checks, "web")

    before = outcome(checks, by_packet, None)
    after = outcome(checks, by_stream, None)

    assert (by_packet.stream, by_stream.stream) == (False, True)
    assert before == []
    assert after == [Checked("about web", False)]


def test_the_first_answer_counts_and_only_once() -> None:
    checks = LivenessChecks()
    (by_packet, by_stream), _ = begun(checks, "web")

    heard = outcome(checks, by_stream, 0.5)
    late = outcome(checks, by_packet, 0.6)

    assert heard == [Checked("about web", True)]
    assert late == []


def test_a_late_silence_of_an_earlier_check_is_none_of_a_later_one() -> None:
    checks = LivenessChecks()
    (early, by_stream), _ = begun(checks, "web")
    outcome(checks, by_stream, 0.5)
    (by_packet, _), _ = begun(checks, "web")

    assert outcome(checks, early, None) == []
    assert outcome(checks, by_packet, None) == []


def test_the_same_is_not_asked_twice_at_a_time_nor_too_much_in_all() -> None:
    checks = LivenessChecks()
    asked = [begun(checks, "web", number % 100) for number in range(200)]

    assert [len(pings) for pings, _ in asked] == [2] * MAX_CHECKS + [0] * (200 - MAX_CHECKS)
    assert asked[-1][1] == [Checked("about web", None)]
