"""Left, forgotten, returned: what a node makes of tombstones and of claims that one is back."""

import re

import pytest

from tests.unit.mesh.node_bench import Bench, joined, metadata, remote, seed
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
from wesher.mesh.base.tombstones import FIRST_BYTE, Tombstone, decode_tombstones, encode_tombstones
from wesher.mesh.members.left_members import MAX_RETOLD, NOTICED_WITHIN, RETELL_EVERY
from wesher.mesh.members.liveness_checks import MAX_INQUIRIES, LivenessChecks

WEB, DB = remote("web", 2, incarnation=3), remote("db", 3)


def company(**settings):
    """Return a node with two members, of which one has failed."""
    bench = joined(WEB, DB, **settings)
    bench.hear(Dead(3, "web", "db"))
    bench.pass_time(0.2)
    bench.packets.clear()
    bench.events.clear()
    return bench


def tombstones(bench):
    """Return those that go with the node's table, by name."""
    frame = bench.wire.seal_frame(encode(PushPull(False, ())))
    reply = bench.node.receive_request(frame, Address("192.0.2.99", 40000), bench.now)
    bench._drain()
    told = bench.wire.open_frame(reply, reply=True).user_state
    return {one.name: one for one in decode_tombstones(told, bench.now)}


def tell(bench, *told, age=0.0):
    """Let a packet tell of departures: names with incarnations."""
    told = [Tombstone(name, incarnation, bench.now - age) for name, incarnation in told]
    bench.hear(UserMessage(encode_tombstones(told, bench.now)))


def retold(bench):
    """Return the names in the tombstones that were gossiped since the last call."""
    messages = bench.heard_by("192.0.2.3")
    payloads = [message.payload for message in messages if isinstance(message, UserMessage)]
    return {one.name for payload in payloads for one in decode_tombstones(payload, bench.now)}


def peers(bench):
    bench.pass_time(0.2)
    return {entry.name for entry in bench.plan.hosts}


def answer_pings_for(bench, name):
    """Let whoever is pinged under this name answer; tells where that was."""
    pinged = [(to, ping) for to, ping in bench.pings() if ping.node == name]
    for to, ping in pinged:
        bench.hear(Ack(ping.sequence), ip=to.ip)
    return [to for to, _ in pinged]


# Forgetting


def test_a_failed_member_that_is_forgotten_is_gone_at_once_and_others_are_told():
    bench = company()

    bench.node.forget("web", bench.now)
    bench._drain()

    assert retold(bench) == {"web"}
    assert peers(bench) == {"db"}
    assert tombstones(bench)["web"].incarnation == 3


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("local", "cannot forget itself"),
        ("db", "alive at 192.0.2.3"),
        ("nobody", "no failed member is named nobody"),
    ],
)
def test_nobody_else_can_be_forgotten(name, reason):
    bench = company()

    with pytest.raises(ValueError, match=reason):
        bench.node.forget(name, bench.now)


def test_a_suspect_can_not_be_forgotten_yet():
    bench = joined(WEB, DB)
    bench.push(remote("web", 2, incarnation=3, state=RecordState.DEAD))

    with pytest.raises(ValueError, match=r"not given up yet: try again in (\d+) seconds") as told:
        bench.node.forget("web", bench.now)
    bench.pass_time(int(re.search(r"\d+", str(told.value))[0]))

    bench.node.forget("web", bench.now)


def test_what_others_forget_is_gone_here_too_and_told_on():
    bench = company()

    tell(bench, ("web", 3))

    assert retold(bench) == {"web"}
    assert peers(bench) == {"db"}


def test_what_was_forgotten_long_ago_stays():
    bench = company(forget_after=3600)

    tell(bench, ("web", 3), age=3601)

    assert peers(bench) == {"web", "db"}
    assert tombstones(bench) == {}


def test_news_of_an_earlier_departure_leaves_a_failed_member_alone():
    bench = company()

    tell(bench, ("web", 2))

    assert peers(bench) == {"web", "db"}
    assert tombstones(bench) == {}


def test_a_tombstone_is_told_on_once():
    bench = company()
    tell(bench, ("stranger", 3))
    retold(bench)

    tell(bench, ("stranger", 3))

    assert retold(bench) == set()


def test_of_much_news_only_what_matters_is_told_on():
    bench = company()

    tell(bench, ("web", 3), *((f"n{number}", 1) for number in range(MAX_RETOLD)))

    assert retold(bench) == {"web"}
    assert len(tombstones(bench)) == MAX_RETOLD + 1


def test_damaged_tombstones_are_dropped():
    bench = company()

    bench.hear(UserMessage(bytes([FIRST_BYTE, 1, 0xC1])))
    bench.hear(UserMessage(b"somebody else's"))

    assert peers(bench) == {"web", "db"}


def test_a_tombstone_ages_and_ends():
    bench = company(forget_after=600)
    bench.node.forget("web", bench.now)
    bench.keep_alive(DB, until=bench.now + 300)
    later = tombstones(bench)["web"]

    bench.keep_alive(DB, until=bench.now + 400)

    assert 230 <= bench.now - 400 - later.made_at <= 301
    assert tombstones(bench) == {}


# Leaving and returning


def left():
    """Return a node that has seen a member leave, and has reaped it since."""
    bench = joined(WEB, DB)
    bench.hear(Dead(3, "web", "web"))
    bench.keep_alive(DB, until=bench.now + 100)
    bench.packets.clear()
    bench.events.clear()
    return bench


def test_who_left_has_a_tombstone_that_goes_with_tables_only():
    bench = joined(WEB, DB)
    bench.packets.clear()

    bench.hear(Dead(3, "web", "web"))

    assert tombstones(bench)["web"].incarnation == 3
    assert retold(bench) == set()


def test_a_higher_incarnation_is_a_return():
    bench = left()

    bench.hear_alive(remote("web", 2, incarnation=4))

    assert peers(bench) == {"web", "db"}
    assert tombstones(bench) == {}


@pytest.mark.parametrize("incarnation", [1, 3])
def test_no_higher_incarnation_counts_only_if_the_member_itself_answers(incarnation):
    bench = left()

    bench.hear_alive(remote("web", 2, incarnation=incarnation))
    before = peers(bench)
    asked = answer_pings_for(bench, "web")

    assert before == {"db"}
    assert asked == [Address("192.0.2.2", 7946)]
    assert peers(bench) == {"web", "db"}
    assert tombstones(bench) == {}


def test_a_stale_echo_is_nobody():
    bench = left()

    bench.hear_alive(WEB)
    bench.fail(*bench.take_streams())
    bench.keep_alive(DB, until=bench.now + 10)

    assert peers(bench) == {"db"}
    assert "web" in tombstones(bench)


def test_a_stale_echo_just_after_the_departure_is_not_even_asked_for():
    bench = joined(WEB, DB)
    bench.hear(Dead(3, "web", "web"))
    bench.packets.clear()

    bench.hear_alive(WEB)

    assert answer_pings_for(bench, "web") == []


def test_one_that_left_may_come_back_at_another_address_if_it_answers_there():
    bench = joined(WEB, DB)
    bench.hear(Dead(3, "web", "web"))
    elsewhere = remote("web", 50, meta=metadata("10.9.9.2", 2, version="1"))

    bench.hear_alive(elsewhere)
    asked = answer_pings_for(bench, "web")

    assert asked == [Address("192.0.2.50", 7946)]
    assert peers(bench) == {"web", "db"}


def test_who_came_back_is_not_buried_by_the_old_tombstone():
    bench = left()
    bench.hear_alive(remote("web", 2, incarnation=1))
    answer_pings_for(bench, "web")

    tell(bench, ("web", 3), age=100)

    assert answer_pings_for(bench, "web") == []
    assert peers(bench) == {"web", "db"}


def test_who_left_elsewhere_and_does_not_answer_has_left_here():
    bench = joined(WEB, DB)

    tell(bench, ("web", 3))
    before = peers(bench)
    bench.fail(*bench.take_streams())
    bench.keep_alive(DB, until=bench.now + 4)

    assert before == {"web", "db"}
    assert peers(bench) == {"db"}
    assert tombstones(bench)["web"].incarnation == 3


def test_who_is_said_to_have_left_but_answers_stays():
    bench = joined(WEB, DB)
    bench.packets.clear()

    tell(bench, ("web", 3))
    asked = answer_pings_for(bench, "web")
    bench.keep_alive(WEB, DB, until=bench.now + 10)
    tell(bench, ("web", 3))

    assert asked == [Address("192.0.2.2", 7946)]
    assert peers(bench) == {"web", "db"}
    assert answer_pings_for(bench, "web") == []
    assert tombstones(bench) == {}


def test_who_left_on_the_far_side_of_a_partition_is_gone_here_too():
    bench = company()
    told = encode_tombstones([Tombstone("web", 3, bench.now - 50)], bench.now)
    frame = bench.wire.seal_frame(encode(PushPull(True, (DB,), told)))

    bench.node.receive_request(frame, Address("192.0.2.3", 40000), bench.now)
    bench._drain()

    assert peers(bench) == {"db"}


@pytest.mark.parametrize(("incarnation", "left"), [(2, False), (3, True), (4, True)])
def test_whom_a_go_member_knows_to_have_left_is_gone_here_too(incarnation, left):
    bench = company()
    bench.keep_alive(DB, until=bench.now + 20)
    request, *_ = bench.take_streams()
    bench.packets.clear()

    bench.answer(request, DB, remote("web", 2, incarnation=incarnation, state=RecordState.LEFT))

    assert retold(bench) == ({"web"} if left else set())
    assert peers(bench) == ({"db"} if left else {"web", "db"})


def test_one_that_fails_although_it_is_known_to_be_gone_keeps_no_peer():
    bench = joined(WEB, DB)
    tell(bench, ("web", 3))
    bench.hear(Dead(3, "web", "db"))

    bench.fail(*bench.take_streams())
    bench.keep_alive(DB, until=bench.now + 4)

    assert peers(bench) == {"db"}


# Reunions


def cut_off(bench):
    """Let a member leave, and forget what was gossiped of it."""
    bench.hear(Dead(1, "mail", "mail"))
    bench.pass_time(0.5)
    bench.packets.clear()


def trio():
    return joined(WEB, DB, remote("mail", 4))


def test_one_that_was_cut_off_is_told_who_has_left_meanwhile():
    bench = trio()
    bench.hear(Dead(3, "web", "db"))
    cut_off(bench)

    bench.hear_alive(remote("web", 2, incarnation=4))
    bench.pass_time(0.6)

    assert retold(bench) == {"mail"}


def test_so_is_one_that_was_suspected_for_long():
    bench = trio()
    bench.hear(Suspect(3, "web", "db"))
    bench.keep_alive(DB, until=bench.now + 15)
    cut_off(bench)

    bench.hear_alive(remote("web", 2, incarnation=4))
    bench.pass_time(0.6)

    assert retold(bench) == {"mail"}


def test_one_that_was_suspected_for_a_moment_was_not_cut_off():
    bench = trio()
    bench.hear(Suspect(3, "web", "db"))
    cut_off(bench)

    bench.hear_alive(remote("web", 2, incarnation=4))
    bench.pass_time(0.6)

    assert retold(bench) == set()


def test_who_was_doubted_itself_tells_so_too_again_and_again_for_a_while():
    bench = trio()
    cut_off(bench)
    bench.hear(Suspect(bench.record.incarnation, "local", "db"))

    times = 0
    for _ in range(12):
        bench.keep_alive(WEB, DB, until=bench.now + RETELL_EVERY - 1)
        bench.packets.clear()
        bench.pass_time(1.1)
        times += retold(bench) == {"mail"}

    assert 2 <= times <= 4


def test_departures_of_long_ago_are_not_retold():
    bench = trio()
    cut_off(bench)
    bench.keep_alive(WEB, DB, until=bench.now + NOTICED_WITHIN + 1)
    bench.hear(Suspect(bench.record.incarnation, "local", "db"))
    bench.packets.clear()

    bench.pass_time(0.6)

    assert retold(bench) == set()


# Ourselves


def test_being_said_to_be_gone_ourselves_is_refuted():
    bench = joined(WEB, DB)

    tell(bench, ("local", 9))

    assert bench.record.incarnation == 10
    assert tombstones(bench) == {}


def test_old_news_of_ourselves_is_nothing():
    bench = joined(remote("local", 1, ip="192.0.2.1", incarnation=9), WEB)
    before = bench.record.incarnation

    tell(bench, ("local", 9))

    assert bench.record.incarnation == before


def test_it_starts_above_the_incarnation_with_which_it_is_said_to_have_left():
    bench = Bench(seeds=(seed("192.0.2.10"),)).start()
    (look,) = bench.take_streams()
    told = encode_tombstones([Tombstone("local", 9, 0.0)], 0.0)
    reply = bench.wire.seal_frame(encode(PushPull(True, (WEB,), told)), reply=True)

    bench.node.receive_reply(look.id, reply, bench.now)
    bench._drain()

    assert bench.record.incarnation == 10


# Asking


class _Gossip:
    """Stands for the pings only, which are numbered."""

    def __init__(self):
        self.asked = []

    def ping(self, to, node, now, *, stream=False):
        self.asked.append((to, node, stream))
        return len(self.asked)


def test_silence_counts_only_when_both_ways_are_silent():
    heard = []
    liveness_checks = LivenessChecks(_Gossip())
    liveness_checks.ask(
        Address("192.0.2.2", 7946), "web", 0.0, lambda *answer: heard.append(answer)
    )

    liveness_checks.finished(PingFinished(1, None), 3.0)
    before = list(heard)
    liveness_checks.finished(PingFinished(2, None), 4.0)

    assert before == []
    assert heard == [(False, 4.0)]


def test_the_first_answer_counts_and_only_once():
    heard = []
    liveness_checks = LivenessChecks(_Gossip())
    liveness_checks.ask(
        Address("192.0.2.2", 7946), "web", 0.0, lambda *answer: heard.append(answer)
    )

    for ping, seconds in ((2, 0.5), (1, 0.6), (2, None), (99, None)):
        liveness_checks.finished(PingFinished(ping, seconds), 1.0)

    assert heard == [(True, 1.0)]


def test_the_same_is_not_asked_twice_at_a_time_nor_too_much_in_all():
    gossip = _Gossip()
    liveness_checks = LivenessChecks(gossip)
    asked = [
        liveness_checks.ask(Address("192.0.2.2", number % 100), "web", 0.0, lambda *_: None)
        for number in range(200)
    ]

    assert asked == [True] * MAX_INQUIRIES + [False] * (200 - MAX_INQUIRIES)
    assert len(gossip.asked) == 2 * MAX_INQUIRIES
