"""Sessions with members that run the Go program are renewed after whatever makes it drop them."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.testbed.keys import key
from tests.unit.mesh.builders import live
from tests.unit.mesh.node_harness import Harness, joined, metadata, remote
from wesher.gossip import Dead, MemberCleared, MemberFailed, MemberJoined, Record
from wesher.mesh.planning.renewals import DELAYS, Renewals

GO = remote("go", 5, meta=metadata("10.9.9.5", 5))
OLD_GO = remote("go", 5, meta=metadata("10.9.9.5", 5, "v0.2"))
OURS = remote("web", 2)
NEW = remote("new", 3)
WEB = live(OURS)
QUIET = max(DELAYS) + 1


def settled(*records: Record) -> Harness:
    """Return a node among these members that has done all that their own joins are followed by."""
    harness = joined(*records)
    harness.keep_alive(*records, until=harness.now + QUIET)
    harness.plan_changes()
    return harness


def renewals(harness: Harness, *alive: Record) -> int:
    """Let time pass, and return how often sessions were renewed in it."""
    before = harness.plan.renewal
    harness.keep_alive(*alive, until=harness.now + QUIET)
    return harness.plan.renewal - before


@pytest.mark.parametrize("go", [GO, OLD_GO], ids=["master", "v0.2"])
def test_a_join_renews_the_sessions_with_go_members_and_with_nobody_else(go: Record) -> None:
    harness = settled(go, OURS)

    harness.hear_alive(NEW)

    assert renewals(harness, go, OURS, NEW) == len(DELAYS)
    assert harness.plan.forgetful == {key(5)}


@pytest.mark.parametrize(
    "change",
    [
        lambda harness: harness.hear_alive(OURS, incarnation=2, meta=metadata("10.9.9.7", 2)),
        lambda harness: harness.hear(Dead(1, "web", "web")),
        lambda harness: harness.hear(Dead(1, "web", "go")),
    ],
    ids=["update", "leave", "failure"],
)
def test_so_does_every_other_change_of_a_member(change: Callable[[Harness], object]) -> None:
    harness = settled(GO, OURS)

    change(harness)

    assert renewals(harness, GO, OURS) == len(DELAYS)


def test_each_renewal_is_a_change_of_plan() -> None:
    harness = settled(GO)
    harness.hear_alive(NEW)
    harness.pass_time(DELAYS[0] - 0.05)
    harness.plan_changes()

    assert renewals(harness, GO, NEW) == len(DELAYS) == harness.plan_changes()


def test_without_go_members_there_is_neither_a_renewal_nor_a_timer_for_one() -> None:
    harness = settled(OURS)

    harness.hear_alive(NEW)

    assert renewals(harness, OURS, NEW) == 0
    assert harness.plan_changes() == 1


def test_a_go_member_that_has_failed_is_not_renewed() -> None:
    harness = settled(GO, OURS)

    harness.hear(Dead(1, "go", "web"))
    harness.keep_alive(OURS, until=harness.now + 0.3)

    assert key(5) in harness.plan.peers
    assert not harness.plan.forgetful
    assert renewals(harness, OURS) == 0


def times(*events: float, until: float = 60.0) -> list[float]:
    """Return when sessions are renewed after joins at these instants."""
    planned = Renewals()
    waiting, now = sorted(events), 0.0
    found: list[float] = []
    while True:
        at = planned.due(now)
        if waiting and (at is None or waiting[0] <= at):
            now = waiting.pop(0)
            planned.note(MemberJoined(WEB), now)
        elif at is None or at > until:
            return found
        else:
            now = at
            planned.renew(now)
            found.append(round(at, 3))


def test_one_event_is_followed_by_one_renewal_after_each_delay() -> None:
    assert times(10.0) == [10.0 + delay for delay in DELAYS]


def test_many_events_at_once_share_their_renewals() -> None:
    assert len(times(*(10 + 0.01 * number for number in range(20)))) == len(DELAYS) + 1


def test_events_without_end_do_not_put_the_renewal_off() -> None:
    found = times(*(10 + 0.1 * number for number in range(100)))

    assert found[0] == 10 + DELAYS[0]
    assert all(after - at <= DELAYS[0] + 0.001 for at, after in pairwise(found[:30]))
    assert len(found) < 100


def test_a_suspicion_is_nothing_that_go_rewrites_for() -> None:
    planned = Renewals()

    planned.note(MemberCleared(WEB, 0.0), 10.0)
    assert planned.due(10.0) is None
    planned.note(MemberFailed(WEB), 10.0)
    assert planned.due(10.0) == 10.0 + DELAYS[0]


def test_what_nobody_needed_is_not_made_up_for() -> None:
    planned = Renewals()
    planned.note(MemberJoined(WEB), 10.0)

    assert planned.due(10.0 + DELAYS[0]) == 10.0 + DELAYS[0]
    assert planned.due(10.0 + DELAYS[1] - 0.01) == 10.0 + DELAYS[1]
    assert planned.due(13.0) is None
