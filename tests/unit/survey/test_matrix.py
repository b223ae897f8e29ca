"""What a cell says, by what both ends of a tunnel say of it."""

import pytest

from tests.testbed.meshes import mesh
from wesher.mesh.base.questions import Reach, Tunnel
from wesher.survey.matrix import ITSELF, Link, MapMember, Source, build_matrix

ANSWERED, SESSION, SILENT = Reach.ANSWERED, Reach.SESSION, Reach.SILENT
UNTRIED, NOT_A_PEER = Reach.UNTRIED, Reach.NOT_A_PEER


@pytest.mark.parametrize(
    ("says", "other_says", "link"),
    [
        (ANSWERED, ANSWERED, Link.REACHED),
        (ANSWERED, SILENT, Link.REACHED),
        (SILENT, ANSWERED, Link.SILENT),
        (SILENT, SILENT, Link.SILENT),
        (SILENT, SESSION, Link.SILENT),
        (SESSION, SILENT, Link.SILENT),
        (SESSION, UNTRIED, Link.REACHED),
        (SESSION, SESSION, Link.REACHED),
        (UNTRIED, SESSION, Link.REACHED),
        (UNTRIED, ANSWERED, Link.REACHED),
        (UNTRIED, SILENT, Link.SILENT),
        (UNTRIED, UNTRIED, Link.UNKNOWN),
        (UNTRIED, NOT_A_PEER, Link.UNKNOWN),
        (NOT_A_PEER, ANSWERED, Link.NOT_A_PEER),
        (ANSWERED, NOT_A_PEER, Link.REACHED),
    ],
)
def test_a_cell_by_what_both_ends_say(says: Reach, other_says: Reach, link: Link) -> None:
    matrix = mesh(2, cells={(1, 2): says, (2, 1): other_says})

    assert matrix.rows[0][1].link is link


@pytest.mark.parametrize(
    ("other_says", "link"),
    [
        (ANSWERED, Link.REACHED),
        (SESSION, Link.REACHED),
        (SILENT, Link.SILENT),
        (UNTRIED, Link.UNKNOWN),
        (NOT_A_PEER, Link.UNKNOWN),
    ],
)
@pytest.mark.parametrize("source", [one for one in Source if one is not Source.TOLD])
def test_who_tells_nothing_is_spoken_for_by_the_other_end(
    other_says: Reach, link: Link, source: Source
) -> None:
    matrix = mesh(2, sources={1: source}, cells={(2, 1): other_says})

    cell = matrix.rows[0][1]
    assert (cell.link, cell.told, cell.hears) == (link, False, None)


def test_of_two_that_tell_nothing_nothing_is_known() -> None:
    matrix = mesh(3, sources={1: Source.GO}, dead=[2])

    assert matrix.rows[0][1].link is matrix.rows[1][0].link is Link.UNKNOWN
    assert not matrix.rows[0][1].told


def test_both_without_an_answer_that_hear_each_other_reach_each_other() -> None:
    both = mesh(2, bad=[(1, 2)], heard=[(1, 2), (2, 1)])
    one = mesh(2, bad=[(1, 2)], heard=[(1, 2)])

    assert both.rows[0][1].link is both.rows[1][0].link is Link.REACHED
    assert both.rows[0][1].round_trip is None
    assert one.rows[0][1].link is one.rows[1][0].link is Link.SILENT
    assert (one.rows[0][1].hears, one.rows[1][0].hears) == (True, False)


def test_who_is_not_in_somebodys_list_is_not_a_peer_there() -> None:
    members = [MapMember(name, "alive", Source.TOLD) for name in ("alpha", "beta")]

    matrix = build_matrix(members, {"alpha": [], "beta": [Tunnel("alpha", ANSWERED)]})

    assert matrix.rows[0][1].link is Link.NOT_A_PEER
    assert matrix.rows[1][0].link is Link.REACHED


def test_members_are_in_natural_order_and_reach_themselves() -> None:
    matrix = mesh(11)

    assert [one.name for one in matrix.members[-3:]] == ["node9", "node10", "node11"]
    assert all(matrix.rows[at][at] is ITSELF for at in range(11))


def test_the_port_of_a_member_is_what_most_send_to() -> None:
    members = [MapMember(name, "alive", Source.TOLD) for name in ("a", "b", "c", "d")]
    told = {
        "a": [Tunnel("d", ANSWERED, endpoint="192.0.2.4:51820")],
        "b": [Tunnel("d", ANSWERED, endpoint="192.0.2.4:51820")],
        "c": [Tunnel("d", ANSWERED, endpoint="[fd00::4]:40000"), Tunnel("a", SILENT)],
        "d": [Tunnel("b", ANSWERED, endpoint="nonsense:port"), Tunnel("c", SILENT, endpoint="")],
    }

    ports = {one.name: one.port for one in build_matrix(members, told).members}

    assert ports == {"a": None, "b": None, "c": None, "d": 51820}


def test_who_tells_of_somebody_nobody_knows_changes_nothing() -> None:
    members = [MapMember(name, "alive", Source.TOLD) for name in ("alpha", "beta")]
    told = {"alpha": [Tunnel("beta", ANSWERED), Tunnel("ghost", ANSWERED)], "ghost": []}

    assert len(build_matrix(members, told).rows) == 2


def test_trouble_is_a_pair_that_is_not_reached_both_ways() -> None:
    matrix = mesh(3, cells={(1, 2): SILENT})

    assert matrix.has_trouble(0, 1)
    assert matrix.has_trouble(1, 0)
    assert not matrix.has_trouble(0, 2)
    assert not matrix.has_trouble(0, 0)
