"""Two claims to one overlay address: everybody gives it to the same one, and the other moves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from itertools import permutations
from typing import Any

import pytest

from tests.testbed.keys import key
from tests.unit.mesh.builders import live, member, ours
from tests.unit.mesh.node_harness import (
    KEY,
    SETTINGS,
    Harness,
    joined,
    metadata,
    remote,
    saved,
    seed,
)
from wesher.base.frozen import replace
from wesher.gossip import Dead, Keyring, Member, Record
from wesher.mesh.base.address import choose_address, is_usable, overlay_address
from wesher.mesh.base.metadata import MetadataFormat, decode_metadata
from wesher.mesh.base.plan import IPAddress, LocalFacts, Plan
from wesher.mesh.base.saved import Former, Saved
from wesher.mesh.planning.overlay import HELD, MISSED, MOVE_PATIENCE, Overlay

X = "10.7.7.7"


@dataclass(frozen=True)
class Claimant:
    """How a host came to its address: by `--overlay-addr`, from an earlier start, or by choice."""

    name: str
    number: int
    fixed: bool = False
    kept: bool = False
    go: bool = False

    def record(self, address: str = X) -> Record:
        if self.go:
            return remote(self.name, self.number, meta=metadata(address, self.number))
        kept = self.kept or self.fixed
        return remote(self.name, self.number, address, immovable=self.fixed, kept=kept)

    def start(self, peer: "Claimant", format: MetadataFormat = "current") -> Harness:
        """Start this host while nobody told it of the other, then let them meet."""
        earlier = saved(overlay_addr=X) if self.kept else saved()
        harness = Harness(
            earlier,
            name=self.name,
            public_key=key(self.number),
            overlay_addr=ip_address(X) if self.fixed else None,
            overlay_net=NETWORK,
            metadata_format=format,
        ).start()
        assert harness.overlay_addr == X
        harness.hear_alive(peer.record())
        harness.pass_time(0.3)
        return harness


NETWORK = ip_interface("10.7.7.7/32")  # the one address that everybody chooses
FIXED = {"fixed": True}
KEPT = {"kept": True}
GO = {"go": True}

RIVALS = [
    ({}, {}, "amy"),
    (KEPT, {}, "amy"),
    ({}, KEPT, "zoe"),
    (KEPT, KEPT, "amy"),
    (FIXED, {}, "amy"),
    ({}, FIXED, "zoe"),
    ({}, FIXED | KEPT, "zoe"),
    (KEPT, FIXED, "zoe"),
    (FIXED, KEPT, "amy"),
    (FIXED, FIXED, "amy"),
    ({}, GO, "zoe"),
    (KEPT, GO, "zoe"),
    (FIXED, GO, "amy"),
    (GO, FIXED, "zoe"),
]


@pytest.mark.parametrize(("amy", "zoe", "winner"), RIVALS)
def test_all_give_an_address_to_the_same_of_two_that_claim_it(
    amy: dict[str, Any], zoe: dict[str, Any], winner: str
) -> None:
    claimants = Claimant("amy", 2, **amy), Claimant("zoe", 3, **zoe)
    observer = joined(*(one.record() for one in claimants))
    holders = {entry.name for entry in observer.plan.hosts}

    # In a network of one address nobody can move, so the conflict stays for all to see.
    for one, other in permutations(claimants):
        if not one.go:
            outcome = one.start(other).node._overlay.outcome
            assert outcome
            holders.add(outcome.lost_to(one.name) or one.name)

    assert holders == {winner}


@pytest.mark.parametrize("format", ["current", "v0.2"])
@pytest.mark.parametrize("extra", [{}, FIXED, KEPT])
def test_others_judge_a_claim_by_the_same_marks_as_its_owner(
    format: MetadataFormat, extra: dict[str, Any]
) -> None:
    claimant = Claimant("amy", 2, **extra)
    harness = claimant.start(Claimant("zoe", 3), format)

    claimed = claimant.record().meta
    assert claimed
    told, assumed = harness.metadata, decode_metadata(claimed)

    assert told.format == format
    assert (told.immovable, told.kept) == (assumed.immovable, assumed.kept)


def test_the_loser_moves_once_to_its_next_address_and_stays_there() -> None:
    harness = Harness(seeds=(seed("192.0.2.10"),)).start()
    harness.answer(harness.take_streams()[0])
    first, before = harness.overlay_addr, harness.record.incarnation
    rival = remote("amy", 2, first)
    harness.hear_alive(rival)
    harness.pass_time(0.8)
    second = harness.overlay_addr

    harness.hear(Dead(1, "amy", "amy"))
    harness.pass_time(5)

    assert second == harness.overlay_addr == str(overlay_address("local", SETTINGS.overlay_net, 1))
    assert harness.record.incarnation == before + 1
    assert str(harness.plan.interface.address) == second
    assert not harness.metadata.kept
    (told,) = harness.warnings()
    assert all(word in told for word in (first, second, "amy"))


def test_the_winner_stays_and_routes_nothing_to_the_loser() -> None:
    harness = joined(earlier=saved(overlay_addr="10.7.7.7"))

    harness.hear_alive(remote("amy", 2, "10.7.7.7"))
    harness.pass_time(0.3)

    assert harness.overlay_addr == "10.7.7.7"
    assert harness.plan.peers[key(2)].allowed_ips == ()
    assert harness.plan.hosts == ()


def test_a_failed_member_loses_its_address_to_a_live_one() -> None:
    harness = joined(remote("amy", 2, immovable=True), remote("db", 3))
    harness.hear(Dead(1, "amy", "db"))

    harness.hear_alive(remote("zoe", 4, "10.9.9.2"))
    harness.pass_time(0.3)

    assert [(str(e.ip), e.name) for e in harness.plan.hosts] == [
        ("10.9.9.3", "db"),
        ("10.9.9.2", "zoe"),
    ]
    assert harness.plan.peers[key(2)].allowed_ips == ()


def test_whoever_moves_takes_no_address_of_a_failed_member() -> None:
    second = str(overlay_address("local", SETTINGS.overlay_net, 1))
    harness = joined(remote("db", 3), remote("old", 4, second))
    harness.hear(Dead(1, "old", "db"))

    harness.hear_alive(remote("amy", 2, harness.overlay_addr))
    harness.pass_time(0.8)

    assert harness.overlay_addr == str(overlay_address("local", SETTINGS.overlay_net, 2))


def test_a_fixed_address_that_is_lost_stays_and_is_told() -> None:
    harness = joined(overlay_addr=ip_address(X))

    harness.hear_alive(remote("amy", 2, X, immovable=True, kept=True))
    harness.pass_time(0.3)

    assert harness.overlay_addr == X
    (told,) = harness.errors()
    assert all(word in told for word in (X, "amy", "local"))
    assert str(harness.plan.interface.address) == X
    assert harness.plan.peers[key(2)].allowed_ips == ()


@pytest.mark.parametrize("holder", [{"immovable": True, "version": "1"}, {}], ids=["ours", "Go"])
def test_who_comes_late_to_a_fixed_address_takes_it_from_nobody(
    holder: dict[str, Any],
) -> None:
    first = remote("zoe", 2, meta=metadata(X, 2, **holder))
    itself: dict[str, Any] = {"name": "amy", "public_key": key(9), "ip": "192.0.2.9"}
    before = saved(overlay_addr=X)
    amy = joined(first, overlay_addr=ip_address(X), earlier=before, **itself)
    (late,) = (record for record in amy.push() if record.name == "amy")

    observer = joined(first)
    observer.hear_alive(late)
    observer.pass_time(0.3)

    assert amy.overlay_addr == X
    assert amy.metadata.late
    assert [entry.name for entry in observer.plan.hosts] == ["zoe"]
    assert any("neither can move" in text for text in observer.errors())


def test_a_go_member_that_comes_later_takes_a_fixed_address_from_nobody() -> None:
    """It cannot say that it is late, so who was there first says that."""
    zoe = joined(name="zoe", public_key=key(3), overlay_addr=ip_address(X))
    (first,) = (record for record in zoe.push() if record.name == "zoe")

    observer = joined(first)
    observer.hear_alive(remote("amy", 2, meta=metadata(X, 2)))
    observer.pass_time(0.3)

    assert [entry.name for entry in observer.plan.hosts] == ["zoe"]
    assert any("neither can move" in text for text in observer.errors())


def test_who_fixes_an_address_that_its_holder_can_leave_is_not_late() -> None:
    before = saved(overlay_addr=X)
    harness = joined(remote("zoe", 2, X), name="amy", overlay_addr=ip_address(X), earlier=before)

    assert not harness.metadata.late


def test_who_lost_its_address_stays_as_it_is_until_all_claims_may_be_known() -> None:
    harness = joined()
    harness.pass_time(0.3)
    first = harness.overlay_addr
    before = harness.plan.interface

    harness.hear_alive(remote("amy", 2, first))
    harness.pass_time(MOVE_PATIENCE - 0.1)

    assert harness.overlay_addr == first
    assert harness.plan.interface == before
    assert harness.plan.peers[key(2)].allowed_ips == ()


def test_a_claim_that_is_withdrawn_in_time_moves_nobody() -> None:
    harness = joined()
    first = harness.overlay_addr
    harness.hear_alive(remote("amy", 2, first))
    harness.pass_time(MOVE_PATIENCE - 0.1)

    harness.hear_alive(remote("amy", 2, "10.9.9.2", incarnation=2))
    harness.pass_time(3)

    assert harness.overlay_addr == first


def test_those_who_lose_at_once_get_out_of_each_others_way() -> None:
    network = ip_interface("10.0.0.0/29")
    ours_first = overlay_address("local", network)

    def next_of(name: str, *lost: IPAddress) -> IPAddress | None:
        return choose_address(name, network, lambda ip: ip in lost)

    other, lost = next(
        (name, first)
        for name in map("a{}".format, range(1000))
        if (first := overlay_address(name, network)) != ours_first
        and is_usable(first, network)
        and next_of(name, first, ours_first) == next_of("local", first, ours_first)
    )
    harness = joined(overlay_net=network)
    ours_now = harness.overlay_addr
    at: dict[str, Any] = {"overlay_net": "10.0.0.0/29"}

    harness.hear_alive(remote(other, 3, str(lost), **at))
    harness.hear_alive(remote("A", 2, ours_now, **at))
    harness.hear_alive(remote("AA", 4, str(lost), **at))
    harness.pass_time(0.8)

    theirs = next_of(other, lost, ip_address(ours_now))
    assert theirs
    assert harness.overlay_addr == str(next_of("local", lost, ip_address(ours_now), theirs))


def test_a_loser_that_finds_no_free_address_keeps_its_own_and_says_so() -> None:
    network = ip_interface("10.0.0.0/30")
    harness = joined(overlay_net=network)
    first = harness.overlay_addr

    harness.hear_alive(remote("amy", 2, first))
    harness.pass_time(0.8)
    second = harness.overlay_addr
    harness.hear_alive(remote("bob", 3, second))
    harness.pass_time(0.8)

    assert {first, second} == {"10.0.0.1", "10.0.0.2"}
    assert harness.overlay_addr == second
    assert any("10.0.0.0/30 is full" in text for text in harness.errors())
    assert [entry.name for entry in harness.plan.hosts] == ["amy"]


def review(
    overlay: Overlay,
    *claims: Record,
    failed: Sequence[Member] = (),
    facts: LocalFacts | None = None,
    complete: bool = True,
) -> tuple[bool, Plan]:
    members = map(live, claims)
    reviewed = overlay.review(members, failed, facts or LocalFacts(), 0, complete=complete)
    assert overlay.plan
    return reviewed.moved, overlay.plan


def overlay_of(
    *others: Record,
    earlier: IPv4Address | IPv6Address | None = None,
    facts: LocalFacts | None = None,
    **settings: Any,
) -> Overlay:
    overlay = Overlay(replace(SETTINGS, **settings), Saved(earlier), Keyring(KEY))
    assert overlay.choose(others, (), facts or LocalFacts(), 0) is None
    return overlay


@pytest.mark.parametrize(
    "earlier", ["172.16.0.1", "10.0.0.0", "10.255.255.255", "fd00::1", "10.9.9.2", "192.0.2.2"]
)
def test_an_earlier_address_that_does_not_fit_any_more_is_not_kept(earlier: str) -> None:
    overlay = overlay_of(ours("web", "10.9.9.2"), earlier=ip_address(earlier))

    assert overlay.address == overlay_address("local", SETTINGS.overlay_net)
    assert not decode_metadata(overlay.metadata()).kept


@pytest.mark.parametrize(
    "facts",
    [
        {"connected": (ip_interface("10.7.0.0/16").network,)},
        {"own_addresses": frozenset([ip_address(X)])},
        {"next_hops": frozenset([ip_address(X)])},
        {"resolvers": frozenset([ip_address(X)])},
    ],
)
def test_an_earlier_address_that_would_cut_this_host_off_is_not_kept(
    facts: dict[str, Any],
) -> None:
    overlay = overlay_of(earlier=ip_address(X), facts=LocalFacts(**facts))

    assert str(overlay.address) != X


@pytest.mark.parametrize("network", ["fd00::/64", "10.0.0.0/24", "10.3.4.5/17", "192.168.7.8/30"])
def test_the_address_lies_in_the_network_whatever_its_size(network: str) -> None:
    overlay = overlay_of(overlay_net=ip_interface(network))

    assert overlay.address in ip_interface(network).network


def test_metadata_says_who_and_where_we_are() -> None:
    overlay = overlay_of(wireguard_port=51999)

    told = decode_metadata(overlay.metadata())

    assert told.overlay_addr == overlay.address
    assert told.public_key == SETTINGS.public_key
    assert told.wireguard_port == 51999
    assert told.overlay_net == "10.0.0.0/8"
    assert told.has_ext
    assert (told.immovable, told.kept) == (False, False)


def test_before_the_first_review_there_is_no_plan() -> None:
    overlay = overlay_of()
    before = overlay.plan

    moved, plan = review(overlay, member("web"))

    assert before is None
    assert not moved
    assert list(plan.peers) == [key(2)]


# Going back

HOME, FLAG, DAY = "10.7.7.7", "10.8.8.8", 86_400.0


def start(
    *others: Record,
    earlier: Saved,
    failed: Iterable[Record] = (),
    now: float = 0.0,
    **settings: Any,
) -> Overlay:
    """Return the overlay of a host that starts anew after these others were found."""
    overlay = Overlay(replace(SETTINGS, **settings), earlier, Keyring(KEY))
    assert overlay.choose(others, failed, LocalFacts(), now) is None
    return overlay


def kept_by(overlay: Overlay, *, fixed: bool = False) -> Saved:
    """Return what the next start knows of this one's address."""
    return Saved(overlay.address, fixed=fixed, former=overlay.former)


def evicted(*, held: float = HELD, rival: Record | None = None) -> tuple[str, Overlay]:
    """Return a host at its second address, since an immovable one has its first."""
    overlay = start(earlier=Saved())
    first = str(overlay.address)
    rival = rival or remote("amy", 2, meta=metadata(first, 2))
    for now in (0.0, held, held + MOVE_PATIENCE):
        overlay.review([live(rival)] if now else [], [], LocalFacts(), now, complete=True)
    assert str(overlay.address) != first
    return first, overlay


def test_who_was_evicted_goes_back_at_a_start_once_its_address_is_free() -> None:
    first, overlay = evicted()

    later = start(earlier=kept_by(overlay), now=DAY)

    assert str(later.address) == first


@pytest.mark.parametrize("there", ["live", "failed"])
def test_who_was_evicted_stays_away_while_the_other_may_be_there(there: str) -> None:
    first, overlay = evicted()
    rival = remote("amy", 2, meta=metadata(first, 2))
    others = {"live": ([rival], []), "failed": ([], [rival])}[there]

    again = start(*others[0], failed=others[1], earlier=kept_by(overlay), now=DAY)
    at_last = start(earlier=kept_by(again), now=2 * DAY)

    assert again.address == overlay.address
    assert str(at_last.address) == first


def test_no_flow_is_cut_to_go_back() -> None:
    first, overlay = evicted()

    handed_over = start(earlier=kept_by(overlay), now=DAY, interface_kept=True)
    rebooted = start(earlier=kept_by(handed_over), now=2 * DAY)

    assert handed_over.address == overlay.address
    assert str(rebooted.address) == first


def test_an_address_that_others_hardly_knew_us_by_is_not_gone_back_to() -> None:
    _, overlay = evicted(held=HELD - 1)

    assert start(earlier=kept_by(overlay), now=DAY).address == overlay.address


def test_after_a_week_others_know_us_by_the_new_address() -> None:
    _, overlay = evicted()

    assert overlay.former
    later = start(earlier=kept_by(overlay), now=overlay.former.left_at + MISSED + 1)

    assert later.address == overlay.address
    assert later.former is None


def test_an_address_that_was_taken_while_we_were_away_is_gone_back_to() -> None:
    earlier = Saved(ip_address(HOME))
    away = start(remote("amy", 2, HOME), earlier=earlier)

    assert str(away.address) != HOME
    assert str(start(earlier=kept_by(away), now=DAY).address) == HOME


def test_who_loses_its_address_soon_after_going_back_goes_back_again() -> None:
    first, overlay = evicted()
    back = start(earlier=kept_by(overlay), now=DAY)
    rival = remote("amy", 2, meta=metadata(first, 2))
    for now in (DAY + 1, DAY + 1 + MOVE_PATIENCE):
        back.review([live(rival)], [], LocalFacts(), now, complete=True)
    assert str(back.address) != first

    assert str(start(earlier=kept_by(back), now=2 * DAY).address) == first


@pytest.mark.parametrize("interface_kept", [False, True])
def test_without_its_flag_a_host_leaves_the_address_that_the_flag_gave_it(
    interface_kept: bool,
) -> None:
    flagged = start(earlier=Saved(), overlay_addr=ip_address(FLAG))

    without = start(earlier=kept_by(flagged, fixed=True), interface_kept=interface_kept)

    assert without.address == overlay_address("local", SETTINGS.overlay_net)
    assert without.former is None


@pytest.mark.parametrize("starts", [1, 2])
def test_without_its_flag_a_host_has_the_address_from_before_the_flag(starts: int) -> None:
    earlier = Saved(ip_address(HOME))
    for _ in range(starts):
        flagged = start(earlier=earlier, overlay_addr=ip_address(FLAG))
        earlier = kept_by(flagged, fixed=True)

    assert str(start(earlier=earlier, now=DAY).address) == HOME
    assert str(start(earlier=earlier, now=DAY, overlay_addr=ip_address(FLAG)).address) == FLAG


def test_a_node_keeps_what_it_needs_to_go_back() -> None:
    fixed = Harness(overlay_addr=ip_address(FLAG)).start().saved
    moved = Harness(Saved(ip_address(FLAG), fixed=True)).start().saved
    former = Former(ip_address(HOME), -5.0)
    back = Harness(Saved(ip_address(FLAG), former=former)).start().saved

    assert (fixed.fixed, str(fixed.overlay_addr)) == (True, FLAG)
    assert (moved.fixed, moved.overlay_addr) == (False, overlay_address("local", NET))
    assert (str(back.overlay_addr), back.former) == (HOME, former)


NET = SETTINGS.overlay_net
