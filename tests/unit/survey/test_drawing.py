"""The graph as SVG and for Graphviz: well-formed, complete, and nothing that a name could break."""

from xml.etree import ElementTree

import pytest

from tests.testbed.meshes import example, mesh
from wesher.base.frozen import replace
from wesher.mesh.base.questions import Reach
from wesher.survey.drawing import SCALE_COLOURS, SLOWEST, colour_of, dot, svg
from wesher.survey.matrix import Matrix
from wesher.survey.page import page
from wesher.survey.survey import Survey
from wesher.survey.verdict import verdict

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "a\"</title>\\<script>&\x1b'"


def survey(matrix: Matrix | None = None) -> Survey:
    matrix = matrix or mesh(4)
    return Survey("node1", 0.0, matrix, verdict(matrix), [])


def named(name: str) -> Survey:
    made = survey()
    members = [replace(made.matrix.members[0], name=name), *made.matrix.members[1:]]
    return replace(made, matrix=replace(made.matrix, members=members))


def lines(picture: str) -> list[str]:
    found = ElementTree.fromstring(picture).iter(f"{SVG}line")
    return sorted(one.attrib["class"].split()[0] for one in found)


def test_each_pair_is_a_line_of_its_kind() -> None:
    drawn = survey(mesh(4, bad=[(1, 2)], untried=[(1, 3)], cells={(4, 1): Reach.SILENT}))

    assert lines(svg(drawn)) == ["one-way", "reached", "reached", "reached", "silent", "unknown"]
    assert dot(drawn).count(" -- ") == 6
    assert 'style=dashed, label="silent"' in dot(drawn)


def test_of_a_large_mesh_only_what_is_not_reached_is_drawn() -> None:
    drawn = example(300)

    assert set(lines(svg(drawn))) == {"silent", "unknown"}
    assert dot(drawn).count(" -- ") == len(lines(svg(drawn)))
    assert svg(drawn).count("<circle") == 300
    assert svg(drawn).count("<text") == 2, "those that have much trouble are named"


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_smallest_meshes_can_be_drawn(count: int) -> None:
    matrix = mesh(count)
    drawn = Survey("node1", 0.0, matrix, verdict(matrix), [])

    assert svg(drawn).count("<circle") == count
    assert dot(drawn).startswith("graph mesh {")
    assert "<!DOCTYPE html>" in page(drawn)


def test_a_name_is_a_name_whatever_is_in_it() -> None:
    drawn = named(EVIL)

    assert lines(svg(drawn)) == ["reached"] * 6
    assert "<script>" not in svg(drawn)
    assert '"a\\"</title>' in dot(drawn)
    assert page(drawn).count("<script>") == 1


def test_longer_round_trips_have_other_colours() -> None:
    colours = [colour_of(seconds) for seconds in (None, 0.0004, 0.004, 0.015, 0.05, 3.0)]

    assert colours == [SCALE_COLOURS[0], *SCALE_COLOURS[:4], SLOWEST]
