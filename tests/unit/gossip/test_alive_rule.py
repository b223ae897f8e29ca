"""Alive messages (spec/memberlist.md, 4.4)."""

import pytest

from tests.unit.gossip.bench import (
    LOCAL,
    REMOTE,
    STRANGER,
    VERSIONS,
    Bench,
    alive,
    local_alive,
    record,
)
from wesher.gossip import (
    AddressConflict,
    Dead,
    DropReason,
    MemberCleared,
    MemberJoined,
    MemberState,
    MemberUpdated,
    PacketDropped,
    PushPull,
    RecordState,
    Refuted,
    Suspect,
    pack_ip,
)


@pytest.mark.case(25)
def test_somebody_new_is_stored_reported_and_passed_on():
    bench = Bench()

    bench.hears(alive())

    assert bench.events() == [MemberJoined(bench.member())]
    assert bench.member().state is MemberState.ALIVE
    assert bench.news() == [alive()]


@pytest.mark.case(25)
@pytest.mark.parametrize(
    "versions",
    [bytes([0, 5, 2, 0, 0, 0]), bytes([1, 0, 2, 0, 0, 0]), bytes([3, 2, 2, 0, 0, 0])],
    ids=["minimum 0", "maximum 0", "minimum above maximum"],
)
def test_impossible_versions_are_refused(versions):
    bench = Bench()

    bench.hears(alive(versions=versions))

    assert bench.state() == "unknown"
    assert bench.events() == [PacketDropped(STRANGER, DropReason.REFUSED, "impossible versions")]


@pytest.mark.parametrize("versions", [None, b"", VERSIONS[:5], VERSIONS + b"\0"])
def test_versions_of_another_length_than_six_bytes_are_refused(versions):
    bench = Bench()

    bench.hears(alive(versions=versions))

    assert bench.state() == "unknown"


@pytest.mark.case(44)
def test_versions_that_do_not_go_with_ours_are_refused_and_exchanges_with_others_still_work():
    bench = Bench()

    bench.hears(alive("serf", versions=bytes([1, 5, 2, 2, 5, 4])))
    reply = bench.exchanges(record())

    assert bench.state("serf") == "unknown"
    assert isinstance(reply, PushPull)
    assert bench.state() == "ALIVE"


@pytest.mark.parametrize("versions", [bytes([3, 5, 4, 0, 0, 0]), bytes([1, 1, 1, 0, 0, 0])])
def test_protocols_without_a_version_in_common_are_refused(versions):
    bench = Bench()

    bench.hears(alive(versions=versions))

    assert bench.state() == "unknown"


@pytest.mark.case(26)
@pytest.mark.parametrize("incarnation", [4, 5])
def test_an_old_alive_does_not_clear_suspicion(incarnation):
    bench = Bench(alive(incarnation=5), Suspect(5, REMOTE, "accuser"))

    bench.hears(alive(incarnation=incarnation))

    assert bench.state() == "SUSPECT"
    assert bench.news() == [Suspect(5, REMOTE, "accuser")]


@pytest.mark.case(26)
def test_a_newer_alive_clears_suspicion_which_is_no_return():
    bench = Bench(alive(incarnation=5), Suspect(5, REMOTE, "accuser"))
    bench.now = 7

    bench.hears(alive(incarnation=6))

    assert bench.state() == "ALIVE"
    assert bench.member().state_changed_at == 7
    assert bench.events() == [MemberCleared(bench.member(), suspected_at=0)]


@pytest.mark.case(27)
def test_a_repeated_alive_is_no_change_of_state():
    bench = Bench(alive())
    bench.now = 7

    bench.hears(alive(incarnation=2))

    assert bench.member().state_changed_at == 0
    assert bench.member().incarnation == 2
    assert bench.news() == [alive(incarnation=2)]
    assert bench.events() == []


@pytest.mark.case(28)
def test_new_metadata_is_an_update():
    bench = Bench(alive())

    bench.hears(alive(incarnation=2, meta=b"new"))

    assert bench.member().meta == b"new"
    assert bench.events() == [MemberUpdated(bench.member())]


def test_no_metadata_and_empty_metadata_are_the_same():
    bench = Bench(alive(meta=None))

    bench.hears(alive(incarnation=2, meta=b""))

    assert bench.events() == []


@pytest.mark.case(29)
@pytest.mark.parametrize(
    ("claim", "answer"),
    [
        (local_alive(1, meta=b"foreign"), 2),
        (local_alive(1, versions=bytes([1, 4, 2, 0, 0, 0])), 2),
        (local_alive(1, versions=None), 2),
        (local_alive(5), 6),
        (local_alive(5, meta=b"foreign"), 6),
    ],
)
def test_what_others_say_in_our_name_is_refuted(claim, answer):
    bench = Bench(alive())

    bench.hears(claim)

    assert bench.gossip.local.meta == b"own"
    assert bench.gossip.health == 1
    assert bench.events() == [Refuted(answer)]
    assert bench.news(LOCAL) == [local_alive(answer)]


@pytest.mark.case(29)
@pytest.mark.parametrize("incarnation", [0, 1])
def test_what_we_say_ourselves_is_not_refuted(incarnation):
    bench = Bench(alive())
    bench.no_longer_queues()

    bench.hears(local_alive(incarnation))

    assert bench.gossip.local.incarnation == 1
    assert bench.events() == []
    assert bench.queued() == []


@pytest.mark.case(30)
@pytest.mark.parametrize(
    "elsewhere", [{"ip": "10.0.0.3"}, {"port": 9999}, {"port": 9999, "mapped": True}]
)
@pytest.mark.parametrize("incarnation", [1, 2])
def test_a_member_at_another_address_is_a_conflict(elsewhere, incarnation):
    bench = Bench(alive())
    bench.no_longer_queues()
    before = bench.member()
    claim = alive(incarnation=incarnation, meta=b"new", **elsewhere)

    bench.hears(claim)

    assert bench.member() is before
    assert bench.events() == [AddressConflict(before, claim)]
    assert bench.queued() == []


@pytest.mark.case(30)
def test_our_name_at_another_address_is_a_conflict():
    bench = Bench()

    bench.hears(local_alive(7, ip="10.0.0.9"))

    assert bench.events() == [AddressConflict(bench.gossip.local, local_alive(7, ip="10.0.0.9"))]
    assert bench.gossip.local.incarnation == 1


@pytest.mark.case(30)
def test_one_that_left_may_come_back_at_another_address_with_any_incarnation():
    bench = Bench(alive(incarnation=5), Dead(5, REMOTE, REMOTE))
    back = alive(incarnation=1, ip="10.0.0.3", port=9999, meta=b"new")

    bench.hears(back)

    member = bench.member()
    assert (member.addr, member.port, member.meta) == (pack_ip("10.0.0.3"), 9999, b"new")
    assert member.incarnation == 1
    assert bench.events() == [MemberJoined(member)]
    assert bench.news() == [back]


@pytest.mark.case(30)
@pytest.mark.parametrize("reclaim_after", [1, 10])
@pytest.mark.parametrize(("longer", "state"), [(0.0, "DEAD"), (0.1, "ALIVE")])
def test_a_dead_member_may_come_back_at_another_address_after_the_reclaim_time(
    reclaim_after, longer, state
):
    bench = Bench(alive(), reclaim_after=reclaim_after)
    bench.now = 5
    bench.hears(Dead(1, REMOTE, "accuser"))
    bench.now += reclaim_after + longer

    bench.hears(alive(incarnation=1, ip="10.0.0.3"))

    assert bench.state() == state


@pytest.mark.case(30)
def test_without_a_reclaim_time_a_dead_member_stays_where_it_was():
    bench = Bench(alive(), Dead(1, REMOTE, "accuser"))
    bench.now = 50

    bench.hears(alive(incarnation=2, ip="10.0.0.3"))

    assert bench.state() == "DEAD"


@pytest.mark.case(42)
def test_another_form_of_the_same_address_is_no_conflict_and_the_form_in_use_is_kept():
    bench = Bench(alive(mapped=True))

    bench.hears(alive(incarnation=2, meta=b"new"))

    assert bench.member().addr == pack_ip("10.0.0.2", mapped=True)
    assert bench.events() == [MemberUpdated(bench.member())]
    assert bench.news() == [alive(incarnation=2, meta=b"new", mapped=True)]


@pytest.mark.case(42)
def test_our_address_in_another_form_is_no_conflict():
    bench = Bench()

    bench.hears(local_alive(mapped=True))

    assert bench.events() == []


@pytest.mark.case(42)
@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("incarnation", [4, 5])
@pytest.mark.parametrize("accuser", [REMOTE, "accuser"], ids=["left", "dead"])
def test_a_stale_alive_in_another_form_does_not_bring_back_who_is_gone(
    accuser, incarnation, mapped
):
    bench = Bench(alive(incarnation=5, mapped=mapped), Dead(5, REMOTE, accuser), reclaim_after=10)
    gone = bench.member()
    bench.now = 20

    bench.hears(alive(incarnation=incarnation, mapped=not mapped))

    assert bench.member() == gone
    assert bench.events() == []
    assert bench.news() == [Dead(5, REMOTE, accuser)]


@pytest.mark.case(42)
@pytest.mark.parametrize(("accuser", "mapped"), [(REMOTE, True), ("accuser", False)])
def test_one_that_comes_back_in_another_form_has_the_one_that_go_holds_then(accuser, mapped):
    bench = Bench(alive(incarnation=5), Dead(5, REMOTE, accuser))

    bench.hears(alive(incarnation=6, mapped=True))

    back = alive(incarnation=6, mapped=mapped)
    assert bench.member().addr == back.addr
    assert bench.events() == [MemberJoined(bench.member())]
    assert bench.news() == [back]


def test_a_new_member_with_incarnation_zero_is_kept_as_dead_and_not_passed_on():
    bench = Bench()

    bench.hears(alive(incarnation=0))

    assert bench.state() == "DEAD"
    assert bench.events() == []
    assert bench.queued() == [local_alive()]


def test_a_new_member_with_incarnation_zero_is_told_nothing_and_soon_forgotten():
    bench = Bench(alive(incarnation=0))

    while bench.state() != "unknown":
        assert bench.said() == []
        bench.step()

    assert bench.now <= 10


@pytest.mark.parametrize(
    ("claim", "detail"),
    [
        (alive(""), "name of a wrong length"),
        (alive("x" * 256), "name of a wrong length"),
        (alive("é" * 128), "name of a wrong length"),
        (alive(meta=bytes(513)), "metadata too long"),
        (alive(incarnation=2**32 - 1), "incarnation too high"),
        (local_alive(2**32 - 1), "incarnation too high"),
    ],
)
def test_what_is_out_of_bounds_is_refused(claim, detail):
    bench = Bench()

    bench.hears(claim)

    assert bench.events() == [PacketDropped(STRANGER, DropReason.REFUSED, detail)]
    assert [member.name for member in bench.gossip.members] == [LOCAL]


def test_an_address_that_is_none_is_refused():
    bench = Bench()
    claim = alive()
    object.__setattr__(claim, "addr", b"\x0a\0\0")

    bench.hears(claim)

    assert bench.events() == [PacketDropped(STRANGER, DropReason.REFUSED, "not an IP address")]


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "\udcff", "a b"])
def test_names_within_bounds_are_taken_as_they_are(name):
    bench = Bench()

    bench.hears(alive(name, meta=bytes(512)))

    assert bench.state(name) == "ALIVE"


def test_port_zero_is_our_own_port():
    bench = Bench()

    bench.hears(alive(port=0))

    assert bench.member().port == 7946


def test_the_owner_may_refuse_a_member():
    bench = Bench()
    bench.gossip.accept = lambda message: message.node != "unwanted"

    bench.hears(alive("unwanted"), alive("wanted", ip="10.0.0.3"))

    assert bench.state("unwanted") == "unknown"
    assert bench.state("wanted") == "ALIVE"
    assert bench.events()[0] == PacketDropped(STRANGER, DropReason.REFUSED, "not accepted")


def test_the_owner_is_not_asked_about_itself():
    bench = Bench()
    bench.gossip.accept = lambda message: False

    bench.hears(local_alive(5))

    assert bench.events() == [Refuted(6)]


@pytest.mark.parametrize("incarnation", [1, 2])
def test_the_owner_is_not_asked_about_what_is_no_news(incarnation):
    bench = Bench(alive(incarnation=2))
    asked = []
    bench.gossip.accept = asked.append

    bench.hears(alive(incarnation=incarnation, meta=b"other"))

    assert asked == []


def test_our_incarnation_never_wraps():
    bench = Bench()

    for incarnation in (2**20, 2**32 - 2):
        bench.hears(local_alive(incarnation, meta=b"hostile"))
        bench.hears(Suspect(incarnation, LOCAL, "hostile"))
    bench.gossip.update_meta(b"new", bench.now)

    assert bench.gossip.local.incarnation == 2**20 + 2
    assert bench.gossip.local.meta == b"new"


def test_a_flood_of_conflicts_does_not_pile_up():
    bench = Bench(alive())

    bench.exchanges(*[record(ip="10.0.0.3", meta=bytes(2)) for _ in range(3000)])

    assert len(bench.events()) <= 1000


def test_records_of_an_unknown_state_are_ignored():
    bench = Bench()

    bench.exchanges(record(state=7))

    assert bench.state() == "unknown"
    assert RecordState.LEFT == 3
