"""`wesher status` on screens of several sizes; UPDATE_SCREENS=1 writes the files anew."""

import os
from itertools import pairwise
from pathlib import Path

import pytest

from tests.unit.cli.statuses import member, mesh_of, status
from wesher.cli.members import COLUMNS, by_trouble, totals
from wesher.cli.status import render
from wesher.mesh.base.hostnames import natural
from wesher.system.terminal import Screen, Span, Style, cells, painted

SCREENS = Path(__file__).parent / "screens"
WIDTHS = (60, 80, 200)


def shown(told: dict[str, object], columns: int | None, **wanted: object) -> list[str]:
    lines = render(told, Screen(columns), **wanted)  # type: ignore[arg-type] # as options are
    return [painted(line, colours=False) for line in lines]


def rows(lines: list[str]) -> list[str]:
    """Return the names in the table."""
    at = next(number for number, line in enumerate(lines) if line.startswith("NAME"))
    return [line.split()[0] for line in lines[at + 1 :]]


@pytest.mark.parametrize("count", [3, 300])
@pytest.mark.parametrize("columns", WIDTHS)
def test_a_status_looks_as_it_did(columns: int, count: int) -> None:
    file = SCREENS / f"status-{columns}-{count}.txt"

    text = "".join(f"{line}\n" for line in shown(mesh_of(count), columns))

    if "UPDATE_SCREENS" in os.environ:
        file.write_text(text)
    assert text == file.read_text()


@pytest.mark.parametrize("count", [3, 300])
@pytest.mark.parametrize("columns", range(20, 201))
def test_no_line_is_longer_than_the_screen_is_wide(columns: int, count: int) -> None:
    if columns < 40:  # facts are not wrapped into columns of a few letters
        lines = [line for line in shown(mesh_of(count), columns) if not line[:1].islower()]
        lines = lines[[line[:4] for line in lines].index("NAME") :]
    else:
        lines = shown(mesh_of(count), columns)

    assert [line for line in lines if cells(line) > columns] == []


def test_in_a_pipe_nothing_is_left_out() -> None:
    lines = shown(mesh_of(300), None)

    heads = next(line for line in lines if line.startswith("NAME"))
    assert heads.split() == [column.head for column in COLUMNS[:-1]] + ["ROUND", "TRIP"]
    assert any(line.startswith("a-host-with-a-name-longer-than-any.and-a-domain") for line in lines)


def test_columns_go_by_importance() -> None:
    told = status(member(), member(name="db2"))
    kept = []
    for columns in range(200, 20, -1):
        heads = next(line for line in shown(told, columns) if line.startswith("NAME"))
        kept.append(heads.replace("ROUND TRIP", "TRIP").split())

    assert kept[0][-1] == "TRIP"
    assert kept[-1] == ["NAME", "STATE", "ADDRESS"]
    gone = [*(set(wide) - set(narrow) for wide, narrow in pairwise(kept))]
    assert [one for lost in gone for one in lost] == [
        "SENT",
        "RECEIVED",
        "TRIP",
        "ENDPOINT",
        "FOR",
        "HANDSHAKE",
    ]


def test_totals_come_first_then_this_node() -> None:
    first, second, *_ = shown(mesh_of(300), 80)

    assert first.split(maxsplit=1) == ["members", "297 alive, 1 failed, 1 suspect, 1 left"]
    assert second.split(maxsplit=1) == ["node", "web at 192.0.2.1:7946, wesher 1"]
    assert totals([]) == "none but this node"


def test_trouble_comes_first_then_names_in_their_order() -> None:
    fine = [member(name=name) for name in ("node10", "node2", "Node1")]
    trouble = [
        member(name="c", handshake=None),
        member(name="d", peer=False, reason="is too new"),
        member(name="e", state="suspect"),
        member(name="f", state="failed"),
    ]

    assert [one["name"] for one in sorted(fine + trouble, key=by_trouble)] == [
        *("f", "e", "d", "c"),
        *("Node1", "node2", "node10"),
    ]


def test_numbers_in_names_count() -> None:
    names = ["b", "a10b2", "a10b10", "a9", "a", "10", "9", "A1", "²"]

    assert sorted(names, key=natural) == ["9", "10", "a", "A1", "a9", "a10b2", "a10b10", "b", "²"]


def test_who_left_is_shown_only_if_asked_for() -> None:
    told = status(member(), member(name="gone", state="left", peer=False))

    assert rows(shown(told, 80)) == ["db"]
    assert rows(shown(told, 80, left=True)) == ["db", "gone"]
    assert rows(shown(told, 80, wanted="left")) == ["gone"]
    assert shown(told, 80, wanted="failed")[-1] == "no member is failed"
    assert shown(told, 80)[0].endswith("1 alive, 1 left")


def test_what_is_wrong_with_a_member_is_said_in_whole_words_below() -> None:
    name = "a-host-with-a-name-longer-than-any.example.org"
    told = status(member(name=name, peer=False, reason="cannot be read: " + "it is too new " * 5))

    lines = shown(told, 60)

    assert "no peer" in next(line for line in lines if "…" in line)
    assert " ".join(map(str.strip, lines)).endswith(
        f"{name} cannot be read: "
        + told["members"][0]["reason"].removeprefix("cannot be read: ").strip()
    )


def test_states_that_are_trouble_have_colours() -> None:
    members = [
        member(),
        member(name="a", state="suspect"),
        member(name="b", state="failed"),
        member(name="c", peer=False, reason="is too new"),
    ]
    spans = [
        span
        for line in render(status(*members), Screen(80, True))
        if isinstance(line, tuple)
        for span in line
        if span.style and span.style is not Style.HEAD
    ]

    assert spans == [
        Span("failed", Style.BAD),
        Span("suspect", Style.DOUBTFUL),
        Span("no peer", Style.DOUBTFUL),
    ]
