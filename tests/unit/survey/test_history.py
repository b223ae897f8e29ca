"""What all members saw of the last hour, each event once."""

from wesher.mesh.base.questions import PastEvent
from wesher.survey.history import MAX_KEPT, SeenEvent, merge_events


def test_what_many_saw_is_told_once_as_who_saw_it_first_tells_it() -> None:
    told = {
        "alpha": [PastEvent(100.0, "failed", "delta"), PastEvent(50.0, "returned", "delta")],
        "beta": [PastEvent(103.5, "failed", "delta")],
        "gamma": [PastEvent(70.0, "failed", "delta")],
    }

    assert merge_events(told) == [
        SeenEvent(103.5, "failed", "delta", "", 3),
        SeenEvent(50.0, "returned", "delta", "", 1),
    ]


def test_what_happens_again_is_told_again() -> None:
    told = {"alpha": [PastEvent(ago, "failed", "delta") for ago in (900.0, 500.0)]}

    assert [one.ago for one in merge_events(told)] == [900.0, 500.0]


def test_texts_are_kept_and_updates_are_not() -> None:
    told = {
        "alpha": [PastEvent(3.0, "conflict", "delta"), PastEvent(2.0, "updated", "beta")],
        "beta": [PastEvent(2.0, "conflict", "delta", "two hosts are named delta")],
    }

    assert merge_events(told) == [
        SeenEvent(3.0, "conflict", "delta", "two hosts are named delta", 2)
    ]


def test_a_flood_is_kept_in_part_the_latest() -> None:
    told = {"alpha": [PastEvent(float(ago), "joined", f"node{ago}") for ago in range(3000)]}

    kept = merge_events(told)

    assert len(kept) == MAX_KEPT
    assert kept[-1].ago == 0
