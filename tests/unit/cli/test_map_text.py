"""What `wesher map` prints, at every width, and for machines.

`UPDATE_SCREENS=1` writes the screens anew.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.testbed.meshes import mesh
from wesher.cli.asking import MeshAnswers
from wesher.cli.mapping import render, survey_of
from wesher.cli.matrix import matrix_lines
from wesher.mesh.base.questions import MemberAnswer, PastEvent, Reach, Tunnel
from wesher.survey.history import SeenEvent
from wesher.survey.matrix import Matrix, Source
from wesher.survey.survey import Survey, as_json
from wesher.survey.verdict import verdict
from wesher.system.terminal import Screen, cells, painted

SCREENS = Path(__file__).with_name("screens")


def small() -> Matrix:
    """A mesh with a one-way block, a dead member, and one of the original."""
    return mesh(6, bad=[(2, 3)], heard=[(2, 3)], dead=[6], sources={5: Source.GO})


def large() -> Matrix:
    """A mesh in which one member reaches nobody, one is down, and two miss each other."""
    alone = [(7, other) for other in range(1, 301) if other != 7]
    return mesh(300, bad=[*alone, (3, 5)], dead=[20])


MESHES = {"6": small, "300": large}


def survey(matrix: Matrix) -> Survey:
    events = [SeenEvent(60.0, "failed", "node6", "", 3)]
    return Survey("node1", 1000.0, matrix, verdict(matrix), events)


@pytest.mark.parametrize("columns", [60, 80, 200])
@pytest.mark.parametrize("members", MESHES)
def test_the_screen_as_it_is_kept(members: str, columns: int) -> None:
    lines = [
        painted(one, colours=False) for one in render(survey(MESHES[members]()), Screen(columns))
    ]
    kept = SCREENS / f"map-{columns}-{members}.txt"
    text = "\n".join(lines) + "\n"

    if os.environ.get("UPDATE_SCREENS"):
        kept.write_text(text)
    assert max(map(cells, lines)) <= columns
    assert text == kept.read_text()


@pytest.mark.parametrize("columns", [30, 40, 61, 79, 100, None])
@pytest.mark.parametrize("count", [1, 2, 9, 25, 29, 31])
def test_no_row_of_a_matrix_is_wider_than_the_screen(count: int, columns: int | None) -> None:
    pairs = [(one, one + 1) for one in range(1, count, 3)]
    matrix = mesh(count, bad=pairs, untried=[(1, count)])

    lines = [painted(one, colours=False) for one in matrix_lines(matrix, Screen(columns))]

    assert columns is None or max(map(cells, lines)) <= columns


def test_where_even_groups_do_not_fit_it_is_said_how_many_are_left_out() -> None:
    matrix = mesh(120, bad=[(one, one + 1) for one in range(1, 120)])

    lines = [painted(one, colours=False) for one in matrix_lines(matrix, Screen(80))]

    assert any("more members" in line and "do not fit" in line for line in lines)
    assert lines[-1] == "+ reached, x silent"
    assert all(cells(line) <= 80 for line in lines)


def test_silence_stands_out_on_a_terminal() -> None:
    lines = [painted(one, colours=True) for one in render(survey(small()), Screen(80, True))]

    assert any("\x1b[1;31msilent\x1b[0m" in line for line in lines)


def test_members_cannot_drive_the_terminal() -> None:
    told = MeshAnswers(
        {"node": {"name": "a"}},
        {"a": known("a"), "b\x1b[2J": known("b\x1b[2J")},
        {},
        {"a": Source.TOLD, "b\x1b[2J": Source.OLD},
    )

    text = "".join(painted(one, colours=True) for one in render(survey_of(told, 0.0), Screen(80)))

    assert "\x1b[2J" not in text


def known(name: str, **fields: Any) -> Mapping[str, Any]:
    usual = {"state": "alive", "address": "192.0.2.1:7946", "overlay_address": "10.0.0.1"}
    return {"name": name, "version": "1.0.0", **usual, **fields}


def test_a_survey_is_made_of_what_was_told() -> None:
    told = MeshAnswers(
        status={"node": {"name": "alpha"}},
        members={"alpha": known("alpha"), "beta": known("beta", state="failed", version=None)},
        answers={
            "alpha": MemberAnswer(
                "alpha",
                "1.0.0",
                tunnels=[Tunnel("beta", Reach.SILENT, endpoint="192.0.2.2:51820")],
                events=[PastEvent(3.0, "failed", "beta")],
            )
        },
        sources={"alpha": Source.TOLD, "beta": Source.SILENT},
    )

    shown = as_json(survey_of(told, 1000.0))

    assert shown["node"] == "alpha"
    assert not shown["healthy"]
    assert shown["verdict"][0]["cause"] == "down"
    assert shown["members"][1] == {
        "name": "beta",
        "state": "failed",
        "tells": "silent",
        "address": "192.0.2.1:7946",
        "overlay_address": "10.0.0.1",
        "version": None,
        "wireguard_port": 51820,
    }
    assert shown["matrix"] == [["itself", "silent"], ["silent", "itself"]]
    assert [(one["from"], one["to"], one["told"]) for one in shown["odd"]] == [
        ("alpha", "beta", True),
        ("beta", "alpha", False),
    ]
    assert [one["event"] for one in shown["events"]] == ["failed"]
