"""How a node looks, enters its cluster and is refused; what it keeps for the next start."""

from typing import Any

import pytest

from tests.unit.mesh.node_harness import (
    HERE,
    SETTINGS,
    Harness,
    joined,
    metadata,
    remote,
    saved,
    seed,
)
from wesher.base.frozen import replace
from wesher.gossip import Ack, Address, Dead, Record, RecordState, StreamRequest, pack_ip
from wesher.mesh.base.address import overlay_address
from wesher.mesh.base.events import Departed
from wesher.mesh.base.metadata import MetadataFormat
from wesher.mesh.base.plan import LocalFacts
from wesher.mesh.base.saved import Saved
from wesher.mesh.base.settings import Adjustable
from wesher.mesh.discovery.lookup import GRACE, HOLDER_PATIENCE, PATIENCE
from wesher.mesh.members.left_members import MAX_LEFT

A, B, C = "192.0.2.10", "192.0.2.11", "192.0.2.12"
FIRST_CHOICE = str(overlay_address("local", SETTINGS.overlay_net))


def looking(
    *hosts: str, earlier: Saved | None = None, **settings: Any
) -> tuple[Harness, list[StreamRequest]]:
    """Return a node that has just begun to look, and its requests."""
    harness = Harness(earlier, seeds=tuple(map(seed, hosts)), **settings).start()
    return harness, harness.take_streams()


# Entering


def test_the_first_of_its_cluster_announces_itself_at_once() -> None:
    harness = Harness().start()

    assert harness.take_streams() == []
    assert harness.plan.complete
    assert str(harness.plan.interface.address) == FIRST_CHOICE == harness.overlay_addr
    assert harness.record.incarnation == 1


def test_whoever_has_contacts_looks_at_all_of_them_at_once_and_says_nothing() -> None:
    harness, requests = looking(A, B, earlier=saved(C))

    assert sorted(request.to.ip for request in requests) == [A, B, C]
    assert all(harness.table(request) == () for request in requests)
    assert harness.node.plan() is None
    assert not harness.announced


def test_every_seed_is_looked_at_and_some_of_the_saved_members() -> None:
    seeds = [f"192.0.2.{number}" for number in range(10, 30)]
    members = [f"192.0.2.{number}" for number in range(100, 200)]

    _, requests = looking(*seeds, earlier=saved(*members))

    asked = [request.to.ip for request in requests]
    assert asked[:20] == seeds
    assert 1 <= len(asked[20:]) <= 10


def test_it_enters_when_everybody_has_answered_and_joins_whoever_did() -> None:
    harness, (a, b) = looking(A, B)
    harness.fail(b)
    waiting = not harness.announced

    harness.answer(a, remote("web", 2))

    assert waiting
    assert harness.asked() == [(A, "join")]
    assert harness.record.name == "local"


def test_it_enters_after_three_seconds_of_silence_and_goes_on_asking() -> None:
    harness, _ = looking(A)
    harness.pass_time(PATIENCE - 0.01)
    waiting = not harness.announced

    harness.pass_time(0.02)

    assert waiting
    assert harness.announced
    assert harness.asked() == [(A, "join")]


def test_once_somebody_told_of_members_it_waits_half_a_second_for_the_others() -> None:
    harness, (a, _) = looking(A, B)
    harness.pass_time(0.1)
    harness.answer(a, remote("web", 2))

    harness.pass_time(GRACE - 0.01)
    waiting = not harness.announced
    harness.pass_time(0.02)

    assert waiting
    assert harness.announced


def test_two_that_look_at_each_other_both_enter() -> None:
    harness, (a,) = looking(A)

    harness.answer(a)

    assert harness.announced
    assert harness.asked() == [(A, "join")]
    assert harness.node.saved() is None


def test_our_own_answer_does_not_count() -> None:
    harness, (own, a) = looking(HERE, A)

    reply = harness.loop_back(own)
    waiting = not harness.announced
    harness.fail(a)

    assert reply is None
    assert waiting
    assert harness.announced
    assert harness.asked() == []
    assert not harness.plan.complete


def test_while_looking_pings_are_answered_and_what_is_said_of_us_is_not() -> None:
    harness, _ = looking(A)
    harness.hear_alive(remote("local", 9, ip=A, incarnation=5))
    harness.hear(Dead(5, "local", "web"))
    harness.packets.clear()

    harness.hear(ping := harness.ping_of_us())

    (packet,) = harness.packets
    assert harness.wire.open_packet(packet.data).messages == (Ack(ping.sequence),)
    assert not harness.announced


def test_the_answer_of_a_late_one_makes_us_join_it_too() -> None:
    harness, (a, b) = looking(A, B)
    harness.answer(a, remote("web", 2))
    harness.pass_time(GRACE)
    harness.asked()

    harness.answer(b, remote("db", 3))

    assert (B, "join") in harness.asked()


def test_a_name_is_looked_up_before_the_look_is_over() -> None:
    harness, requests = looking("a.example", "b.example")
    first, second = harness.resolving()
    harness.resolve(second)
    waiting = not harness.announced

    harness.resolve(first, A, B, A)

    assert requests == []
    assert waiting
    assert harness.asked() == [(A, "look"), (B, "look")]


def test_a_name_that_is_looked_up_for_ever_does_not_hold_us_up() -> None:
    harness, _ = looking("a.example")
    (request,) = harness.resolving()

    harness.pass_time(PATIENCE)
    entered = harness.record
    harness.resolve(request, A)

    assert entered
    assert harness.asked() == [(A, "join")]


# Our name and earlier selves


def test_our_name_alive_elsewhere_and_answering_is_refused() -> None:
    harness, (a,) = looking(A)
    harness.answer(a, remote("local", 50))
    by_packet = [to for to, ping in harness.pings() if ping.node == "local"]
    (by_stream,) = harness.take_streams()

    harness.answer_ping(by_stream)

    assert by_packet == [Address("192.0.2.50", 7946)]
    assert by_stream.to == Address("192.0.2.50", 7946)
    assert "192.0.2.50:7946" in (reason := harness.refusal())
    assert "--node-name" in reason
    assert not harness.announced


def test_a_packet_as_answer_is_enough_for_the_refusal() -> None:
    harness, (a,) = looking(A)
    harness.answer(a, remote("local", 50))
    ((_, ping),) = harness.pings()

    harness.hear(Ack(ping.sequence), ip="192.0.2.50")

    assert harness.refusal()


def test_who_is_refused_sleeps_until_it_is_stopped() -> None:
    harness, (a,) = looking(A)
    harness.answer(a, remote("local", 50))
    harness.answer_ping(harness.take_streams()[0])

    harness.pass_time(60)

    assert harness.asked() == []
    assert not harness.announced
    assert harness.node.saved() is None


def test_our_name_alive_elsewhere_but_silent_is_our_earlier_self() -> None:
    harness, (a,) = looking(A)
    harness.answer(a, remote("local", 50, incarnation=7))
    (by_stream,) = harness.take_streams()

    harness.fail(by_stream)
    waiting = not harness.announced
    harness.pass_time(HOLDER_PATIENCE)

    assert waiting
    assert harness.refusal() == ""
    assert harness.record.incarnation == 9
    assert harness.record.addr == pack_ip(HERE)


def test_our_name_gone_from_elsewhere_costs_no_time() -> None:
    harness, (a,) = looking(A)

    harness.answer(a, remote("local", 50, state=RecordState.LEFT, incarnation=7))

    assert harness.record.incarnation == 8


@pytest.mark.parametrize(
    ("known", "earlier", "incarnation"),
    [(7, 0, 8), (7, 9, 10), (0, 3, 4), (2**31, 0, 2**31 + 1), (2**32 - 2, 5, 6)],
)
def test_it_starts_above_every_incarnation_it_was_seen_with(
    known: int, earlier: int, incarnation: int
) -> None:
    harness, (a,) = looking(A, earlier=saved(incarnation=earlier))

    harness.answer(a, remote("local", 50, ip=HERE, incarnation=known))

    assert harness.record.incarnation == incarnation


@pytest.mark.parametrize("mapped_there", [False, True])
@pytest.mark.parametrize("mapped_here", [False, True])
def test_it_writes_its_address_as_the_members_have_it(
    mapped_here: bool, mapped_there: bool
) -> None:
    harness, (a,) = looking(A, mapped=mapped_here)
    known = replace(remote("local", 1), addr=pack_ip(HERE, mapped=mapped_there))

    harness.answer(a, known)

    assert harness.record.addr == pack_ip(HERE, mapped=mapped_there)


def test_nobody_knowing_it_the_address_has_the_form_of_the_settings() -> None:
    harness = Harness(mapped=True).start()

    assert harness.record.addr == pack_ip(HERE, mapped=True)


# The overlay address


@pytest.mark.parametrize("state", [RecordState.ALIVE, RecordState.SUSPECT, RecordState.DEAD])
def test_an_address_that_somebody_holds_is_not_chosen(state: RecordState) -> None:
    harness, (a,) = looking(A)

    harness.answer(a, remote("web", 2, FIRST_CHOICE, state=state))

    assert harness.overlay_addr == str(overlay_address("local", SETTINGS.overlay_net, 1))


@pytest.mark.parametrize(
    "record",
    [
        remote("web", 2, FIRST_CHOICE, state=RecordState.LEFT),
        remote("local", 1, FIRST_CHOICE, ip=HERE, state=RecordState.DEAD),
    ],
)
def test_an_address_of_one_that_left_or_of_our_earlier_self_is_free(record: Record) -> None:
    harness, (a,) = looking(A)

    harness.answer(a, record)

    assert harness.overlay_addr == FIRST_CHOICE


def test_an_address_at_which_a_member_is_reached_is_not_chosen() -> None:
    harness, (a,) = looking(A)

    harness.answer(a, remote("web", 2, ip=FIRST_CHOICE))

    assert harness.overlay_addr != FIRST_CHOICE


def test_whoever_told_us_of_itself_while_we_looked_keeps_its_address() -> None:
    harness, (a,) = looking(A)
    harness.push(remote("web", 2, FIRST_CHOICE))

    harness.answer(a)

    assert harness.overlay_addr != FIRST_CHOICE


def test_an_earlier_address_is_kept_when_it_is_free() -> None:
    harness, (a,) = looking(A, earlier=saved(overlay_addr="10.7.7.7"))

    harness.answer(a, remote("web", 2))

    assert harness.overlay_addr == "10.7.7.7"
    assert harness.metadata.kept


def test_an_earlier_address_that_is_taken_meanwhile_is_left() -> None:
    harness, (a,) = looking(A, earlier=saved(overlay_addr="10.7.7.7"))

    harness.answer(a, remote("web", 2, "10.7.7.7"))

    assert harness.overlay_addr == FIRST_CHOICE
    assert not harness.metadata.kept


def test_a_fixed_address_is_announced_as_immovable() -> None:
    fixed = SETTINGS.overlay_net.network[77]
    harness, (a,) = looking(A, overlay_addr=fixed, earlier=saved(overlay_addr="10.7.7.7"))

    harness.answer(a, remote("web", 2))

    assert harness.overlay_addr == str(fixed)
    assert harness.metadata.immovable


@pytest.mark.parametrize("format", [None, "current", "v0.2"], ids=["ours", "current", "v0.2"])
def test_a_fixed_address_that_a_live_member_has_is_refused(
    format: MetadataFormat | None,
) -> None:
    fixed = SETTINGS.overlay_net.network[77]
    harness, (a,) = looking(A, overlay_addr=fixed, earlier=saved(overlay_addr="10.7.7.7"))
    meta = None if format is None else metadata(str(fixed), 2, format)

    harness.answer(a, remote("web", 2, str(fixed), meta=meta))

    assert harness.refusal() == (
        f"the overlay address {fixed} belongs to another live member, web: "
        "give this host another --overlay-addr, or none"
    )


@pytest.mark.parametrize("state", [RecordState.DEAD, RecordState.LEFT])
def test_a_fixed_address_of_a_member_that_is_not_there_is_taken(state: RecordState) -> None:
    fixed = SETTINGS.overlay_net.network[77]
    harness, (a,) = looking(A, overlay_addr=fixed)

    harness.answer(a, remote("web", 2, str(fixed), state=state))

    assert harness.overlay_addr == str(fixed)


def test_a_fixed_address_that_somebody_took_while_we_were_away_is_claimed_again() -> None:
    fixed = SETTINGS.overlay_net.network[77]
    harness, (a,) = looking(A, overlay_addr=fixed, earlier=saved(overlay_addr=str(fixed)))

    harness.answer(a, remote("web", 2, str(fixed)))

    assert harness.overlay_addr == str(fixed)


def test_a_fixed_address_that_would_cut_this_host_off_is_refused() -> None:
    fixed = SETTINGS.overlay_net.network[77]
    harness = Harness(facts=LocalFacts(next_hops=frozenset([fixed])), overlay_addr=fixed).start()

    assert "--overlay-addr" in harness.refusal()
    assert not harness.announced


def test_a_full_network_is_refused() -> None:
    network = SETTINGS.overlay_net.__class__("10.0.0.0/30")
    harness, (a,) = looking(A, overlay_net=network)

    harness.answer(a, remote("web", 2, "10.0.0.1"), remote("db", 3, "10.0.0.2"))

    assert harness.refusal().startswith("the overlay network 10.0.0.0/30 is full: forget failed")


# The Plan


def test_members_become_peers_and_the_first_exchange_completes_the_plan() -> None:
    harness, (a,) = looking(A)
    harness.answer(a, remote("web", 2))
    (join,) = harness.take_streams()
    harness.pass_time(0.3)
    before = harness.plan

    harness.answer(join, remote("web", 2))
    harness.pass_time(0.2)

    assert not before.complete
    assert harness.plan.complete
    assert [(str(e.ip), e.name) for e in harness.plan.hosts] == [("10.9.9.2", "web")]


def test_an_exchange_with_one_that_knows_nobody_completes_nothing() -> None:
    harness, (a,) = looking(A)
    harness.answer(a)
    (join,) = harness.take_streams()

    harness.answer(join)
    harness.pass_time(0.3)

    assert not harness.plan.complete


def test_a_late_look_completes_nothing() -> None:
    harness, (a, b) = looking(A, B)
    harness.answer(a, remote("web", 2))
    harness.pass_time(GRACE)
    harness.push(remote("web", 2))

    harness.answer(b, remote("db", 3))
    harness.pass_time(0.2)

    assert list(harness.plan.peers) == [harness.key(2)]
    assert not harness.plan.complete


def test_a_failed_member_keeps_its_peer_until_it_is_forgotten() -> None:
    harness = joined(remote("web", 2), remote("db", 3), forget_after=3600)
    healthy = harness.plan

    harness.hear(Dead(1, "web", "db"))
    harness.pass_time(0.2)
    harness.keep_alive(remote("db", 3), until=harness.now + 3590)
    kept = harness.plan
    harness.pass_time(11)

    assert kept == healthy
    assert [entry.name for entry in harness.plan.hosts] == ["db"]


def test_a_failed_member_is_not_kept_for_no_time_at_all() -> None:
    harness = joined(remote("web", 2), remote("db", 3), forget_after=0)

    harness.hear(Dead(1, "web", "db"))
    harness.pass_time(0.2)
    without = [entry.name for entry in harness.plan.hosts]
    harness.hear_alive(remote("web", 2, incarnation=2))
    harness.pass_time(0.2)

    assert without == ["db"]
    assert [entry.name for entry in harness.plan.hosts] == ["db", "web"]


def test_a_member_that_left_is_gone_at_once() -> None:
    harness = joined(remote("web", 2), remote("db", 3))

    harness.hear(Dead(1, "web", "web"))
    harness.pass_time(0.2)

    assert [entry.name for entry in harness.plan.hosts] == ["db"]
    assert list(harness.plan.peers) == [harness.key(3)]


def test_a_failed_member_that_returns_with_another_key_replaces_its_peer() -> None:
    harness = joined(remote("web", 2), remote("db", 3))
    harness.hear(Dead(1, "web", "db"))

    harness.hear_alive(remote("web", 2, meta=metadata("10.9.9.2", 22), incarnation=2))
    harness.pass_time(0.2)

    assert set(harness.plan.peers) == {harness.key(22), harness.key(3)}


def test_many_changes_at_once_are_one_change_of_the_plan() -> None:
    harness = joined(remote("web", 2))

    for number in range(3, 53):
        harness.hear_alive(remote(f"n{number}", number))
    at_once = len(harness.plan.peers)
    told = harness.plan_changes()
    harness.pass_time(0.2)

    assert at_once < 51
    assert told + harness.plan_changes() <= 2
    assert len(harness.plan.peers) == 51


@pytest.mark.parametrize(("members", "most"), [(10, 100), (1000, 51)])
def test_the_larger_the_mesh_the_rarer_it_is_reviewed(members: int, most: int) -> None:
    several = [remote(f"n{n}", n, f"10.9.{n // 250}.{n % 250 + 1}", ip=HERE) for n in range(2, 12)]
    idle = [remote(f"idle{n}", n, meta=b"?", ip=HERE) for n in range(members)]
    harness = joined(*several, *idle)
    harness.pass_time(1)
    harness.plan_changes()

    for step in range(200):
        changed = remote("n2", 100 + step, "10.9.200.2", ip=HERE, incarnation=2 + step)
        harness.hear_alive(changed)
        harness.pass_time(0.05)

    assert most / 2 <= harness.plan_changes() <= most


def test_new_facts_about_the_host_change_the_plan() -> None:
    harness = joined(remote("web", 2))

    harness.update_facts(LocalFacts(foreign_host_names={"web": 3}))
    harness.pass_time(0.2)

    assert harness.plan.peers
    assert harness.plan.hosts == ()


def test_new_facts_before_there_is_an_address_wait_for_it() -> None:
    harness, (a,) = looking(A)

    harness.update_facts(
        LocalFacts(own_addresses=frozenset([overlay_address("local", SETTINGS.overlay_net)]))
    )
    early = harness.node.plan()
    harness.answer(a, remote("web", 2))

    assert early is None
    assert harness.overlay_addr != FIRST_CHOICE


def test_the_same_facts_change_nothing() -> None:
    harness = joined(remote("web", 2))

    harness.update_facts(LocalFacts())
    harness.pass_time(0.2)

    assert not harness.plan_changes()


# What is kept


def test_live_failed_and_departed_members_are_saved_each_its_own_way() -> None:
    members = [remote("web", 2), remote("db", 3), remote("mail", 4)]
    harness = joined(*members)
    harness.keep_alive(*members, until=harness.now + 60)
    harness.hear(Dead(1, "db", "web"))
    harness.hear(Dead(1, "mail", "mail"))

    kept = harness.saved

    assert str(kept.overlay_addr) == harness.overlay_addr
    assert kept.incarnation == harness.record.incarnation
    assert [(m.name, m.address.ip, bool(m.meta), m.left) for m in kept.members] == [
        ("web", "192.0.2.2", True, False),
        ("db", "192.0.2.3", True, False),
        ("mail", "192.0.2.4", False, True),
    ]


def test_who_never_answered_is_not_saved_once_it_has_failed() -> None:
    harness = joined(remote("web", 2), remote("db", 3))
    harness.hear(Dead(1, "db", "web"))

    assert [one.name for one in harness.saved.members] == ["web"]
    assert len(harness.plan.peers) == 2


def test_one_that_left_and_returned_is_saved_once() -> None:
    harness = joined(remote("web", 2), remote("db", 3))
    harness.hear(Dead(1, "web", "web"))

    harness.hear_alive(remote("web", 2, incarnation=2))

    assert [(m.name, m.left) for m in harness.saved.members] == [
        ("web", False),
        ("db", False),
    ]


def test_only_the_newest_of_many_that_left_are_saved() -> None:
    harness = joined(remote("db", 3))
    for number in range(MAX_LEFT + 10):
        harness.hear_alive(remote(f"n{number}", 5))
        harness.hear(Dead(1, f"n{number}", f"n{number}"))

    left = [member.name for member in harness.saved.members if member.left]

    assert left == [f"n{number}" for number in range(10, MAX_LEFT + 10)]


def test_nothing_is_saved_before_the_cluster_is_known() -> None:
    harness, (a,) = looking(A)
    while_looking = harness.node.saved()
    harness.answer(a, remote("web", 2))

    assert while_looking is None
    assert harness.node.saved() is None


def test_once_our_departure_has_begun_nothing_is_saved() -> None:
    harness = joined(remote("web", 2))
    before = harness.saved

    harness.leave()
    harness.hear(Dead(1, "web", "web"))

    assert before
    assert harness.node.saved() is None


# Leaving


def test_leaving_is_told_and_over_within_a_second() -> None:
    harness = joined(remote("web", 2))

    harness.leave()
    told = [m for m in harness.heard_by("192.0.2.2") if isinstance(m, Dead)]
    harness.pass_time(1)

    assert told[0].node == told[0].accuser == "local"
    assert harness.take(Departed) == [Departed()]


@pytest.mark.parametrize("hosts", [(), (A,)])
def test_leaving_alone_or_while_looking_is_over_at_once(hosts: tuple[str, ...]) -> None:
    harness, _ = looking(*hosts)

    harness.leave()

    assert harness.take(Departed) == [Departed()]


def test_who_has_left_contacts_nobody_any_more() -> None:
    harness, (a,) = looking(A)
    harness.leave()

    harness.answer(a, remote("web", 2))
    harness.pass_time(120)

    assert harness.asked() == []
    assert not harness.announced


def test_who_leaves_does_not_move_to_another_address_any_more() -> None:
    harness = joined(remote("web", 2))
    ours = harness.overlay_addr
    rival = remote("go", 3, meta=metadata(ours, 3))

    harness.leave()
    harness.hear_alive(rival)
    harness.pass_time(0.5)

    assert str(harness.plan.interface.address) == ours
    assert harness.overlay_addr == ours


def test_an_operator_may_fix_the_mtu_and_take_that_back() -> None:
    harness = Harness(mtu=1300).start()
    seen = []

    for mtu in (1300, None, 9000):
        harness.node.reconfigure(Adjustable((), 3600, mtu=mtu), harness.now)
        harness.pass_time(1)
        plan = harness.node.plan()
        assert plan
        seen.append((plan.interface.mtu, plan.interface.fixed))

    assert seen == [(1300, True), (1420, False), (9000, True)]


def test_others_are_told_the_ports_that_a_router_forwards() -> None:
    harness = Harness(port=17946, wireguard_port=51820, told_wireguard_port=41820).start()
    plan = harness.node.plan()

    assert (harness.record.port, harness.metadata.wireguard_port) == (17946, 41820)
    assert plan
    assert plan.interface.listen_port == 51820


def test_a_member_of_the_original_is_where_our_own_port_is() -> None:
    harness = Harness(wireguard_port=51820, told_wireguard_port=41820).start()
    harness.hear_alive(remote("go", 2, meta=metadata("10.0.0.2", 2)))
    harness.pass_time(1)

    plan = harness.node.plan()
    assert plan
    assert [peer.endpoint.port for peer in plan.peers.values()] == [51820]
