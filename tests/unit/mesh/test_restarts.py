"""What a restart keeps: the peers of whoever is missing, who is gone, authority, and the seeds."""

from collections.abc import Iterable
from ipaddress import ip_address, ip_interface
from typing import Any

import pytest

from tests.unit.mesh.node_harness import HERE, Harness, joined, metadata, remote, seed
from wesher.base.frozen import replace
from wesher.gossip import Address, Dead, Record, StreamRequest
from wesher.mesh.base.saved import Saved, SavedMember, Tombstone

A = "192.0.2.10"


def known(name: str = "web", number: int = 2, **fields: Any) -> SavedMember:
    meta = metadata(f"10.9.9.{number}", number, version="1")
    return replace(SavedMember(name, Address(f"192.0.2.{number}", 7946), meta), **fields)


def restarted(
    *members: SavedMember, tombstones: Iterable[Tombstone] = (), **settings: Any
) -> tuple[Harness, list[StreamRequest]]:
    """Return a node that starts with what an earlier one has saved, and its requests."""
    harness = Harness(Saved(None, 5, members, tuple(tombstones)), **settings).start()
    return harness, harness.take_streams()


def names(harness: Harness) -> list[str]:
    return [entry.name for entry in harness.plan.hosts]


def looked(harness: Harness, requests: list[StreamRequest], *others: Record) -> None:
    """Let the seed answer the look, and nobody else."""
    harness.fail(*(request for request in requests if request.to.ip != A))
    for request in requests:
        if request.to.ip == A:
            harness.answer(request, *others)


def back_in(harness: Harness, requests: list[StreamRequest], *others: Record) -> None:
    """Let the seed answer the look and the join."""
    looked(harness, requests, *others)
    looked(harness, harness.take_streams(), *others)
    harness.pass_time(0.5)


def test_whoever_is_missing_after_a_restart_is_a_peer_as_before() -> None:
    harness, requests = restarted(known(), known("db", 3), seeds=(seed(A),))

    back_in(harness, requests, remote("db", 3))

    assert names(harness) == ["db", "web"]
    assert harness.plan.complete


def test_a_restarted_node_has_its_peers_before_anybody_answers() -> None:
    harness, requests = restarted(known())

    harness.fail(*requests)
    harness.pass_time(0.5)

    assert names(harness) == ["web"]
    assert not harness.plan.complete


@pytest.mark.parametrize(("ago", "kept"), [(3000.0, True), (3700.0, False)])
def test_time_since_a_failure_goes_on_across_restarts(ago: float, kept: bool) -> None:
    failed = known(failed_at=-ago)

    harness, requests = restarted(failed, known("db", 3), seeds=(seed(A),), forget_after=3600)
    back_in(harness, requests, remote("db", 3))

    assert ("web" in names(harness)) == kept


@pytest.mark.parametrize(
    "unusable",
    [
        known(meta=None),
        known(left=True),
        known("local", 1),
    ],
    ids=["no metadata", "left", "ourselves"],
)
def test_who_can_be_no_peer_is_only_a_contact(unusable: SavedMember) -> None:
    harness, requests = restarted(unusable, seeds=(seed(A),))

    back_in(harness, requests, remote("db", 3))

    assert names(harness) == ["db"]


def test_who_was_forgotten_before_the_restart_stays_forgotten() -> None:
    gone = Tombstone("web", 3, -50.0)
    harness, requests = restarted(
        known(incarnation=3), known("db", 3), tombstones=[gone], seeds=(seed(A),)
    )

    back_in(harness, requests, remote("db", 3))

    assert names(harness) == ["db"]
    assert harness.saved.tombstones == (gone,)


def test_a_tombstone_from_the_future_is_of_now() -> None:
    harness, requests = restarted(
        known("db", 3), tombstones=[Tombstone("web", 3, 1e9)], seeds=(seed(A),)
    )

    back_in(harness, requests, remote("db", 3))

    assert harness.saved.tombstones == (Tombstone("web", 3, 0.0),)


def test_failed_members_are_saved_with_the_time_and_their_incarnation() -> None:
    members = [remote("web", 2, incarnation=6), remote("db", 3)]
    harness = joined(*members)
    harness.keep_alive(*members, until=harness.now + 60)
    harness.hear(Dead(6, "web", "db"))

    saved = {member.name: member for member in harness.saved.members}

    assert saved["web"].failed_at == harness.now
    assert saved["web"].incarnation == 6
    assert saved["db"].failed_at is None


def test_a_restarted_node_has_authority_at_once() -> None:
    harness, requests = restarted(known(), seeds=(seed(A),))

    back_in(harness, requests, remote("local", 1, ip=HERE, incarnation=40), remote("web", 2))

    assert harness.record.incarnation == 41


def test_a_member_that_moved_meanwhile_does_not_hold_its_earlier_address() -> None:
    ours = "10.9.9.2"
    harness = Harness(
        Saved(None, 5, (known(),)), overlay_net=ip_interface("10.9.9.0/30"), seeds=(seed(A),)
    ).start()
    requests = harness.take_streams()

    looked(harness, requests, remote("web", 2, "10.9.9.1", overlay_net="10.9.9.0/30"))

    assert harness.overlay_addr == ours


def test_our_earlier_address_is_ours_although_a_failed_member_claims_it_too() -> None:
    harness = Harness(Saved(ip_address("10.9.9.2"), 5, (known(),)), seeds=(seed(A),)).start()
    requests = harness.take_streams()

    looked(harness, requests, remote("db", 3))

    assert harness.overlay_addr == "10.9.9.2"


def test_our_earlier_address_is_left_to_a_live_member_that_has_taken_it() -> None:
    harness = Harness(Saved(ip_address("10.9.9.2"), 5, ()), seeds=(seed(A),)).start()
    requests = harness.take_streams()

    looked(harness, requests, remote("db", 2))

    assert harness.overlay_addr != "10.9.9.2"


# Seeds


def contacted(harness: Harness, member: Record, seconds: float) -> set[str]:
    """Let time pass with one live member; return whom else we contacted."""
    found = set()
    for _ in range(int(seconds / 5)):
        harness.keep_alive(member, until=harness.now + 5)
        requests = harness.take_streams()
        found |= {request.to.ip for request in requests}
        harness.fail(*requests)
    return found - {"192.0.2.3"}


WEB, DB = remote("web", 2), remote("db", 3)


def at_a_seed(**settings: Any) -> Harness:
    """Return a node whose only seed is the member `web`, which has failed."""
    harness = joined(WEB, DB, seeds=(seed("192.0.2.2"),), **settings)
    harness.hear(Dead(1, "web", "db"))
    return harness


def test_a_seed_is_sought_for_ever_also_when_its_member_was_forgotten() -> None:
    harness = at_a_seed()
    harness.node.forget("web", harness.now)

    assert contacted(harness, DB, 300) == {"192.0.2.2"}


def test_a_seed_that_is_no_members_address_is_sought_once_its_member_was_given_up() -> None:
    harness = joined(WEB, DB, seeds=(seed(A),), forget_after=100)
    harness.hear(Dead(1, "web", "db"))
    harness.fail(*harness.take_streams())
    before = contacted(harness, DB, 90)
    harness.keep_alive(DB, until=harness.now + 50)
    harness.take_streams()

    assert before == {"192.0.2.2"}
    assert contacted(harness, DB, 300) == {A}


def test_ourselves_as_a_seed_are_not_sought_again() -> None:
    harness = Harness(seeds=(seed(HERE), seed(A)), forget_after=100).start()
    own, *requests = harness.take_streams()
    harness.loop_back(own)
    back_in(harness, requests, WEB, DB)
    harness.hear(Dead(1, "web", "db"))

    harness.keep_alive(DB, until=harness.now + 150)
    harness.take_streams()

    assert contacted(harness, DB, 200) == {A}
