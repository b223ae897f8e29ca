"""What was met lately is over once the contrary was seen after it, and not before."""

from typing import Any

import pytest

from tests.unit.mesh.node_harness import HERE, Harness, joined, remote
from wesher.base import problems
from wesher.gossip import Address, Member, MemberState, pack_ip
from wesher.mesh.base.actions import Warn
from wesher.mesh.base.operator_log import Recent
from wesher.mesh.reporting.mended import LATE_RETRY, View, marked

MET, NOW = 100.0, 130.0
WEB = Address("192.0.2.2", 7946)


def member(
    name: str = "web",
    address: Address = WEB,
    state: MemberState = MemberState.ALIVE,
    since: float = 0.0,
) -> Member:
    return Member(name, pack_ip(address.ip), address.port, b"", b"", 1, state, since)


PRIMARY = "01020304"


def view(
    *live: Member, answered: dict[str, float] | None = None, now: float = NOW, **changes: Any
) -> View:
    """What is so now: these are live, and answered at these instants."""
    told: dict[str, Any] = {
        "name": "local",
        "here": HERE,
        "primary_key": PRIMARY,
        "overlay_addr": "10.1.1.1",
        "own_addresses": frozenset({HERE}),
        "live": {one.name: one for one in live},
        "failed": frozenset(),
        "answered_at": answered or {},
        "outcome": None,
        "peer_problems": [],
        "now": now,
    }
    return View(**(told | changes))


def is_over(trouble: problems.Problem, seen: View, source: str = "web", **data: str) -> bool:
    return marked(Recent(Warn(trouble, source, data), MET), seen).mended


AFTER, BEFORE = {"web": MET + 1}, {"web": MET - 1}
JOINED = member(since=MET + 1)


# Another key


@pytest.mark.parametrize(
    ("seen", "over"),
    [
        (view(JOINED, answered=AFTER), True),
        (view(JOINED), False),
        (view(), False),
        (view(member(since=MET + 1, state=MemberState.SUSPECT), answered=AFTER), False),
        (view(member("web", Address("192.0.2.9", 7946), since=MET + 1), answered=AFTER), False),
        # Who was there all the time is not the one with the other key, unless that is silent now.
        (view(member(since=MET - 1), answered=AFTER), False),
        (view(member(since=MET - 1), answered=AFTER, now=MET + LATE_RETRY + 1), True),
        (view(member(since=MET - 1), answered=BEFORE, now=MET + LATE_RETRY + 1), False),
    ],
)
def test_another_key_is_over_once_a_member_has_come_to_that_address(seen: View, over: bool) -> None:
    assert is_over(problems.OTHER_KEY, seen, address=WEB.ip) is over
    assert is_over(problems.STRANGER, seen, address=WEB.ip) is over


# Addresses and firewalls


@pytest.mark.parametrize(
    ("seen", "over"),
    [
        (view(member(), answered=AFTER), True),
        (view(member(), answered=BEFORE), False),
        (view(member(), answered={"db": MET + 1}), False),
        (view(failed=frozenset({"web"})), False),
        (view(), True),
    ],
    ids=["answers", "answered before", "another answers", "failed", "left"],
)
@pytest.mark.parametrize("trouble", [problems.UDP_BLOCKED, problems.TALKS_ELSEWHERE])
def test_who_was_silent_by_udp_must_answer_by_udp(
    trouble: problems.Problem, seen: View, over: bool
) -> None:
    assert is_over(trouble, seen, member="web", address=WEB.ip) is over


def test_who_announced_a_wrong_address_may_announce_another() -> None:
    data: dict[str, Any] = {"member": "web", "address": "192.0.2.99"}
    seen = view(member())

    assert is_over(problems.TALKS_ELSEWHERE, seen, **data)
    assert is_over(problems.ADDRESS_HERE, seen, **data)


@pytest.mark.parametrize(
    ("live", "own", "over"),
    [
        ([member()], {WEB.ip}, False),
        ([member()], {HERE}, True),
        ([], {WEB.ip}, True),
    ],
)
def test_an_address_of_ours_is_over_once_nobody_announces_it(
    live: list[Member], own: set[str], over: bool
) -> None:
    seen = view(*live, own_addresses=frozenset(own))

    assert is_over(problems.ADDRESS_HERE, seen, member="web", address=WEB.ip) is over


@pytest.mark.parametrize(
    ("answered", "announced", "over"),
    [
        ({"web": MET + 1, "db": MET + 1}, HERE, True),
        (AFTER, HERE, False),
        ({}, HERE, False),
        ({}, "192.0.2.77", True),
    ],
)
def test_our_wrong_address_is_over_once_all_answers_arrive_or_it_is_another(
    answered: dict[str, float], announced: str, over: bool
) -> None:
    seen = view(member(), member("db", Address("192.0.2.3", 7946)), answered=answered)

    assert is_over(problems.WE_TALK_ELSEWHERE, seen, address=announced) is over
    assert not is_over(problems.WE_TALK_ELSEWHERE, view(), address=HERE)


# Company and overlay addresses


def test_that_nobody_answers_is_over_when_somebody_is_alive() -> None:
    suspect = member(state=MemberState.SUSPECT)

    assert [is_over(problems.NOBODY, view(*who)) for who in ((), (suspect,), (member(),))] == [
        False,
        False,
        True,
    ]


def test_a_move_is_over_when_we_are_back() -> None:
    assert is_over(problems.MOVED, view(), source="local", old="10.1.1.1")
    assert not is_over(problems.MOVED, view(), source="local", old="10.1.1.2")


@pytest.mark.parametrize(
    "trouble", [problems.SAME_ADDRESS, problems.METADATA_FORMAT, problems.OTHER_CASE]
)
def test_what_is_objected_to_is_over_when_it_is_not_any_more(trouble: problems.Problem) -> None:
    objected = [Warn(trouble, "web", {})]

    assert not is_over(trouble, view(peer_problems=objected))
    assert is_over(trouble, view(peer_problems=objected), source="db")
    assert is_over(trouble, view())


@pytest.mark.parametrize("trouble", [problems.SLEPT, problems.FORGED, problems.KEY_CHANGED])
def test_what_has_happened_stays_on_the_record(trouble: problems.Problem) -> None:
    seen = view(member(), answered=AFTER)

    assert not is_over(trouble, seen, member="web", address=WEB.ip)


# A whole node


def over(harness: Harness) -> dict[str, bool]:
    return {
        one.warning.problem.name: one.mended for one in harness.node.account(harness.now).problems
    }


def test_a_member_that_was_refused_and_is_a_peer_now_is_no_trouble() -> None:
    harness = joined(remote("web", 2, "192.168.0.1"))
    before = over(harness)

    harness.hear_alive(remote("web", 2, "10.9.9.2"), incarnation=2)
    harness.pass_time(1)

    assert before == {"no-peer": False}
    assert over(harness) == {"no-peer": True}


def test_a_member_that_was_refused_stays_trouble_until_it_has_told_all() -> None:
    harness = joined(remote("web", 2, "192.168.0.1"))

    harness.hear_alive(remote("web", 2), incarnation=2, meta=b"")
    harness.pass_time(1)

    assert over(harness) == {"no-peer": False}
