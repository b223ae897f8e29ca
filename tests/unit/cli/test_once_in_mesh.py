"""Of those who follow, one acts: by what each knows, without asking."""

from collections import Counter
from typing import Any

import pytest

from wesher.cli.once_in_mesh import chosen, falls_to

NAMES = [f"node{number}" for number in range(1, 31)]


def seen(*names: str, **changes: Any) -> list[dict[str, Any]]:
    usual = {"state": "alive", "implementation": "wesher"}
    return [{"name": name} | usual | changes for name in names]


def acting(kind: str, member: str, alive: list[str]) -> list[str]:
    """Return who acts, of those who are alive and all see each other so."""
    event = {"event": kind, "member": member}
    return [
        one for one in alive if falls_to(event, one, seen(*(name for name in alive if name != one)))
    ]


@pytest.mark.parametrize("kind", ["joined", "failed", "left", "returned", "moved", "conflict"])
@pytest.mark.parametrize("member", ["node7", "gone"])
def test_exactly_one_acts_and_never_whom_it_is_about(kind: str, member: str) -> None:
    [one] = acting(kind, member, NAMES)

    assert one != member


def test_the_choice_does_not_depend_on_the_order() -> None:
    assert chosen("failed", "db", NAMES) == chosen("failed", "db", reversed(NAMES))


def test_events_are_spread_over_the_members() -> None:
    falls = Counter(chosen("failed", f"db{number}", NAMES) for number in range(3000))

    assert set(falls) == set(NAMES)
    assert max(falls.values()) < 3 * min(falls.values())


def test_who_dies_changes_only_what_fell_to_it() -> None:
    for number in range(200):
        before = chosen("joined", f"db{number}", NAMES)
        after = chosen("joined", f"db{number}", [one for one in NAMES if one != "node3"])
        assert before in (after, "node3")


def test_who_does_not_follow_is_not_waited_for() -> None:
    """The original has no monitor; who is failed, suspect or left may be gone."""
    event = {"event": "joined", "member": "new"}
    others = [
        *seen("go1", "go2", "go3", "go4", implementation="go"),
        *seen("dead1", "dead2", "dead3", state="failed"),
        *seen("doubtful1", "doubtful2", state="suspect"),
        *seen("left1", "left2", "left3", state="left"),
    ]

    assert falls_to(event, "web", others)


@pytest.mark.parametrize("kind", ["following", "self-changed"])
def test_what_only_one_is_told_falls_to_it(kind: str) -> None:
    assert falls_to({"event": kind, "member": "web"}, "web", seen(*NAMES))


def test_alone_one_acts() -> None:
    assert falls_to({"event": "failed", "member": "db"}, "web", seen("db", state="failed"))
