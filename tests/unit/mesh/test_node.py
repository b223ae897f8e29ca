"""How a node looks, enters its cluster and is refused; what it keeps for the next start."""

from dataclasses import replace

import pytest

from tests.unit.mesh.node_bench import (
    HERE,
    SETTINGS,
    Bench,
    joined,
    metadata,
    remote,
    saved,
    seed,
)
from wesher.gossip import Ack, Address, Dead, RecordState, pack_ip
from wesher.mesh.base.address import overlay_address
from wesher.mesh.base.events import Departed
from wesher.mesh.base.local_facts import LocalFacts
from wesher.mesh.discovery.lookup import GRACE, HOLDER_PATIENCE, PATIENCE
from wesher.mesh.members.left_members import MAX_LEFT

A, B, C = "192.0.2.10", "192.0.2.11", "192.0.2.12"
FIRST_CHOICE = str(overlay_address("local", SETTINGS.overlay_net))


def looking(*hosts, earlier=None, **settings):
    """Return a node that has just begun to look, and its requests."""
    bench = Bench(earlier, seeds=tuple(map(seed, hosts)), **settings).start()
    return bench, bench.take_streams()


# Entering


def test_the_first_of_its_cluster_announces_itself_at_once():
    bench = Bench().start()

    assert bench.take_streams() == []
    assert bench.plan.complete
    assert str(bench.plan.interface.address) == FIRST_CHOICE == bench.overlay_addr
    assert bench.record.incarnation == 1


def test_whoever_has_contacts_looks_at_all_of_them_at_once_and_says_nothing():
    bench, requests = looking(A, B, earlier=saved(C))

    assert sorted(request.to.ip for request in requests) == [A, B, C]
    assert all(bench.message(request).records == () for request in requests)
    assert bench.plan is None
    assert bench.record is None


def test_every_seed_is_looked_at_and_some_of_the_saved_members():
    seeds = [f"192.0.2.{number}" for number in range(10, 30)]
    members = [f"192.0.2.{number}" for number in range(100, 200)]

    _, requests = looking(*seeds, earlier=saved(*members))

    asked = [request.to.ip for request in requests]
    assert asked[:20] == seeds
    assert 1 <= len(asked[20:]) <= 10


def test_it_enters_when_everybody_has_answered_and_joins_whoever_did():
    bench, (a, b) = looking(A, B)
    bench.fail(b)
    waiting = bench.record is None

    bench.answer(a, remote("web", 2))

    assert waiting
    assert bench.asked() == [(A, "join")]
    assert bench.record.name == "local"


def test_it_enters_after_three_seconds_of_silence_and_goes_on_asking():
    bench, _ = looking(A)
    bench.pass_time(PATIENCE - 0.01)
    waiting = bench.record is None

    bench.pass_time(0.02)

    assert waiting
    assert bench.record
    assert bench.asked() == [(A, "join")]


def test_once_somebody_told_of_members_it_waits_half_a_second_for_the_others():
    bench, (a, _) = looking(A, B)
    bench.pass_time(0.1)
    bench.answer(a, remote("web", 2))

    bench.pass_time(GRACE - 0.01)
    waiting = bench.record is None
    bench.pass_time(0.02)

    assert waiting
    assert bench.record


def test_two_that_look_at_each_other_both_enter():
    bench, (a,) = looking(A)

    bench.answer(a)

    assert bench.record
    assert bench.asked() == [(A, "join")]
    assert not bench.node.saved()


def test_our_own_answer_does_not_count():
    bench, (own, a) = looking(HERE, A)

    reply = bench.loop_back(own)
    waiting = bench.record is None
    bench.fail(a)

    assert reply is None
    assert waiting
    assert bench.record
    assert bench.asked() == []
    assert not bench.plan.complete


def test_while_looking_pings_are_answered_and_what_is_said_of_us_is_not():
    bench, _ = looking(A)
    bench.hear_alive(remote("local", 9, ip=A, incarnation=5))
    bench.hear(Dead(5, "local", "web"))
    bench.packets.clear()

    bench.hear(ping := bench.ping_of_us())

    (packet,) = bench.packets
    assert bench.wire.open_packet(packet.data).messages == (Ack(ping.sequence),)
    assert bench.record is None


def test_the_answer_of_a_late_one_makes_us_join_it_too():
    bench, (a, b) = looking(A, B)
    bench.answer(a, remote("web", 2))
    bench.pass_time(GRACE)
    bench.asked()

    bench.answer(b, remote("db", 3))

    assert (B, "join") in bench.asked()


def test_a_name_is_looked_up_before_the_look_is_over():
    bench, requests = looking("a.example", "b.example")
    first, second = bench.resolving()
    bench.resolve(second)
    waiting = bench.record is None

    bench.resolve(first, A, B, A)

    assert requests == []
    assert waiting
    assert bench.asked() == [(A, "look"), (B, "look")]


def test_a_name_that_is_looked_up_for_ever_does_not_hold_us_up():
    bench, _ = looking("a.example")
    (request,) = bench.resolving()

    bench.pass_time(PATIENCE)
    entered = bench.record
    bench.resolve(request, A)

    assert entered
    assert bench.asked() == [(A, "join")]


# Our name and earlier selves


def test_our_name_alive_elsewhere_and_answering_is_refused():
    bench, (a,) = looking(A)
    bench.answer(a, remote("local", 50))
    by_packet = [to for to, ping in bench.pings() if ping.node == "local"]
    (by_stream,) = bench.take_streams()

    bench.answer_ping(by_stream)

    assert by_packet == [Address("192.0.2.50", 7946)]
    assert by_stream.to == Address("192.0.2.50", 7946)
    assert "192.0.2.50:7946" in (reason := bench.refusal())
    assert "--node-name" in reason
    assert bench.record is None


def test_a_packet_as_answer_is_enough_for_the_refusal():
    bench, (a,) = looking(A)
    bench.answer(a, remote("local", 50))
    ((_, ping),) = bench.pings()

    bench.hear(Ack(ping.sequence), ip="192.0.2.50")

    assert bench.refusal()


def test_who_is_refused_sleeps_until_it_is_stopped():
    bench, (a,) = looking(A)
    bench.answer(a, remote("local", 50))
    bench.answer_ping(bench.take_streams()[0])

    bench.pass_time(60)

    assert bench.asked() == []
    assert bench.record is None
    assert bench.node.saved() is None


def test_our_name_alive_elsewhere_but_silent_is_our_earlier_self():
    bench, (a,) = looking(A)
    bench.answer(a, remote("local", 50, incarnation=7))
    (by_stream,) = bench.take_streams()

    bench.fail(by_stream)
    waiting = bench.record is None
    bench.pass_time(HOLDER_PATIENCE)

    assert waiting
    assert bench.refusal() is None
    assert bench.record.incarnation == 9
    assert bench.record.addr == pack_ip(HERE)


def test_our_name_gone_from_elsewhere_costs_no_time():
    bench, (a,) = looking(A)

    bench.answer(a, remote("local", 50, state=RecordState.LEFT, incarnation=7))

    assert bench.record.incarnation == 8


@pytest.mark.parametrize(
    ("known", "earlier", "incarnation"),
    [(7, 0, 8), (7, 9, 10), (0, 3, 4), (2**31, 0, 2**31 + 1), (2**32 - 2, 5, 6)],
)
def test_it_starts_above_every_incarnation_it_was_seen_with(known, earlier, incarnation):
    bench, (a,) = looking(A, earlier=saved(incarnation=earlier))

    bench.answer(a, remote("local", 50, ip=HERE, incarnation=known))

    assert bench.record.incarnation == incarnation


@pytest.mark.parametrize("mapped_there", [False, True])
@pytest.mark.parametrize("mapped_here", [False, True])
def test_it_writes_its_address_as_the_members_have_it(mapped_here, mapped_there):
    bench, (a,) = looking(A, mapped=mapped_here)
    known = replace(remote("local", 1), addr=pack_ip(HERE, mapped=mapped_there))

    bench.answer(a, known)

    assert bench.record.addr == pack_ip(HERE, mapped=mapped_there)


def test_nobody_knowing_it_the_address_has_the_form_of_the_settings():
    bench = Bench(mapped=True).start()

    assert bench.record.addr == pack_ip(HERE, mapped=True)


# The overlay address


@pytest.mark.parametrize("state", [RecordState.ALIVE, RecordState.SUSPECT, RecordState.DEAD])
def test_an_address_that_somebody_holds_is_not_chosen(state):
    bench, (a,) = looking(A)

    bench.answer(a, remote("web", 2, FIRST_CHOICE, state=state))

    assert bench.overlay_addr == str(overlay_address("local", SETTINGS.overlay_net, 1))


@pytest.mark.parametrize(
    "record",
    [
        remote("web", 2, FIRST_CHOICE, state=RecordState.LEFT),
        remote("local", 1, FIRST_CHOICE, ip=HERE, state=RecordState.DEAD),
    ],
)
def test_an_address_of_one_that_left_or_of_our_earlier_self_is_free(record):
    bench, (a,) = looking(A)

    bench.answer(a, record)

    assert bench.overlay_addr == FIRST_CHOICE


def test_an_address_at_which_a_member_is_reached_is_not_chosen():
    bench, (a,) = looking(A)

    bench.answer(a, remote("web", 2, ip=FIRST_CHOICE))

    assert bench.overlay_addr != FIRST_CHOICE


def test_whoever_told_us_of_itself_while_we_looked_keeps_its_address():
    bench, (a,) = looking(A)
    bench.push(remote("web", 2, FIRST_CHOICE))

    bench.answer(a)

    assert bench.overlay_addr != FIRST_CHOICE


def test_an_earlier_address_is_kept_when_it_is_free():
    bench, (a,) = looking(A, earlier=saved(overlay_addr="10.7.7.7"))

    bench.answer(a, remote("web", 2))

    assert bench.overlay_addr == "10.7.7.7"
    assert bench.metadata.kept


def test_an_earlier_address_that_is_taken_meanwhile_is_left():
    bench, (a,) = looking(A, earlier=saved(overlay_addr="10.7.7.7"))

    bench.answer(a, remote("web", 2, "10.7.7.7"))

    assert bench.overlay_addr == FIRST_CHOICE
    assert not bench.metadata.kept


def test_a_fixed_address_is_announced_as_immovable():
    fixed = SETTINGS.overlay_net.network[77]
    bench, (a,) = looking(A, overlay_addr=fixed, earlier=saved(overlay_addr="10.7.7.7"))

    bench.answer(a, remote("web", 2))

    assert bench.overlay_addr == str(fixed)
    assert bench.metadata.immovable


@pytest.mark.parametrize("format", ["ours", "current", "v0.2"])
def test_a_fixed_address_that_a_live_member_has_is_refused(format):
    fixed = SETTINGS.overlay_net.network[77]
    bench, (a,) = looking(A, overlay_addr=fixed, earlier=saved(overlay_addr="10.7.7.7"))
    meta = None if format == "ours" else metadata(str(fixed), 2, format)

    bench.answer(a, remote("web", 2, str(fixed), meta=meta))

    assert bench.refusal() == (
        f"the overlay address {fixed} belongs to another live member, web: "
        "give this host another --overlay-addr, or none"
    )


@pytest.mark.parametrize("state", [RecordState.DEAD, RecordState.LEFT])
def test_a_fixed_address_of_a_member_that_is_not_there_is_taken(state):
    fixed = SETTINGS.overlay_net.network[77]
    bench, (a,) = looking(A, overlay_addr=fixed)

    bench.answer(a, remote("web", 2, str(fixed), state=state))

    assert bench.overlay_addr == str(fixed)


def test_a_fixed_address_that_somebody_took_while_we_were_away_is_claimed_again():
    fixed = SETTINGS.overlay_net.network[77]
    bench, (a,) = looking(A, overlay_addr=fixed, earlier=saved(overlay_addr=str(fixed)))

    bench.answer(a, remote("web", 2, str(fixed)))

    assert bench.overlay_addr == str(fixed)


def test_a_fixed_address_that_would_cut_this_host_off_is_refused():
    fixed = SETTINGS.overlay_net.network[77]
    bench = Bench(facts=LocalFacts(next_hops=frozenset([fixed])), overlay_addr=fixed).start()

    assert "--overlay-addr" in bench.refusal()
    assert bench.record is None


def test_a_full_network_is_refused():
    network = SETTINGS.overlay_net.__class__("10.0.0.0/30")
    bench, (a,) = looking(A, overlay_net=network)

    bench.answer(a, remote("web", 2, "10.0.0.1"), remote("db", 3, "10.0.0.2"))

    assert bench.refusal().startswith("the overlay network 10.0.0.0/30 is full: forget failed")


# The Plan


def test_members_become_peers_and_the_first_exchange_completes_the_plan():
    bench, (a,) = looking(A)
    bench.answer(a, remote("web", 2))
    (join,) = bench.take_streams()
    bench.pass_time(0.3)
    before = bench.plan

    bench.answer(join, remote("web", 2))
    bench.pass_time(0.2)

    assert not before.complete
    assert bench.plan.complete
    assert [(str(e.ip), e.name) for e in bench.plan.hosts] == [("10.9.9.2", "web")]


def test_an_exchange_with_one_that_knows_nobody_completes_nothing():
    bench, (a,) = looking(A)
    bench.answer(a)
    (join,) = bench.take_streams()

    bench.answer(join)
    bench.pass_time(0.3)

    assert not bench.plan.complete


def test_a_late_look_completes_nothing():
    bench, (a, b) = looking(A, B)
    bench.answer(a, remote("web", 2))
    bench.pass_time(GRACE)
    bench.push(remote("web", 2))

    bench.answer(b, remote("db", 3))
    bench.pass_time(0.2)

    assert list(bench.plan.peers) == [bench.key(2)]
    assert not bench.plan.complete


def test_a_failed_member_keeps_its_peer_until_it_is_forgotten():
    bench = joined(remote("web", 2), remote("db", 3), forget_after=3600)
    healthy = bench.plan

    bench.hear(Dead(1, "web", "db"))
    bench.pass_time(0.2)
    bench.keep_alive(remote("db", 3), until=bench.now + 3590)
    kept = bench.plan
    bench.pass_time(11)

    assert kept == healthy
    assert [entry.name for entry in bench.plan.hosts] == ["db"]


def test_a_failed_member_is_not_kept_for_no_time_at_all():
    bench = joined(remote("web", 2), remote("db", 3), forget_after=0)

    bench.hear(Dead(1, "web", "db"))
    bench.pass_time(0.2)
    without = [entry.name for entry in bench.plan.hosts]
    bench.hear_alive(remote("web", 2, incarnation=2))
    bench.pass_time(0.2)

    assert without == ["db"]
    assert [entry.name for entry in bench.plan.hosts] == ["db", "web"]


def test_a_member_that_left_is_gone_at_once():
    bench = joined(remote("web", 2), remote("db", 3))

    bench.hear(Dead(1, "web", "web"))
    bench.pass_time(0.2)

    assert [entry.name for entry in bench.plan.hosts] == ["db"]
    assert list(bench.plan.peers) == [bench.key(3)]


def test_a_failed_member_that_returns_with_another_key_replaces_its_peer():
    bench = joined(remote("web", 2), remote("db", 3))
    bench.hear(Dead(1, "web", "db"))

    bench.hear_alive(remote("web", 2, meta=metadata("10.9.9.2", 22), incarnation=2))
    bench.pass_time(0.2)

    assert set(bench.plan.peers) == {bench.key(22), bench.key(3)}


def test_many_changes_at_once_are_one_change_of_the_plan():
    bench = joined(remote("web", 2))

    for number in range(3, 53):
        bench.hear_alive(remote(f"n{number}", number))
    at_once = len(bench.plan.peers)
    told = bench.plan_changes()
    bench.pass_time(0.2)

    assert at_once < 51
    assert told + bench.plan_changes() <= 2
    assert len(bench.plan.peers) == 51


@pytest.mark.parametrize(("members", "most"), [(10, 100), (1000, 51)])
def test_the_larger_the_mesh_the_rarer_it_is_reviewed(members, most):
    several = [remote(f"n{n}", n, f"10.9.{n // 250}.{n % 250 + 1}", ip=HERE) for n in range(2, 12)]
    idle = [remote(f"idle{n}", n, meta=b"?", ip=HERE) for n in range(members)]
    bench = joined(*several, *idle)
    bench.pass_time(1)
    bench.plan_changes()

    for step in range(200):
        changed = remote("n2", 100 + step, "10.9.200.2", ip=HERE, incarnation=2 + step)
        bench.hear_alive(changed)
        bench.pass_time(0.05)

    assert most / 2 <= bench.plan_changes() <= most


def test_new_facts_about_the_host_change_the_plan():
    bench = joined(remote("web", 2))

    bench.update_facts(LocalFacts(foreign_host_names={"web": 3}))
    bench.pass_time(0.2)

    assert bench.plan.peers
    assert bench.plan.hosts == ()


def test_new_facts_before_there_is_an_address_wait_for_it():
    bench, (a,) = looking(A)

    bench.update_facts(
        LocalFacts(own_addresses=frozenset([overlay_address("local", SETTINGS.overlay_net)]))
    )
    early = bench.plan
    bench.answer(a, remote("web", 2))

    assert early is None
    assert bench.overlay_addr != FIRST_CHOICE


def test_the_same_facts_change_nothing():
    bench = joined(remote("web", 2))

    bench.update_facts(LocalFacts())
    bench.pass_time(0.2)

    assert not bench.plan_changes()


# What is kept


def test_live_failed_and_departed_members_are_saved_each_its_own_way():
    bench = joined(remote("web", 2), remote("db", 3), remote("mail", 4))
    bench.hear(Dead(1, "db", "web"))
    bench.hear(Dead(1, "mail", "mail"))

    kept = bench.node.saved()

    assert str(kept.overlay_addr) == bench.overlay_addr
    assert kept.incarnation == bench.record.incarnation
    assert [(m.name, m.address.ip, bool(m.meta), m.left) for m in kept.members] == [
        ("web", "192.0.2.2", True, False),
        ("db", "192.0.2.3", True, False),
        ("mail", "192.0.2.4", False, True),
    ]


def test_one_that_left_and_returned_is_saved_once():
    bench = joined(remote("web", 2), remote("db", 3))
    bench.hear(Dead(1, "web", "web"))

    bench.hear_alive(remote("web", 2, incarnation=2))

    assert [(m.name, m.left) for m in bench.node.saved().members] == [("web", False), ("db", False)]


def test_only_the_newest_of_many_that_left_are_saved():
    bench = joined(remote("db", 3))
    for number in range(MAX_LEFT + 10):
        bench.hear_alive(remote(f"n{number}", 5))
        bench.hear(Dead(1, f"n{number}", f"n{number}"))

    left = [member.name for member in bench.node.saved().members if member.left]

    assert left == [f"n{number}" for number in range(10, MAX_LEFT + 10)]


def test_nothing_is_saved_before_the_cluster_is_known():
    bench, (a,) = looking(A)
    while_looking = bench.node.saved()
    bench.answer(a, remote("web", 2))

    assert while_looking is None
    assert bench.node.saved() is None


def test_once_our_departure_has_begun_nothing_is_saved():
    bench = joined(remote("web", 2))
    before = bench.node.saved()

    bench.leave()
    bench.hear(Dead(1, "web", "web"))

    assert before
    assert bench.node.saved() is None


# Leaving


def test_leaving_is_told_and_over_within_a_second():
    bench = joined(remote("web", 2))

    bench.leave()
    told = [m for m in bench.heard_by("192.0.2.2") if isinstance(m, Dead)]
    bench.pass_time(1)

    assert told[0].node == told[0].accuser == "local"
    assert bench.take(Departed) == [Departed()]


@pytest.mark.parametrize("hosts", [(), (A,)])
def test_leaving_alone_or_while_looking_is_over_at_once(hosts):
    bench, _ = looking(*hosts)

    bench.leave()

    assert bench.take(Departed) == [Departed()]


def test_who_has_left_contacts_nobody_any_more():
    bench, (a,) = looking(A)
    bench.leave()

    bench.answer(a, remote("web", 2))
    bench.pass_time(120)

    assert bench.asked() == []
    assert bench.record is None


def test_who_leaves_does_not_move_to_another_address_any_more():
    bench = joined(remote("web", 2))
    ours = bench.overlay_addr
    rival = remote("go", 3, meta=metadata(ours, 3))

    bench.leave()
    bench.hear_alive(rival)
    bench.pass_time(0.5)

    assert str(bench.plan.interface.address) == ours
    assert bench.overlay_addr == ours
