"""A node that slept: it looks before it tells, and brings nobody back who has left meanwhile."""

from dataclasses import replace

import pytest

from tests.unit.mesh.node_bench import joined, remote, seed
from wesher.base import problems
from wesher.gossip import WAN, Ack, Dead, PushPull, Suspect
from wesher.gossip.codec import encode
from wesher.mesh.base.tombstones import Tombstone, encode_tombstones
from wesher.mesh.members.resumption import ASK_AGAIN, LOOK_AGAIN, LOOK_PATIENCE
from wesher.mesh.node import LATE

A = "192.0.2.10"
WEB, DB, MAIL = remote("web", 2), remote("db", 3), remote("mail", 4)
HOUR = 3600.0


def asleep(bench, seconds=HOUR):
    """Let time pass without anything being handled, then wake the node up."""
    bench.packets.clear()
    bench.take_streams()
    bench.events.clear()
    bench.now = bench.node.next_timer() + seconds
    bench.node.handle_timer(bench.now)
    bench._drain()


def suspended(bench, seconds=HOUR):
    """Let the node hear that its clock stood still."""
    bench.packets.clear()
    bench.take_streams()
    bench.events.clear()
    bench.node.slept(seconds, bench.now)
    bench._drain()


def looks(bench):
    """Return the looks since the last call; other streams are forgotten."""
    return [
        request
        for request in bench.take_streams()
        if isinstance(message := bench.message(request), PushPull) and not message.records
    ]


def told(bench):
    """Return whom the node's table says to be alive."""
    return {record.name for record in bench.push() if record.state == 0}


def pinged(bench):
    return {ping.node: (to, ping) for to, ping in bench.pings()}


@pytest.mark.parametrize("sleep", [asleep, suspended])
def test_a_sleep_is_told_of(sleep):
    bench = joined(WEB)

    sleep(bench)

    assert problems.SLEPT in {met.trouble for met in bench.node.account(bench.now).problems}


@pytest.mark.parametrize("sleep", [asleep, suspended])
def test_after_a_sleep_others_are_looked_at_and_told_of_nobody(sleep):
    bench = joined(WEB, DB)

    sleep(bench)

    assert {request.to.ip for request in looks(bench)} == {"192.0.2.2", "192.0.2.3"}
    assert told(bench) == {"local"}
    assert any("did not run" in text for text in bench.warnings())


@pytest.mark.parametrize(("late", "noticed"), [(-0.5, False), (0.5, True)])
def test_a_timer_two_probe_intervals_late_is_a_sleep(late, noticed):
    bench = joined(WEB, DB)

    asleep(bench, LATE * WAN.probe_interval + late)

    assert bool(looks(bench)) == noticed


def test_a_packet_that_comes_before_the_late_timer_is_met_awake():
    bench = joined(WEB, DB)
    bench.take_streams()
    bench.now += HOUR

    bench.hear(bench.ping_of_us())

    assert looks(bench)


def test_what_was_overdue_when_it_was_planned_is_no_sleep():
    bench = joined(*(remote(f"m{number}", number) for number in range(20, 30)), WEB)
    bench.hear(Suspect(1, "web", "m20"))
    live = [remote(f"m{number}", number) for number in range(20, 30)]
    bench.keep_alive(*live, until=bench.now + 100)

    for number in range(21, 26):
        bench.hear(Suspect(1, "web", f"m{number}"))
    bench.hear(bench.ping_of_us())

    assert not any("did not run" in text for text in bench.warnings())


def test_whom_the_answer_shows_is_told_of_again_and_others_are_asked():
    bench = joined(WEB, DB, MAIL)
    asleep(bench)
    bench.packets.clear()

    bench.answer(looks(bench)[0], WEB, DB)

    assert told(bench) == {"local", "web", "db"}
    assert set(pinged(bench)) == {"mail"}


def test_whoever_answers_is_told_of_again():
    bench = joined(WEB, DB, MAIL)
    asleep(bench)
    bench.packets.clear()
    bench.answer(looks(bench)[0], WEB, DB)

    to, ping = pinged(bench)["mail"]
    bench.hear(Ack(ping.sequence), ip=to.ip)

    assert told(bench) == {"local", "web", "db", "mail"}


def test_whoever_is_silent_is_not_told_of_but_asked_again():
    bench = joined(WEB, DB, MAIL)
    asleep(bench)
    bench.answer(looks(bench)[0], WEB, DB)
    bench.fail(*bench.take_streams())
    bench.keep_alive(WEB, DB, until=bench.now + 4)
    silent = told(bench)
    bench.packets.clear()

    bench.pass_time(ASK_AGAIN)

    assert silent == {"local", "web", "db"}
    assert "mail" in pinged(bench)


def test_who_left_meanwhile_is_gone():
    bench = joined(WEB, DB, MAIL)
    asleep(bench)
    request = looks(bench)[0]
    gone = encode_tombstones([Tombstone("mail", 1, bench.now - 600)], bench.now)
    reply = bench.wire.seal_frame(encode(PushPull(False, (WEB, DB), gone)), reply=True)

    bench.node.receive_reply(request.id, reply, bench.now)
    bench._drain()
    bench.fail(*bench.take_streams())
    bench.keep_alive(WEB, DB, until=bench.now + 5)

    assert {entry.name for entry in bench.plan.hosts} == {"web", "db"}


def test_who_failed_meanwhile_is_not_told_of_and_stays_a_peer():
    bench = joined(WEB, DB, MAIL)
    asleep(bench)

    bench.answer(looks(bench)[0], WEB, DB, remote("mail", 4, state=2))
    bench.pass_time(1)

    assert told(bench) == {"local", "web", "db"}
    assert {entry.name for entry in bench.plan.hosts} == {"web", "db", "mail"}


def test_once_somebody_has_answered_it_is_told_that_we_are_back():
    bench = joined(WEB, DB)
    asleep(bench)

    bench.answer(looks(bench)[0], WEB, DB, remote("local", 1, ip="192.0.2.1", state=2))

    (request,) = bench.take_streams()
    records = {record.name: record for record in bench.message(request).records}
    assert set(records) == {"local", "web", "db"}
    assert records["local"].incarnation == 2


def test_whoever_returns_by_itself_is_told_of():
    bench = joined(WEB, DB, MAIL)
    asleep(bench)
    bench.answer(looks(bench)[0], WEB, DB)
    bench.hear(Dead(1, "mail", "web"))

    bench.hear_alive(MAIL, incarnation=2)

    assert told(bench) == {"local", "web", "db", "mail"}


def test_while_nobody_answers_others_are_looked_at_the_seeds_too():
    bench = joined(WEB, DB, seeds=(seed(A),))
    asleep(bench)
    bench.fail(*looks(bench))

    bench.pass_time(LOOK_AGAIN)

    assert {request.to.ip for request in looks(bench)} == {"192.0.2.2", "192.0.2.3", A}


def test_when_nobody_answers_a_look_for_long_each_is_asked():
    bench = joined(WEB, DB)
    asleep(bench)

    bench.keep_alive(WEB, DB, until=bench.now + LOOK_PATIENCE - 1)
    looking = told(bench)
    bench.keep_alive(WEB, DB, until=bench.now + 5)

    assert looking == {"local"}
    assert told(bench) == {"local", "web", "db"}


def test_an_answer_that_does_not_go_with_ours_or_is_our_own_does_not_count():
    bench = joined(WEB, DB)
    asleep(bench)
    first, second = looks(bench)

    bench.answer(first, replace(remote("odd", 9), versions=bytes([1, 5, 2, 2, 5, 4])))
    bench.loop_back(second)

    assert told(bench) == {"local"}


def test_what_comes_later_of_other_looks_is_taken_in_too():
    bench = joined(WEB, DB, MAIL)
    asleep(bench)
    first, second, _ = looks(bench)
    bench.answer(first, WEB)

    bench.answer(second, WEB, DB, MAIL)

    assert told(bench) == {"local", "web", "db", "mail"}


def test_alone_there_is_nobody_to_look_at():
    bench = joined()
    bench.fail(*bench.take_streams())
    bench.hear_alive(WEB)
    bench.hear(Dead(1, "web", "web"))

    suspended(bench)

    assert looks(bench) == []


def test_who_leaves_tells_of_nobody_and_looks_at_nobody_any_more():
    bench = joined(WEB, DB)
    bench.leave()

    asleep(bench)

    assert looks(bench) == []


def test_time_that_the_clock_did_not_count_counts_for_the_failed_and_the_gone():
    bench = joined(WEB, DB, forget_after=3600)
    bench.hear(Dead(1, "web", "db"))
    bench.hear(Dead(1, "db", "db"))
    kept = bench.node.saved()

    suspended(bench, 3000.0)
    shifted = bench.node.saved()
    suspended(bench, 700.0)
    bench.pass_time(0.5)

    failed = {one.name: one.failed_at for one in kept.members if one.failed_at is not None}
    later = {one.name: one.failed_at for one in shifted.members if one.failed_at is not None}
    assert later == {name: at - 3000.0 for name, at in failed.items()}
    assert shifted.tombstones[0].made_at == kept.tombstones[0].made_at - 3000.0
    assert bench.plan.peers == {}
    assert bench.node.saved().tombstones == ()
