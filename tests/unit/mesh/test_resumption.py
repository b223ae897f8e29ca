"""A node that slept: it looks before it tells, and brings nobody back who has left meanwhile."""

from collections.abc import Callable

import pytest

from tests.unit.mesh.node_harness import Harness, joined, remote, seed
from wesher.base import problems
from wesher.base.frozen import replace
from wesher.gossip import WAN, Ack, Address, Dead, Ping, PushPull, StreamRequest, Suspect
from wesher.gossip.codec import encode
from wesher.mesh.base.saved import Tombstone
from wesher.mesh.base.tombstones import encode_tombstones
from wesher.mesh.members.liveness import ASK_AGAIN, LOOK_AGAIN, LOOK_PATIENCE
from wesher.mesh.node import LATE

A = "192.0.2.10"
WEB, DB, MAIL = remote("web", 2), remote("db", 3), remote("mail", 4)
HOUR = 3600.0


def asleep(harness: Harness, seconds: float = HOUR) -> None:
    """Let time pass without anything being handled, then wake the node up."""
    harness.packets.clear()
    harness.take_streams()
    harness.events.clear()
    due = harness.node.next_timer()
    assert due is not None
    harness.now = due + seconds
    harness.node.handle_timer(harness.now)
    harness._drain()


def suspended(harness: Harness, seconds: float = HOUR) -> None:
    """Let the node hear that its clock stood still."""
    harness.packets.clear()
    harness.take_streams()
    harness.events.clear()
    harness.node.slept(seconds, harness.now)
    harness._drain()


def looks(harness: Harness) -> list[StreamRequest]:
    """Return the looks since the last call; other streams are forgotten."""
    return [
        request
        for request in harness.take_streams()
        if isinstance(message := harness.message(request), PushPull) and not message.records
    ]


def told(harness: Harness) -> set[str]:
    """Return whom the node's table says to be alive."""
    return {record.name for record in harness.push() if record.state == 0}


def pinged(harness: Harness) -> dict[str, tuple[Address, Ping]]:
    return {ping.node: (to, ping) for to, ping in harness.pings()}


@pytest.mark.parametrize("sleep", [asleep, suspended])
def test_a_sleep_is_told_of(sleep: Callable[[Harness], None]) -> None:
    harness = joined(WEB)

    sleep(harness)

    assert problems.SLEPT in {
        met.warning.problem for met in harness.node.account(harness.now).problems
    }


@pytest.mark.parametrize("sleep", [asleep, suspended])
def test_after_a_sleep_others_are_looked_at_and_told_of_nobody(
    sleep: Callable[[Harness], None],
) -> None:
    harness = joined(WEB, DB)

    sleep(harness)

    assert {request.to.ip for request in looks(harness)} == {"192.0.2.2", "192.0.2.3"}
    assert told(harness) == {"local"}
    assert any("suspended or stalled" in text for text in harness.warnings())


@pytest.mark.parametrize(("late", "noticed"), [(-0.5, False), (0.5, True)])
def test_a_timer_two_probe_intervals_late_is_a_sleep(late: float, noticed: bool) -> None:
    harness = joined(WEB, DB)

    asleep(harness, LATE * WAN.probe_interval + late)

    assert bool(looks(harness)) == noticed


def test_a_packet_that_comes_before_the_late_timer_is_met_awake() -> None:
    harness = joined(WEB, DB)
    harness.take_streams()
    harness.now += HOUR

    harness.hear(harness.ping_of_us())

    assert looks(harness)


def test_what_was_overdue_when_it_was_planned_is_no_sleep() -> None:
    harness = joined(*(remote(f"m{number}", number) for number in range(20, 30)), WEB)
    harness.hear(Suspect(1, "web", "m20"))
    live = [remote(f"m{number}", number) for number in range(20, 30)]
    harness.keep_alive(*live, until=harness.now + 100)

    for number in range(21, 26):
        harness.hear(Suspect(1, "web", f"m{number}"))
    harness.hear(harness.ping_of_us())

    assert not any("suspended or stalled" in text for text in harness.warnings())


def test_whom_the_answer_shows_is_told_of_again_and_others_are_asked() -> None:
    harness = joined(WEB, DB, MAIL)
    asleep(harness)
    harness.packets.clear()

    harness.answer(looks(harness)[0], WEB, DB)

    assert told(harness) == {"local", "web", "db"}
    assert set(pinged(harness)) == {"mail"}


def test_whoever_answers_is_told_of_again() -> None:
    harness = joined(WEB, DB, MAIL)
    asleep(harness)
    harness.packets.clear()
    harness.answer(looks(harness)[0], WEB, DB)

    to, ping = pinged(harness)["mail"]
    harness.hear(Ack(ping.sequence), ip=to.ip)

    assert told(harness) == {"local", "web", "db", "mail"}


def test_whoever_is_silent_is_not_told_of_but_asked_again() -> None:
    harness = joined(WEB, DB, MAIL)
    asleep(harness)
    harness.answer(looks(harness)[0], WEB, DB)
    harness.fail(*harness.take_streams())
    harness.keep_alive(WEB, DB, until=harness.now + 4)
    silent = told(harness)
    harness.packets.clear()

    harness.pass_time(ASK_AGAIN)

    assert silent == {"local", "web", "db"}
    assert "mail" in pinged(harness)


def test_who_left_meanwhile_is_gone() -> None:
    harness = joined(WEB, DB, MAIL)
    asleep(harness)
    request = looks(harness)[0]
    gone = encode_tombstones([Tombstone("mail", 1, harness.now - 600)], harness.now)
    reply = harness.wire.seal_frame(encode(PushPull(False, (WEB, DB), gone)))

    harness.node.receive_reply(request.id, reply, harness.now)
    harness._drain()
    harness.fail(*harness.take_streams())
    harness.keep_alive(WEB, DB, until=harness.now + 5)

    assert {entry.name for entry in harness.plan.hosts} == {"web", "db"}


def test_who_failed_meanwhile_is_not_told_of_and_stays_a_peer() -> None:
    harness = joined(WEB, DB, MAIL)
    asleep(harness)

    harness.answer(looks(harness)[0], WEB, DB, remote("mail", 4, state=2))
    harness.pass_time(1)

    assert told(harness) == {"local", "web", "db"}
    assert {entry.name for entry in harness.plan.hosts} == {"web", "db", "mail"}


def test_once_somebody_has_answered_it_is_told_that_we_are_back() -> None:
    harness = joined(WEB, DB)
    asleep(harness)

    harness.answer(looks(harness)[0], WEB, DB, remote("local", 1, ip="192.0.2.1", state=2))

    (request,) = harness.take_streams()
    records = {record.name: record for record in harness.table(request)}
    assert set(records) == {"local", "web", "db"}
    assert records["local"].incarnation == 2


def test_whoever_returns_by_itself_is_told_of() -> None:
    harness = joined(WEB, DB, MAIL)
    asleep(harness)
    harness.answer(looks(harness)[0], WEB, DB)
    harness.hear(Dead(1, "mail", "web"))

    harness.hear_alive(MAIL, incarnation=2)

    assert told(harness) == {"local", "web", "db", "mail"}


def test_while_nobody_answers_others_are_looked_at_the_seeds_too() -> None:
    harness = joined(WEB, DB, seeds=(seed(A),))
    asleep(harness)
    harness.fail(*looks(harness))

    harness.pass_time(LOOK_AGAIN)

    assert {request.to.ip for request in looks(harness)} == {"192.0.2.2", "192.0.2.3", A}


def test_when_nobody_answers_a_look_for_long_each_is_asked() -> None:
    harness = joined(WEB, DB)
    asleep(harness)

    harness.keep_alive(WEB, DB, until=harness.now + LOOK_PATIENCE - 1)
    looking = told(harness)
    harness.keep_alive(WEB, DB, until=harness.now + 5)

    assert looking == {"local"}
    assert told(harness) == {"local", "web", "db"}


def test_an_answer_that_does_not_go_with_ours_or_is_our_own_does_not_count() -> None:
    harness = joined(WEB, DB)
    asleep(harness)
    first, second = looks(harness)

    harness.answer(first, replace(remote("odd", 9), versions=bytes([1, 5, 2, 2, 5, 4])))
    harness.loop_back(second)

    assert told(harness) == {"local"}


def test_what_comes_later_of_other_looks_is_taken_in_too() -> None:
    harness = joined(WEB, DB, MAIL)
    asleep(harness)
    first, second, _ = looks(harness)
    harness.answer(first, WEB)

    harness.answer(second, WEB, DB, MAIL)

    assert told(harness) == {"local", "web", "db", "mail"}


def test_alone_there_is_nobody_to_look_at() -> None:
    harness = joined()
    harness.fail(*harness.take_streams())
    harness.hear_alive(WEB)
    harness.hear(Dead(1, "web", "web"))

    suspended(harness)

    assert looks(harness) == []


def test_who_leaves_tells_of_nobody_and_looks_at_nobody_any_more() -> None:
    harness = joined(WEB, DB)
    harness.leave()

    asleep(harness)

    assert looks(harness) == []


def test_time_that_the_clock_did_not_count_counts_for_the_failed_and_the_gone() -> None:
    harness = joined(WEB, DB, forget_after=3600)
    harness.hear(Dead(1, "web", "db"))
    harness.hear(Dead(1, "db", "db"))
    kept = harness.saved

    suspended(harness, 3000.0)
    shifted = harness.saved
    suspended(harness, 700.0)
    harness.pass_time(0.5)

    failed = {one.name: one.failed_at for one in kept.members if one.failed_at is not None}
    later = {one.name: one.failed_at for one in shifted.members if one.failed_at is not None}
    assert later == {name: at - 3000.0 for name, at in failed.items()}
    assert shifted.tombstones[0].made_at == kept.tombstones[0].made_at - 3000.0
    assert harness.plan.peers == {}
    assert harness.saved.tombstones == ()
