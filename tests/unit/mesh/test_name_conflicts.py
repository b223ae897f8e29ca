"""One name at two addresses: members that move, and hosts that share a name, ours or another's."""

from typing import Any

import pytest

from tests.unit.mesh.node_harness import HERE, Harness, joined, metadata, remote, seed
from wesher.gossip import (
    Ack,
    Address,
    Alive,
    Dead,
    Ping,
    PushPull,
    Record,
    RecordState,
    StreamRequest,
    pack_ip,
    unpack_ip,
)
from wesher.mesh.base.events import Notice
from wesher.mesh.base.metadata import MetadataFormat
from wesher.mesh.base.seniority import TOGETHER
from wesher.mesh.members.name_conflicts import NEWCOMER, STAND_OFF
from wesher.mesh.members.name_takeover import AT_A_TIME, TRIES, in_need

A = "192.0.2.10"


def go_peer(name: str, number: int, format: MetadataFormat = "current", **changes: Any) -> Record:
    """Return the record of a member that is not ours."""
    meta = metadata(f"10.9.9.{number}", number, format)
    return remote(name, number, meta=meta, **changes)


def pinged(harness: Harness, name: str) -> list[tuple[str, Ping]]:
    """Return who was asked for `name` by packet since the last call, with the pings."""
    return [(to.ip, ping) for to, ping in harness.pings() if ping.node == name]


def answer(harness: Harness, pings: list[tuple[str, Ping]]) -> None:
    for ip, ping in pings:
        harness.hear(Ack(ping.sequence), ip=ip)


def silent(harness: Harness, *members: Record) -> None:
    """Let an inquiry find nobody."""
    harness.fail(*harness.take_streams())
    harness.keep_alive(*members, until=harness.now + 3.5)


def address_of(harness: Harness, name: str) -> bytes:
    return next(record for record in harness.push() if record.name == name).addr


# A member that moves


WEB, DB = remote("web", 2), remote("db", 3)
ELSEWHERE = remote("web", 50, meta=WEB.meta, incarnation=2)


def test_a_member_moves_when_nobody_is_at_its_old_address() -> None:
    harness = joined(WEB, DB)
    harness.packets.clear()

    harness.hear_alive(ELSEWHERE)
    asked = [ip for ip, _ in pinged(harness, "web")]
    before = address_of(harness, "web")
    silent(harness, DB)

    assert asked == ["192.0.2.2"]
    assert before == WEB.addr
    assert address_of(harness, "web") == ELSEWHERE.addr
    assert harness.warnings() == []


def test_its_peer_moves_with_it() -> None:
    harness = joined(WEB, DB)
    harness.hear_alive(ELSEWHERE)

    silent(harness, DB)
    harness.pass_time(0.2)

    endpoints = {key: str(peer.endpoint) for key, peer in harness.plan.peers.items()}
    assert endpoints[harness.key(2)] == "192.0.2.50:51820"


def test_a_failed_member_returns_at_another_address() -> None:
    harness = joined(WEB, DB)
    harness.hear(Dead(1, "web", "db"))

    harness.hear_alive(ELSEWHERE)
    silent(harness, DB)

    assert address_of(harness, "web") == ELSEWHERE.addr


def test_two_hosts_of_one_name_are_told_when_both_are_there() -> None:
    harness = joined(WEB, DB)
    harness.packets.clear()

    harness.hear_alive(ELSEWHERE)
    answer(harness, pinged(harness, "web"))

    assert address_of(harness, "web") == WEB.addr
    (told,) = harness.warnings()
    assert "192.0.2.2" in told
    assert "192.0.2.50" in told


@pytest.mark.parametrize("incarnation", [0, 1])
@pytest.mark.parametrize("there", [True, False])
def test_an_older_claim_is_told_only_if_somebody_is_there(incarnation: int, there: bool) -> None:
    harness = joined(WEB, DB)
    harness.packets.clear()

    harness.hear_alive(ELSEWHERE, incarnation=incarnation)
    asked = pinged(harness, "web")
    if there:
        answer(harness, asked)
    else:
        silent(harness, WEB, DB)

    assert [ip for ip, _ in asked] == ["192.0.2.50"]
    assert address_of(harness, "web") == WEB.addr
    assert len(harness.warnings()) == there


def test_what_has_been_overtaken_moves_nobody() -> None:
    harness = joined(WEB, DB)
    harness.hear_alive(ELSEWHERE)

    harness.hear_alive(WEB, incarnation=3)
    silent(harness, DB)

    assert address_of(harness, "web") == WEB.addr


# Taking our name over


def moved_here(*members: Record, held: Record | None = None, **settings: Any) -> Harness:
    """Return a node that has found its name at another address, where nobody answered."""
    held = held or remote("local", 50, incarnation=7)
    harness = Harness(seeds=(seed(A),), **settings).start()
    (look,) = harness.take_streams()
    harness.answer(look, held, *members)
    harness.fail(*harness.take_streams())
    harness.pass_time(3)
    return harness


def taken_over(harness: Harness) -> dict[str, tuple[StreamRequest, tuple[Record, ...]]]:
    """Return the requests since the last call that carry our old self, by where they went."""
    requests = harness.take_streams()
    tables = [(request, harness.table(request)) for request in requests]
    return {
        request.to.ip: (request, records)
        for request, records in tables
        if sum(record.name == "local" for record in records) == 3
    }


def test_it_says_whom_it_waits_for_and_that_it_takes_the_name_over() -> None:
    harness = moved_here(WEB)

    told = [one.text.format(**one.data) for one in harness.events if isinstance(one, Notice)]
    assert any("asking whether somebody is still there" in text for text in told)
    assert any("nobody answers at 192.0.2.50:7946: taking" in text for text in told)


@pytest.mark.parametrize("state", [RecordState.ALIVE, RecordState.SUSPECT, RecordState.DEAD])
def test_members_hear_of_the_old_self_and_its_departure_before_the_new_one(
    state: RecordState,
) -> None:
    harness = moved_here(WEB, held=remote("local", 50, incarnation=7, state=state))

    _, records = taken_over(harness)["192.0.2.2"]

    ours = [record for record in records if record.name == "local"]
    assert [(one.incarnation, one.state, one.addr) for one in ours] == [
        (8, RecordState.ALIVE, pack_ip("192.0.2.50")),
        (8, RecordState.LEFT, pack_ip("192.0.2.50")),
        (9, RecordState.ALIVE, pack_ip(HERE)),
    ]


def test_our_name_gone_from_elsewhere_needs_no_procedure() -> None:
    harness = moved_here(WEB, held=remote("local", 50, state=RecordState.LEFT))

    assert taken_over(harness) == {}


def test_members_that_take_no_notice_of_a_departure_are_left_alone() -> None:
    members = [go_peer("old", 2, "v0.2"), go_peer("new", 3), remote("ours", 4), WEB]
    failed = remote("failed", 5, state=RecordState.DEAD)

    assert in_need([*members, remote("odd", 6, meta=b"?")], 7946) == [
        Address("192.0.2.3", 7946),
        Address("192.0.2.6", 7946),
        Address("192.0.2.2", 7946),
        Address("192.0.2.4", 7946),
    ]
    assert set(taken_over(moved_here(*members[1:], failed))) == {
        "192.0.2.2",
        "192.0.2.3",
        "192.0.2.4",
    }


def test_a_large_cluster_is_told_a_few_at_a_time() -> None:
    members = [remote(f"n{number}", number) for number in range(100, 130)]
    harness = moved_here(*members)

    first = len(taken_over(harness))
    harness.pass_time(2)

    assert first == AT_A_TIME
    assert len(taken_over(harness)) == 30 - AT_A_TIME


def test_who_can_not_be_told_is_tried_again_a_few_times() -> None:
    harness = moved_here(WEB)
    tried = 0

    for _ in range(10):
        tries = taken_over(harness)
        tried += len(tries)
        harness.fail(*(request for request, _ in tries.values()))
        harness.pass_time(1)

    assert tried == TRIES


def test_who_still_shows_our_old_self_later_is_told_again_above_what_it_has() -> None:
    harness = moved_here(WEB)
    (told, _) = taken_over(harness)["192.0.2.2"]
    harness.answer(told, WEB, remote("local", 50, incarnation=7))
    harness.pass_time(2)
    straight_after = taken_over(harness)

    harness.reach(Address("192.0.2.2", 7946))
    (request,) = harness.take_streams()
    harness.answer(request, WEB, remote("local", 50, incarnation=20))
    harness.pass_time(1)

    assert straight_after == {}
    _, records = taken_over(harness)["192.0.2.2"]
    assert [one.incarnation for one in records if one.name == "local"][:2] == [21, 21]
    assert harness.record.incarnation == 22


def test_echoes_of_the_old_self_do_not_disturb() -> None:
    harness = moved_here(WEB)
    harness.packets.clear()
    harness.events.clear()

    harness.hear_alive(remote("local", 50, incarnation=7))

    assert pinged(harness, "local") == []
    assert harness.warnings() == []


def test_the_takeover_works() -> None:
    harness = moved_here(WEB)
    _, records = taken_over(harness)["192.0.2.2"]
    web = joined(remote("local", 50, incarnation=7), remote("other", 9), name="web")

    web.push(*records)

    assert address_of(web, "local") == pack_ip(HERE)


# Newcomers of one name


def newcomer(ip: str = HERE, **settings: Any) -> Harness:
    """Return a node that has just entered, and has met another of its name."""
    harness = joined(WEB, ip=ip, **settings)
    harness.packets.clear()
    harness.take_streams()
    return harness


LATER, EARLIER = remote("local", 50), remote("local", 51, ip="192.0.2.0")


def have_said(harness: Harness, *held: Record) -> list[str]:
    """Let the members that are asked whom they hold under our name answer with these records."""
    requests = [one for one in harness.take_streams() if isinstance(harness.message(one), PushPull)]
    for request in requests:
        harness.answer(request, *held)
    return [request.to.ip for request in requests]


def test_of_two_newcomers_the_greater_address_gives_way() -> None:
    harness = newcomer()

    harness.hear_alive(EARLIER)
    answer(harness, pinged(harness, "local"))

    assert "192.0.2.0:7946" in (refusal := harness.refusal())
    assert "--node-name" in refusal


RIVALS = [go_peer("local", 51, format, ip="192.0.2.0") for format in ("current", "v0.2")]


@pytest.mark.parametrize(("rival", "waited"), [(RIVALS[0], 1), (RIVALS[1], 1), (EARLIER, 11)])
def test_a_newcomer_that_was_first_stays_and_warns(rival: Record, waited: float) -> None:
    harness = newcomer()
    harness.keep_alive(WEB, until=harness.now + waited)
    harness.packets.clear()
    harness.take_streams()

    harness.hear_alive(rival)
    answer(harness, pinged(harness, "local"))
    asked = have_said(harness, WEB, remote("local", 1, ip=HERE))

    assert asked == ["192.0.2.2"]
    assert harness.refusal() == ""
    (told,) = harness.warnings()
    assert "192.0.2.0" in told

    harness.hear_alive(rival)
    assert pinged(harness, "local") == []
    assert harness.refusal() == ""


def test_a_newcomer_that_came_second_gives_way_to_a_go_member() -> None:
    harness = newcomer()

    harness.hear_alive(RIVALS[0])
    answer(harness, pinged(harness, "local"))
    have_said(harness, WEB, RIVALS[0])

    assert "192.0.2.0:7946" in harness.refusal()


@pytest.mark.parametrize(("waited", "stays"), [(TOGETHER - 1, False), (TOGETHER + 1, True)])
@pytest.mark.parametrize("silent_witness", [True, False])
def test_without_a_witness_our_own_clock_decides(
    waited: float, stays: bool, silent_witness: bool
) -> None:
    harness = newcomer()
    harness.keep_alive(WEB, until=harness.now + waited)
    harness.packets.clear()
    harness.take_streams()

    harness.hear_alive(RIVALS[0])
    answer(harness, pinged(harness, "local"))
    if silent_witness:
        harness.fail(*harness.take_streams())
    else:
        have_said(harness, WEB)

    assert (harness.refusal() == "") == stays


def test_the_smaller_stays_and_lets_the_other_know() -> None:
    harness = newcomer()

    harness.hear_alive(LATER)
    harness.take_streams()
    answer(harness, pinged(harness, "local"))
    reached = [request.to.ip for request in harness.take_streams()]
    harness.keep_alive(WEB, until=harness.now + STAND_OFF - 1)

    assert harness.refusal() == ""
    assert reached == ["192.0.2.50"]


def test_the_smaller_takes_the_name_once_the_other_is_gone() -> None:
    harness = newcomer()
    harness.hear_alive(LATER)
    answer(harness, pinged(harness, "local"))

    harness.keep_alive(WEB, until=harness.now + STAND_OFF + 1)
    silent(harness, WEB)
    harness.pass_time(0.1)

    assert harness.refusal() == ""
    assert "192.0.2.2" in taken_over(harness)


def test_it_gives_way_to_one_that_stays_in_spite_of_its_greater_address() -> None:
    harness = newcomer()
    harness.hear_alive(LATER)
    answer(harness, pinged(harness, "local"))

    harness.keep_alive(WEB, until=harness.now + STAND_OFF - 1)
    harness.pass_time(1.5)
    answer(harness, pinged(harness, "local"))

    assert "192.0.2.50:7946" in harness.refusal()


def test_a_newcomer_takes_its_name_from_one_that_is_not_there() -> None:
    harness = newcomer()

    harness.hear_alive(EARLIER, incarnation=9)
    silent(harness, WEB)

    assert harness.refusal() == ""
    assert harness.record.incarnation == 11
    assert "192.0.2.2" in taken_over(harness)


def test_who_has_been_here_for_long_only_warns() -> None:
    harness = newcomer()
    harness.keep_alive(WEB, until=harness.now + NEWCOMER)

    harness.hear_alive(EARLIER, incarnation=9)

    assert pinged(harness, "local") == []
    (told,) = harness.warnings()
    assert "192.0.2.0" in told
    assert "--node-name" in told


def test_an_impossible_address_in_a_claim_is_nobody() -> None:
    harness = joined(WEB)
    harness.packets.clear()

    harness.hear(Alive(9, "web", b"abc", 7946, b"", bytes([1, 5, 2, 0, 0, 0])))

    assert pinged(harness, "web") == []


# Our own address changes while we run


def moved_from_here(*members: Record) -> Harness:
    harness = joined(*members)
    harness.take_streams()
    harness.node.move_to("192.0.2.50", harness.now)
    harness.pass_time(0.1)
    return harness


def test_a_new_address_of_ours_is_announced_as_a_takeover() -> None:
    harness = moved_from_here(remote("web", 2))

    (request,) = [one for one in harness.take_streams() if one.to.ip == "192.0.2.2"]
    there, gone, *table = harness.table(request)
    here = next(record for record in table if record.name == "local")
    assert [unpack_ip(one.addr) for one in (there, gone, here)] == [HERE, HERE, "192.0.2.50"]
    assert (there.state, gone.state, here.state) == (RecordState.ALIVE, RecordState.LEFT, 0)
    assert there.incarnation == gone.incarnation == here.incarnation - 1
    assert harness.node.status().address.ip == "192.0.2.50"


def test_what_is_left_of_our_old_addresses_is_no_namesake() -> None:
    harness = moved_from_here(remote("web", 2))
    harness.node.move_to("192.0.2.51", harness.now)

    for old in (HERE, "192.0.2.50"):
        harness.push(remote("local", 1, ip=old))
    harness.pass_time(5)

    assert harness.warnings() == []


def test_moving_back_is_a_move_like_any_other() -> None:
    harness = moved_from_here(remote("web", 2))
    before = harness.node.status().incarnation

    harness.node.move_to(HERE, harness.now)
    harness.push(remote("local", 1, ip="192.0.2.50"))
    harness.pass_time(1)

    assert before
    assert harness.node.status().incarnation == before + 2
    assert harness.node.status().address.ip == HERE
