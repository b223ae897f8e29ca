"""One name at two addresses: members that move, and hosts that share a name, ours or another's."""

import pytest

from tests.unit.mesh.node_bench import HERE, Bench, joined, metadata, remote, seed
from wesher.gossip import (
    Ack,
    Address,
    Alive,
    Dead,
    PushPull,
    RecordState,
    pack_ip,
    unpack_ip,
)
from wesher.mesh.base.seniority import TOGETHER
from wesher.mesh.members.name_conflicts import NEWCOMER, STAND_OFF
from wesher.mesh.members.name_takeover import AT_A_TIME, TRIES, in_need

A = "192.0.2.10"


def go_peer(name, number, format="current", **changes):
    """Return the record of a member that is not ours."""
    meta = metadata(f"10.9.9.{number}", number, format)
    return remote(name, number, meta=meta, **changes)


def pinged(bench, name):
    """Return who was asked for `name` by packet since the last call, with the pings."""
    return [(to.ip, ping) for to, ping in bench.pings() if ping.node == name]


def answer(bench, pings):
    for ip, ping in pings:
        bench.hear(Ack(ping.sequence), ip=ip)


def silent(bench, *members):
    """Let an inquiry find nobody."""
    bench.fail(*bench.take_streams())
    bench.keep_alive(*members, until=bench.now + 3.5)


def address_of(bench, name):
    return next(record for record in bench.push() if record.name == name).addr


# A member that moves


WEB, DB = remote("web", 2), remote("db", 3)
ELSEWHERE = remote("web", 50, meta=WEB.meta, incarnation=2)


def test_a_member_moves_when_nobody_is_at_its_old_address():
    bench = joined(WEB, DB)
    bench.packets.clear()

    bench.hear_alive(ELSEWHERE)
    asked = [ip for ip, _ in pinged(bench, "web")]
    before = address_of(bench, "web")
    silent(bench, DB)

    assert asked == ["192.0.2.2"]
    assert before == WEB.addr
    assert address_of(bench, "web") == ELSEWHERE.addr
    assert bench.warnings() == []


def test_its_peer_moves_with_it():
    bench = joined(WEB, DB)
    bench.hear_alive(ELSEWHERE)

    silent(bench, DB)
    bench.pass_time(0.2)

    endpoints = {key: str(peer.endpoint) for key, peer in bench.plan.peers.items()}
    assert endpoints[bench.key(2)] == "192.0.2.50:51820"


def test_a_failed_member_returns_at_another_address():
    bench = joined(WEB, DB)
    bench.hear(Dead(1, "web", "db"))

    bench.hear_alive(ELSEWHERE)
    silent(bench, DB)

    assert address_of(bench, "web") == ELSEWHERE.addr


def test_two_hosts_of_one_name_are_told_when_both_are_there():
    bench = joined(WEB, DB)
    bench.packets.clear()

    bench.hear_alive(ELSEWHERE)
    answer(bench, pinged(bench, "web"))

    assert address_of(bench, "web") == WEB.addr
    (told,) = bench.warnings()
    assert "192.0.2.2" in told
    assert "192.0.2.50" in told


@pytest.mark.parametrize("incarnation", [0, 1])
@pytest.mark.parametrize("there", [True, False])
def test_an_older_claim_is_told_only_if_somebody_is_there(incarnation, there):
    bench = joined(WEB, DB)
    bench.packets.clear()

    bench.hear_alive(ELSEWHERE, incarnation=incarnation)
    asked = pinged(bench, "web")
    if there:
        answer(bench, asked)
    else:
        silent(bench, WEB, DB)

    assert [ip for ip, _ in asked] == ["192.0.2.50"]
    assert address_of(bench, "web") == WEB.addr
    assert len(bench.warnings()) == there


def test_what_has_been_overtaken_moves_nobody():
    bench = joined(WEB, DB)
    bench.hear_alive(ELSEWHERE)

    bench.hear_alive(WEB, incarnation=3)
    silent(bench, DB)

    assert address_of(bench, "web") == WEB.addr


# Taking our name over


def moved_here(*members, held=None, **settings):
    """Return a node that has found its name at another address, where nobody answered."""
    held = held or remote("local", 50, incarnation=7)
    bench = Bench(seeds=(seed(A),), **settings).start()
    (look,) = bench.take_streams()
    bench.answer(look, held, *members)
    bench.fail(*bench.take_streams())
    bench.pass_time(3)
    return bench


def taken_over(bench):
    """Return the requests since the last call that carry our old self, by where they went."""
    requests = bench.take_streams()
    tables = [(request, bench.message(request).records) for request in requests]
    return {
        request.to.ip: (request, records)
        for request, records in tables
        if sum(record.name == "local" for record in records) == 3
    }


def test_it_says_whom_it_waits_for_and_that_it_takes_the_name_over():
    bench = moved_here(WEB)

    told = [event.text.format(**event.data) for event in bench.events if hasattr(event, "text")]
    assert any("asking whether somebody is still there" in text for text in told)
    assert any("nobody answers at 192.0.2.50:7946: taking" in text for text in told)


@pytest.mark.parametrize("state", [RecordState.ALIVE, RecordState.SUSPECT, RecordState.DEAD])
def test_members_hear_of_the_old_self_and_its_departure_before_the_new_one(state):
    bench = moved_here(WEB, held=remote("local", 50, incarnation=7, state=state))

    _, records = taken_over(bench)["192.0.2.2"]

    ours = [record for record in records if record.name == "local"]
    assert [(one.incarnation, one.state, one.addr) for one in ours] == [
        (8, RecordState.ALIVE, pack_ip("192.0.2.50")),
        (8, RecordState.LEFT, pack_ip("192.0.2.50")),
        (9, RecordState.ALIVE, pack_ip(HERE)),
    ]


def test_our_name_gone_from_elsewhere_needs_no_procedure():
    bench = moved_here(WEB, held=remote("local", 50, state=RecordState.LEFT))

    assert taken_over(bench) == {}


def test_members_that_take_no_notice_of_a_departure_are_left_alone():
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


def test_a_large_cluster_is_told_a_few_at_a_time():
    members = [remote(f"n{number}", number) for number in range(100, 130)]
    bench = moved_here(*members)

    first = len(taken_over(bench))
    bench.pass_time(2)

    assert first == AT_A_TIME
    assert len(taken_over(bench)) == 30 - AT_A_TIME


def test_who_can_not_be_told_is_tried_again_a_few_times():
    bench = moved_here(WEB)
    tried = 0

    for _ in range(10):
        tries = taken_over(bench)
        tried += len(tries)
        bench.fail(*(request for request, _ in tries.values()))
        bench.pass_time(1)

    assert tried == TRIES


def test_who_still_shows_our_old_self_later_is_told_again_above_what_it_has():
    bench = moved_here(WEB)
    (told, _) = taken_over(bench)["192.0.2.2"]
    bench.answer(told, WEB, remote("local", 50, incarnation=7))
    bench.pass_time(2)
    straight_after = taken_over(bench)

    bench.node._coordinator.discovery.reach(Address("192.0.2.2", 7946), bench.now)
    bench._drain()
    (request,) = bench.take_streams()
    bench.answer(request, WEB, remote("local", 50, incarnation=20))
    bench.pass_time(1)

    assert straight_after == {}
    _, records = taken_over(bench)["192.0.2.2"]
    assert [one.incarnation for one in records if one.name == "local"][:2] == [21, 21]
    assert bench.record.incarnation == 22


def test_echoes_of_the_old_self_do_not_disturb():
    bench = moved_here(WEB)
    bench.packets.clear()
    bench.events.clear()

    bench.hear_alive(remote("local", 50, incarnation=7))

    assert pinged(bench, "local") == []
    assert bench.warnings() == []


def test_the_takeover_works():
    bench = moved_here(WEB)
    _, records = taken_over(bench)["192.0.2.2"]
    web = joined(remote("local", 50, incarnation=7), remote("other", 9), name="web")

    web.push(*records)

    assert address_of(web, "local") == pack_ip(HERE)


# Newcomers of one name


def newcomer(ip=HERE, **settings):
    """Return a node that has just entered, and has met another of its name."""
    bench = joined(WEB, ip=ip, **settings)
    bench.packets.clear()
    bench.take_streams()
    return bench


LATER, EARLIER = remote("local", 50), remote("local", 51, ip="192.0.2.0")


def have_said(bench, *held):
    """Let the members that are asked whom they hold under our name answer with these records."""
    requests = [one for one in bench.take_streams() if isinstance(bench.message(one), PushPull)]
    for request in requests:
        bench.answer(request, *held)
    return [request.to.ip for request in requests]


def test_of_two_newcomers_the_greater_address_gives_way():
    bench = newcomer()

    bench.hear_alive(EARLIER)
    answer(bench, pinged(bench, "local"))

    assert "192.0.2.0:7946" in (refusal := bench.refusal())
    assert "--node-name" in refusal


RIVALS = [go_peer("local", 51, format, ip="192.0.2.0") for format in ("current", "v0.2")]


@pytest.mark.parametrize(("rival", "waited"), [(RIVALS[0], 1), (RIVALS[1], 1), (EARLIER, 11)])
def test_a_newcomer_that_was_first_stays_and_warns(rival, waited):
    bench = newcomer()
    bench.keep_alive(WEB, until=bench.now + waited)
    bench.packets.clear()
    bench.take_streams()

    bench.hear_alive(rival)
    answer(bench, pinged(bench, "local"))
    asked = have_said(bench, WEB, remote("local", 1, ip=HERE))

    assert asked == ["192.0.2.2"]
    assert bench.refusal() is None
    (told,) = bench.warnings()
    assert "192.0.2.0" in told

    bench.hear_alive(rival)
    assert pinged(bench, "local") == []
    assert bench.refusal() is None


def test_a_newcomer_that_came_second_gives_way_to_a_go_member():
    bench = newcomer()

    bench.hear_alive(RIVALS[0])
    answer(bench, pinged(bench, "local"))
    have_said(bench, WEB, RIVALS[0])

    assert "192.0.2.0:7946" in bench.refusal()


@pytest.mark.parametrize(("waited", "stays"), [(TOGETHER - 1, False), (TOGETHER + 1, True)])
@pytest.mark.parametrize("silent_witness", [True, False])
def test_without_a_witness_our_own_clock_decides(waited, stays, silent_witness):
    bench = newcomer()
    bench.keep_alive(WEB, until=bench.now + waited)
    bench.packets.clear()
    bench.take_streams()

    bench.hear_alive(RIVALS[0])
    answer(bench, pinged(bench, "local"))
    if silent_witness:
        bench.fail(*bench.take_streams())
    else:
        have_said(bench, WEB)

    assert (bench.refusal() is None) == stays


def test_the_smaller_stays_and_lets_the_other_know():
    bench = newcomer()

    bench.hear_alive(LATER)
    bench.take_streams()
    answer(bench, pinged(bench, "local"))
    reached = [request.to.ip for request in bench.take_streams()]
    bench.keep_alive(WEB, until=bench.now + STAND_OFF - 1)

    assert bench.refusal() is None
    assert reached == ["192.0.2.50"]


def test_the_smaller_takes_the_name_once_the_other_is_gone():
    bench = newcomer()
    bench.hear_alive(LATER)
    answer(bench, pinged(bench, "local"))

    bench.keep_alive(WEB, until=bench.now + STAND_OFF + 1)
    silent(bench, WEB)
    bench.pass_time(0.1)

    assert bench.refusal() is None
    assert "192.0.2.2" in taken_over(bench)


def test_it_gives_way_to_one_that_stays_in_spite_of_its_greater_address():
    bench = newcomer()
    bench.hear_alive(LATER)
    answer(bench, pinged(bench, "local"))

    bench.keep_alive(WEB, until=bench.now + STAND_OFF - 1)
    bench.pass_time(1.5)
    answer(bench, pinged(bench, "local"))

    assert "192.0.2.50:7946" in bench.refusal()


def test_a_newcomer_takes_its_name_from_one_that_is_not_there():
    bench = newcomer()

    bench.hear_alive(EARLIER, incarnation=9)
    silent(bench, WEB)

    assert bench.refusal() is None
    assert bench.record.incarnation == 11
    assert "192.0.2.2" in taken_over(bench)


def test_who_has_been_here_for_long_only_warns():
    bench = newcomer()
    bench.keep_alive(WEB, until=bench.now + NEWCOMER)

    bench.hear_alive(EARLIER, incarnation=9)

    assert pinged(bench, "local") == []
    (told,) = bench.warnings()
    assert "192.0.2.0" in told
    assert "--node-name" in told


def test_an_impossible_address_in_a_claim_is_nobody():
    bench = joined(WEB)
    bench.packets.clear()

    bench.hear(Alive(9, "web", b"abc", 7946, b"", bytes([1, 5, 2, 0, 0, 0])))

    assert pinged(bench, "web") == []


# Our own address changes while we run


def moved_from_here(*members):
    bench = joined(*members)
    bench.take_streams()
    bench.node.move_to("192.0.2.50", bench.now)
    bench.pass_time(0.1)
    return bench


def test_a_new_address_of_ours_is_announced_as_a_takeover():
    bench = moved_from_here(remote("web", 2))

    (request,) = [one for one in bench.take_streams() if one.to.ip == "192.0.2.2"]
    there, gone, *table = bench.message(request).records
    here = next(record for record in table if record.name == "local")
    assert [unpack_ip(one.addr) for one in (there, gone, here)] == [HERE, HERE, "192.0.2.50"]
    assert (there.state, gone.state, here.state) == (RecordState.ALIVE, RecordState.LEFT, 0)
    assert there.incarnation == gone.incarnation == here.incarnation - 1
    assert bench.node.status().address.ip == "192.0.2.50"


def test_what_is_left_of_our_old_addresses_is_no_namesake():
    bench = moved_from_here(remote("web", 2))
    bench.node.move_to("192.0.2.51", bench.now)

    for old in (HERE, "192.0.2.50"):
        bench.push(remote("local", 1, ip=old))
    bench.pass_time(5)

    assert bench.warnings() == []


def test_moving_back_is_a_move_like_any_other():
    bench = moved_from_here(remote("web", 2))
    before = bench.node.status().incarnation

    bench.node.move_to(HERE, bench.now)
    bench.push(remote("local", 1, ip="192.0.2.50"))
    bench.pass_time(1)

    assert bench.node.status().incarnation == before + 2
    assert bench.node.status().address.ip == HERE
