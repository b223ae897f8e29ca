"""Whom a node contacts while it is alone, and what it tells the operator."""

from itertools import pairwise
from typing import Any

import pytest

from tests.unit.mesh.node_harness import (
    HERE,
    Harness,
    joined,
    metadata,
    remote,
    saved,
    seed,
)
from wesher.gossip import Dead, Keyring, Wire
from wesher.mesh.base.actions import Timer
from wesher.mesh.base.events import Departed, Resolve
from wesher.mesh.base.operator_log import QUIET
from wesher.mesh.base.saved import Saved
from wesher.mesh.base.seeds import Seed
from wesher.mesh.discovery.discovery import LATELY, MAX_RESOLVED
from wesher.mesh.discovery.retries import INTERVAL, LONGEST_WAIT, PINGS

A, B = "192.0.2.10", "192.0.2.11"
OTHER_RING = Keyring(bytes(32))


def alone(*hosts: str, earlier: Saved | None = None) -> Harness:
    """Return a node that has entered although nobody answered."""
    harness = Harness(earlier, seeds=tuple(map(seed, hosts))).start()
    harness.fail(*harness.take_streams())
    return harness


def forget_answers(harness: Harness, seconds: float) -> list[tuple[float, str]]:
    """Let time pass while every stream fails; return when whom was contacted."""
    contacts = []
    until = harness.now + seconds
    while harness.now < until:
        harness.pass_time(0.25)
        streams = harness.take_streams()
        contacts += [(harness.now, request.to.ip) for request in streams]
        harness.fail(*streams)
    return contacts


# Searching


def test_seeds_and_saved_members_are_tried_every_two_seconds_for_ever() -> None:
    harness = alone(A, earlier=saved(B))

    contacts = forget_answers(harness, 3600)

    for ip in (A, B):
        times = [at for at, contacted in contacts if contacted == ip]
        pauses = [later - at for at, later in pairwise(times)]
        assert pauses[0] <= 1.25
        assert max(pauses) <= LONGEST_WAIT + 0.25
        assert times[-1] > 3600 - LONGEST_WAIT
        assert len(times) < 3600


def test_who_has_nobody_to_contact_waits_for_nothing_until_it_is_given_a_seed() -> None:
    harness = alone()
    harness.pass_time(60)

    idle = harness.node._timers.when(Timer.JOIN_RETRY)
    harness.reconfigure(seed(A))

    assert idle is None
    assert [request.to.ip for request in harness.take_streams()] == [A]


def test_names_are_looked_up_anew_for_every_attempt() -> None:
    harness = Harness(seeds=(seed("a.example"),)).start()
    (first,) = harness.resolving()
    harness.resolve(first, A)
    harness.fail(*harness.take_streams())

    harness.pass_time(1)
    (second,) = harness.resolving()
    harness.resolve(second, B)

    assert first == second == Resolve(Seed("a.example", 7946))
    assert harness.asked() == [(B, "join")]


def test_of_a_name_with_many_addresses_only_some_are_tried() -> None:
    harness = Harness(seeds=(seed("a.example"),)).start()
    (request,) = harness.resolving()

    harness.resolve(request, *(f"192.0.2.{number}" for number in range(10, 100)))

    assert len(harness.asked()) == MAX_RESOLVED


def test_one_live_member_that_answers_ends_the_search() -> None:
    harness = alone(A, B)
    harness.pass_time(1)
    a, b = harness.take_streams()
    harness.fail(b)

    harness.answer(a, remote("web", 2))

    contacted = [ip for ip, _ in harness.asked()]
    harness.keep_alive(remote("web", 2), until=harness.now + 4)
    assert set(contacted) | {ip for ip, _ in harness.asked()} <= {"192.0.2.2"}
    assert harness.saved


def test_our_own_answer_does_not_end_the_search() -> None:
    harness = alone(HERE)
    harness.pass_time(1)
    (own,) = harness.take_streams()

    harness.loop_back(own)
    harness.pass_time(3)

    assert (HERE, "join") in harness.asked()
    assert harness.node.saved() is None


def test_whoever_finds_us_first_is_asked_at_once() -> None:
    harness = alone(A)
    harness.pass_time(100)
    harness.fail(*harness.take_streams())

    harness.push(remote("web", 2))
    (request,) = harness.take_streams()
    harness.answer(request, remote("web", 2))
    harness.pass_time(0.2)

    assert request.to.ip == "192.0.2.2"
    assert harness.plan.complete


def test_left_alone_it_contacts_its_seeds_and_the_failed_members() -> None:
    harness = joined(remote("web", 2), remote("db", 3), seeds=(seed(A),))

    harness.hear(Dead(1, "web", "db"))
    still_in_company = harness.asked()
    harness.hear(Dead(1, "db", "web"))

    assert still_in_company == []
    assert sorted(harness.asked()) == [(ip, "join") for ip in (A, "192.0.2.2", "192.0.2.3")]


def test_the_first_of_a_cluster_contacts_who_failed_too() -> None:
    harness = Harness().start()
    harness.push(remote("web", 2))
    harness.fail(*harness.take_streams())

    harness.hear(Dead(1, "web", "db"))
    contacts = forget_answers(harness, 60)

    assert len([ip for _, ip in contacts if ip == "192.0.2.2"]) > 3


def test_a_member_that_left_is_not_searched_for() -> None:
    harness = joined(remote("web", 2), seeds=(seed(A),))

    harness.hear(Dead(1, "web", "web"))
    contacts = forget_answers(harness, 60)

    assert {ip for _, ip in contacts} == {A}


def test_found_again_it_stops_searching() -> None:
    harness = joined(remote("web", 2), seeds=(seed(A),))
    harness.hear(Dead(1, "web", "db"))
    _, web = sorted(harness.take_streams(), key=lambda request: request.to.ip == "192.0.2.2")

    harness.answer(web, remote("web", 2, incarnation=2))
    harness.keep_alive(remote("web", 2), until=harness.now + 20)

    assert A not in [ip for ip, _ in harness.asked()]


@pytest.mark.parametrize("answers", [True, False])
def test_after_a_return_a_missing_member_is_pinged_and_contacted_if_it_answers(
    answers: bool,
) -> None:
    web, db, app = remote("web", 2), remote("db", 3), remote("app", 4)
    harness = joined(web, db, app)
    harness.hear(Dead(1, "web", "app"))
    harness.hear(Dead(1, "db", "app"))
    harness.hear_alive(db, incarnation=2)
    returned_at = harness.now
    harness.keep_alive(db, app, until=returned_at + PINGS[0] - 0.75)
    harness.fail(*harness.take_streams())

    harness.keep_alive(*[web] * answers, db, app, until=returned_at + PINGS[0] + 0.75)

    assert [ip for ip, _ in harness.asked() if ip == "192.0.2.2"] == ["192.0.2.2"] * answers


@pytest.mark.parametrize(("lost_for", "asks"), [(0, True), (LATELY, False)])
def test_after_a_return_others_are_asked_about_those_lost_lately(
    lost_for: float, asks: bool
) -> None:
    web, db, app = remote("web", 2), remote("db", 3), remote("app", 4)
    harness = joined(web, db, app)
    harness.hear(Dead(1, "web", "app"))
    harness.keep_alive(db, app, until=harness.now + lost_for)
    harness.hear(Dead(1, "db", "app"))
    harness.hear_alive(db, incarnation=2)
    returned_at = harness.now
    harness.keep_alive(db, app, until=returned_at + PINGS[0] - 0.75)
    harness.fail(*harness.take_streams())

    harness.keep_alive(db, app, until=returned_at + PINGS[0] + 0.75)

    assert sorted(harness.asked()) == [("192.0.2.3", "join"), ("192.0.2.4", "join")] * asks


# Warnings


def test_a_seed_with_another_key_is_told_at_once_and_then_every_ten_minutes() -> None:
    harness = Harness(seeds=(seed(A),)).start()
    stranger = Harness(ring=bytes(32))
    told = []

    for _ in range(int(1.9 * QUIET)):
        for request in harness.take_streams():
            stranger.answer_to(harness, request)
        told += harness.warnings()
        harness.pass_time(1)

    assert len(told) == 2
    assert A in told[0]
    assert "--cluster-key" in told[0]


@pytest.mark.parametrize(("ip", "times"), [(A, 1), ("192.0.2.2", 1), ("198.51.100.9", 0)])
def test_packets_with_another_key_are_told_of_seeds_and_members_only(ip: str, times: int) -> None:
    harness = joined(remote("web", 2), seeds=(seed(A),))
    other = Wire(OTHER_RING, lambda: bytes(12))

    for _ in range(3):
        harness.hear(harness.ping_of_us(), ip=ip, wire=other)

    assert len(harness.warnings()) == times


def test_a_seed_without_an_address_is_told() -> None:
    harness = Harness(seeds=(seed("a.example"),)).start()

    for request in harness.resolving():
        harness.resolve(request)

    assert harness.warnings() == [
        "seed a.example has no address: correct its name in --join, "
        "or the name server that must know it"
    ]


def test_a_member_that_answers_by_tcp_only_is_told() -> None:
    harness = joined(remote("web", 2))

    for _ in range(40):
        harness.pass_time(0.5)
        for request in harness.take_streams():
            if hasattr(harness.message(request), "sequence"):
                harness.answer_ping(request)

    (told,) = harness.warnings()
    assert "web" in told
    assert "UDP" in told


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"overlay": "172.16.0.1", "overlay_net": "172.16.0.0/12"}, "172.16.0.0/12"),
        ({"meta": metadata("10.9.9.3", 3, "v0.2")}, "--metadata-format v0.2"),
        ({"meta": b"what is this"}, "unreadable metadata"),
    ],
)
def test_a_member_that_cannot_be_a_peer_is_told_once_in_ten_minutes(
    extra: dict[str, Any], words: str
) -> None:
    harness = joined(remote("web", 2))
    odd = remote("db", 3, **extra)

    for incarnation in range(1, 20):
        harness.hear_alive(odd, incarnation=incarnation)
        harness.hear_alive(remote("web", 2), incarnation=incarnation, meta=b"%d" % incarnation)
        harness.pass_time(1)

    told = [text for text in harness.warnings() if "db" in text]
    assert len(told) == 1
    assert words in told[0]


def test_a_member_of_ours_in_the_other_format_is_no_trouble() -> None:
    harness = joined(remote("web", 2))

    harness.hear_alive(remote("db", 3, meta=metadata("10.9.9.3", 3, "v0.2", version="1")))
    harness.pass_time(0.2)

    assert harness.warnings() == []
    assert len(harness.plan.peers) == 2


def test_a_quiet_cluster_tells_nothing() -> None:
    harness = joined(remote("web", 2), remote("db", 3))
    harness.events.clear()

    harness.keep_alive(remote("web", 2), remote("db", 3), until=harness.now + 100)

    assert harness.warnings() == []
    assert harness.plan_changes() == 0


def test_that_nobody_answers_is_told_once() -> None:
    harness = Harness(seeds=(seed(A),)).start()

    for _ in range(12):
        harness.pass_time(5)
        harness.fail(*harness.take_streams())

    (told,) = harness.warnings()
    assert f"nobody answers at {A}:7946" in told


def test_seeds_without_an_address_are_told_of_as_such_only() -> None:
    harness = Harness(seeds=(seed("nosuchhost"),)).start()

    for request in harness.resolving():
        harness.resolve(request)
    harness.pass_time(10)

    (told,) = harness.warnings()
    assert told.startswith("seed nosuchhost has no address")


def test_a_seed_whose_name_is_still_looked_up_is_not_called_silent() -> None:
    harness = Harness(seeds=(seed("slow.example"),)).start()
    (request, *_) = harness.resolving()
    harness.pass_time(20)
    before = harness.warnings()

    harness.resolve(request, B)
    harness.fail(*harness.take_streams())
    harness.pass_time(5)

    assert before == []
    (told,) = harness.warnings()
    assert told.startswith("nobody answers at slow.example:7946: ")


def test_of_several_seeds_only_those_that_were_asked_are_called_silent() -> None:
    harness = Harness(seeds=(seed("nosuchhost"), seed(A))).start()

    for request in harness.resolving():
        harness.resolve(request)
    harness.fail(*harness.take_streams())
    harness.pass_time(5)

    unknown, silent = harness.warnings()
    assert unknown.startswith("seed nosuchhost has no address")
    assert silent.startswith(f"nobody answers at {A}:7946: ")


def test_who_has_found_others_is_told_nothing() -> None:
    harness = joined(remote("web", 2))

    harness.keep_alive(remote("web", 2), until=harness.now + 20)

    assert harness.warnings() == []


def test_who_leaves_is_not_woken_to_look_for_anybody() -> None:
    harness = joined(remote("web", 2))

    harness.leave()
    harness.pass_time(2 * INTERVAL)

    assert harness.take(Departed)
