"""Alive messages (spec/memberlist.md, 4.4)."""

from typing import Any

import pytest

from tests.unit.gossip.harness import (
    LOCAL,
    REMOTE,
    STRANGER,
    VERSIONS,
    Harness,
    alive,
    local_alive,
    record,
)
from wesher.gossip import (
    AddressConflict,
    Alive,
    ClaimHeld,
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
def test_somebody_new_is_stored_reported_and_passed_on() -> None:
    harness = Harness()

    harness.hears(alive())

    assert harness.events() == [MemberJoined(harness.member())]
    assert harness.member().state is MemberState.ALIVE
    assert harness.news() == [alive()]


@pytest.mark.case(25)
@pytest.mark.parametrize(
    "versions",
    [bytes([0, 5, 2, 0, 0, 0]), bytes([1, 0, 2, 0, 0, 0]), bytes([3, 2, 2, 0, 0, 0])],
    ids=["minimum 0", "maximum 0", "minimum above maximum"],
)
def test_impossible_versions_are_refused(versions: bytes) -> None:
    harness = Harness()

    harness.hears(alive(versions=versions))

    assert harness.state() == "unknown"
    assert harness.events() == [PacketDropped(STRANGER, DropReason.REFUSED, "impossible versions")]


@pytest.mark.parametrize("versions", [None, b"", VERSIONS[:5], VERSIONS + b"\0"])
def test_versions_of_another_length_than_six_bytes_are_refused(versions: bytes | None) -> None:
    harness = Harness()

    harness.hears(alive(versions=versions))

    assert harness.state() == "unknown"


@pytest.mark.case(44)
def test_versions_that_do_not_go_with_ours_are_refused_and_exchanges_with_others_still_work() -> (
    None
):
    harness = Harness()

    harness.hears(alive("serf", versions=bytes([1, 5, 2, 2, 5, 4])))
    reply = harness.exchanges(record())

    assert harness.state("serf") == "unknown"
    assert isinstance(reply, PushPull)
    assert harness.state() == "ALIVE"


@pytest.mark.parametrize("versions", [bytes([3, 5, 4, 0, 0, 0]), bytes([1, 1, 1, 0, 0, 0])])
def test_protocols_without_a_version_in_common_are_refused(versions: bytes) -> None:
    harness = Harness()

    harness.hears(alive(versions=versions))

    assert harness.state() == "unknown"


@pytest.mark.case(26)
@pytest.mark.parametrize("incarnation", [4, 5])
def test_an_old_alive_does_not_clear_suspicion(incarnation: int) -> None:
    harness = Harness(alive(incarnation=5), Suspect(5, REMOTE, "accuser"))

    harness.hears(alive(incarnation=incarnation))

    assert harness.state() == "SUSPECT"
    assert harness.news() == [Suspect(5, REMOTE, "accuser")]


@pytest.mark.case(26)
def test_a_newer_alive_clears_suspicion_which_is_no_return() -> None:
    harness = Harness(alive(incarnation=5), Suspect(5, REMOTE, "accuser"))
    harness.now = 7

    harness.hears(alive(incarnation=6))

    assert harness.state() == "ALIVE"
    assert harness.member().state_changed_at == 7
    assert harness.events() == [MemberCleared(harness.member(), suspected_at=0)]


@pytest.mark.case(27)
def test_a_repeated_alive_is_no_change_of_state() -> None:
    harness = Harness(alive())
    harness.now = 7

    harness.hears(alive(incarnation=2))

    assert harness.member().state_changed_at == 0
    assert harness.member().incarnation == 2
    assert harness.news() == [alive(incarnation=2)]
    assert harness.events() == []


@pytest.mark.case(28)
def test_new_metadata_is_an_update() -> None:
    harness = Harness(alive())

    harness.hears(alive(incarnation=2, meta=b"new"))

    assert harness.member().meta == b"new"
    assert harness.events() == [MemberUpdated(harness.member())]


def test_no_metadata_and_empty_metadata_are_the_same() -> None:
    harness = Harness(alive(meta=None))

    harness.hears(alive(incarnation=2, meta=b""))

    assert harness.events() == []


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
def test_what_others_say_in_our_name_is_refuted(claim: Alive, answer: int) -> None:
    harness = Harness(alive())

    harness.hears(claim)

    assert harness.local.meta == b"own"
    assert harness.gossip.health == 1
    assert harness.events() == [Refuted(answer)]
    assert harness.news(LOCAL) == [local_alive(answer)]


@pytest.mark.case(29)
@pytest.mark.parametrize("incarnation", [0, 1])
def test_what_we_say_ourselves_is_not_refuted(incarnation: int) -> None:
    harness = Harness(alive())
    harness.no_longer_queues()

    harness.hears(local_alive(incarnation))

    assert harness.local.incarnation == 1
    assert harness.events() == []
    assert harness.queued() == []


@pytest.mark.case(30)
@pytest.mark.parametrize(
    "elsewhere", [{"ip": "10.0.0.3"}, {"port": 9999}, {"port": 9999, "mapped": True}]
)
@pytest.mark.parametrize("incarnation", [1, 2])
def test_a_member_at_another_address_is_a_conflict(
    elsewhere: dict[str, Any], incarnation: int
) -> None:
    harness = Harness(alive())
    harness.no_longer_queues()
    before = harness.member()
    claim = alive(incarnation=incarnation, meta=b"new", **elsewhere)

    harness.hears(claim)

    assert harness.member() is before
    assert harness.events() == [AddressConflict(before, claim)]
    assert harness.queued() == []


@pytest.mark.case(30)
def test_our_name_at_another_address_is_a_conflict() -> None:
    harness = Harness()

    harness.hears(local_alive(7, ip="10.0.0.9"))

    assert harness.events() == [AddressConflict(harness.local, local_alive(7, ip="10.0.0.9"))]
    assert harness.local.incarnation == 1


@pytest.mark.case(30)
def test_one_that_left_may_come_back_at_another_address_with_any_incarnation() -> None:
    harness = Harness(alive(incarnation=5), Dead(5, REMOTE, REMOTE))
    back = alive(incarnation=1, ip="10.0.0.3", port=9999, meta=b"new")

    harness.hears(back)

    member = harness.member()
    assert (member.addr, member.port, member.meta) == (pack_ip("10.0.0.3"), 9999, b"new")
    assert member.incarnation == 1
    assert harness.events() == [MemberJoined(member)]
    assert harness.news() == [back]


@pytest.mark.case(30)
def test_a_dead_member_stays_where_it_was() -> None:
    harness = Harness(alive(), Dead(1, REMOTE, "accuser"))
    harness.now = 50

    harness.hears(alive(incarnation=2, ip="10.0.0.3"))

    assert harness.state() == "DEAD"


@pytest.mark.case(42)
def test_another_form_of_the_same_address_is_no_conflict_and_the_form_in_use_is_kept() -> None:
    harness = Harness(alive(mapped=True))

    harness.hears(alive(incarnation=2, meta=b"new"))

    assert harness.member().addr == pack_ip("10.0.0.2", mapped=True)
    assert harness.events() == [MemberUpdated(harness.member())]
    assert harness.news() == [alive(incarnation=2, meta=b"new", mapped=True)]


@pytest.mark.case(42)
def test_our_address_in_another_form_is_no_conflict() -> None:
    harness = Harness()

    harness.hears(local_alive(mapped=True))

    assert harness.events() == []


@pytest.mark.case(42)
@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("incarnation", [4, 5])
@pytest.mark.parametrize("accuser", [REMOTE, "accuser"], ids=["left", "dead"])
def test_a_stale_alive_in_another_form_does_not_bring_back_who_is_gone(
    accuser: str, incarnation: int, mapped: bool
) -> None:
    harness = Harness(alive(incarnation=5, mapped=mapped), Dead(5, REMOTE, accuser))
    gone = harness.member()
    harness.now = 20

    harness.hears(alive(incarnation=incarnation, mapped=not mapped))

    assert harness.member() == gone
    assert harness.events() == []
    assert harness.news() == [Dead(5, REMOTE, accuser)]


@pytest.mark.case(42)
@pytest.mark.parametrize(("accuser", "mapped"), [(REMOTE, True), ("accuser", False)])
def test_one_that_comes_back_in_another_form_has_the_one_that_go_holds_then(
    accuser: str, mapped: bool
) -> None:
    harness = Harness(alive(incarnation=5), Dead(5, REMOTE, accuser))

    harness.hears(alive(incarnation=6, mapped=True))

    back = alive(incarnation=6, mapped=mapped)
    assert harness.member().addr == back.addr
    assert harness.events() == [MemberJoined(harness.member())]
    assert harness.news() == [back]


def test_a_new_member_with_incarnation_zero_is_kept_as_dead_and_not_passed_on() -> None:
    harness = Harness()

    harness.hears(alive(incarnation=0))

    assert harness.state() == "DEAD"
    assert harness.events() == []
    assert harness.queued() == [local_alive()]


def test_a_new_member_with_incarnation_zero_is_told_nothing_and_soon_forgotten() -> None:
    harness = Harness(alive(incarnation=0))

    while harness.state() != "unknown":
        assert harness.said() == []
        harness.step()

    assert harness.now <= 10


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
def test_what_is_out_of_bounds_is_refused(claim: Alive, detail: str) -> None:
    harness = Harness()

    harness.hears(claim)

    assert harness.events() == [PacketDropped(STRANGER, DropReason.REFUSED, detail)]
    assert [member.name for member in harness.gossip.members] == [LOCAL]


def test_an_address_that_is_none_is_refused() -> None:
    harness = Harness()
    claim = alive()
    object.__setattr__(claim, "addr", b"\x0a\0\0")

    harness.hears(claim)

    assert harness.events() == [PacketDropped(STRANGER, DropReason.REFUSED, "not an IP address")]


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "\udcff", "a b"])
def test_names_within_bounds_are_taken_as_they_are(name: str) -> None:
    harness = Harness()

    harness.hears(alive(name, meta=bytes(512)))

    assert harness.state(name) == "ALIVE"


def test_port_zero_is_our_own_port() -> None:
    harness = Harness()

    harness.hears(alive(port=0))

    assert harness.member().port == 7946


def test_a_claim_that_is_held_back_has_no_effect_but_that_the_owner_hears_of_it() -> None:
    harness = Harness()
    harness.gossip.hold_back({"held": 2})

    harness.hears(alive("held", incarnation=2), alive("free", ip="10.0.0.3"))

    assert harness.state("held") == "unknown"
    assert harness.state("free") == "ALIVE"
    assert harness.events()[:2] == [
        PacketDropped(STRANGER, DropReason.REFUSED, "held back"),
        ClaimHeld(alive("held", incarnation=2)),
    ]


def test_a_higher_incarnation_than_is_held_back_counts() -> None:
    harness = Harness()
    harness.gossip.hold_back({REMOTE: 2})

    harness.hears(alive(incarnation=3))

    assert harness.state() == "ALIVE"


def test_a_claim_about_ourselves_is_never_held_back() -> None:
    harness = Harness()
    harness.gossip.hold_back({LOCAL: 9})

    harness.hears(local_alive(5))

    assert harness.events() == [Refuted(6)]


@pytest.mark.parametrize(
    "told",
    [alive(incarnation=3), alive(incarnation=2, meta=b"other"), alive(incarnation=1)],
    ids=["of a live member", "repeated", "older"],
)
def test_what_brings_nobody_back_is_not_held_back(told: Alive) -> None:
    harness = Harness(alive(incarnation=2))
    harness.gossip.hold_back({REMOTE: 9})

    harness.hears(told)

    assert not [event for event in harness.events() if isinstance(event, ClaimHeld)]


def test_old_news_of_one_that_is_dead_is_not_held_back() -> None:
    harness = Harness(alive(incarnation=2), Dead(2, REMOTE, REMOTE))
    harness.gossip.hold_back({REMOTE: 9})

    harness.hears(alive(incarnation=2), alive(incarnation=4))

    held = [event.claim for event in harness.events() if isinstance(event, ClaimHeld)]
    assert held == [alive(incarnation=4)]


def test_our_incarnation_never_wraps() -> None:
    harness = Harness()

    for incarnation in (2**20, 2**32 - 2):
        harness.hears(local_alive(incarnation, meta=b"hostile"))
        harness.hears(Suspect(incarnation, LOCAL, "hostile"))
    harness.gossip.update_meta(b"new", harness.now)

    assert harness.local.incarnation == 2**20 + 2
    assert harness.local.meta == b"new"


def test_a_flood_of_conflicts_does_not_pile_up() -> None:
    harness = Harness(alive())

    harness.exchanges(*[record(ip="10.0.0.3", meta=bytes(2)) for _ in range(3000)])

    assert len(harness.events()) <= 1000


def test_records_of_an_unknown_state_are_ignored() -> None:
    harness = Harness()

    harness.exchanges(record(state=7))

    assert harness.state() == "unknown"
    assert RecordState.LEFT.value == 3
