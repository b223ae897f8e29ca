"""Meshes as their members would tell them: names `node1`, `node2`, …; pairs by their numbers."""

from collections.abc import Collection, Mapping

from wesher.base.frozen import replace
from wesher.mesh.base.questions import Reach, Tunnel
from wesher.survey.history import SeenEvent
from wesher.survey.matrix import MapMember, Matrix, Source, build_matrix
from wesher.survey.survey import Survey
from wesher.survey.verdict import verdict

Pair = tuple[int, int]


def name(number: int) -> str:
    return f"node{number}"


def mesh(
    count: int,
    *,
    bad: Collection[Pair] = (),
    dead: Collection[int] = (),
    sources: Mapping[int, Source] | None = None,
    untried: Collection[Pair] = (),
    heard: Collection[Pair] = (),
    cells: Mapping[Pair, Reach] | None = None,
) -> Matrix:
    """Return a mesh in which all reach all but `bad` pairs and whoever is `dead`.

    `sources` are those that do not tell; a pair in `heard` says that the first hears the second;
    `cells` are what the first says of the second, whatever else is said.
    """
    others = dict(sources or {}) | dict.fromkeys(dead, Source.SILENT)
    members = [
        MapMember(
            name(one),
            "failed" if one in dead else "alive",
            others.get(one, Source.TOLD),
            f"192.0.2.{one}:7946",
        )
        for one in range(1, count + 1)
    ]

    def tunnel(one: int, other: int) -> Tunnel:
        both = {(one, other), (other, one)}
        reach = Reach.ANSWERED
        if both & set(bad) or other in dead:
            reach = Reach.SILENT
        if both & set(untried):
            reach = Reach.UNTRIED
        reach = (cells or {}).get((one, other), reach)
        works = reach is Reach.ANSWERED
        return Tunnel(
            name(other),
            reach,
            "failed" if other in dead else "alive",
            10.0 if works else None,
            (one + other) / 1000 if works else None,
            1,
            1,
            f"192.0.2.{other}:51820",
            works or (one, other) in heard,
        )

    everybody = range(1, count + 1)
    told = {
        name(one): [tunnel(one, other) for other in everybody if other != one]
        for one in everybody
        if one not in others
    }
    return build_matrix(members, told)


def example(count: int) -> Survey:
    """Return the mesh of the pictures, with an hour behind it; the same each time."""
    alone = [(7, other) for other in range(1, count + 1) if other != 7] if count > 40 else []
    small = count < 10
    matrix = mesh(
        count,
        bad=[] if small else [*alone, (3, 5)],
        heard=[(3, 5)],
        dead=[] if small else [count],
        sources={} if small else {12: Source.GO},
    )
    timed = [
        [
            replace(cell, round_trip=_round_trip(at, to)) if cell.round_trip else cell
            for to, cell in enumerate(row)
        ]
        for at, row in enumerate(matrix.rows)
    ]
    matrix = replace(matrix, rows=timed)
    events = [
        SeenEvent(3000.0, "joined", name(2), "", count - 1),
        SeenEvent(1500.0, "suspect", name(3), "", 2),
        SeenEvent(1480.0, "cleared", name(3), "", count - 1),
    ]
    if not small:
        events.append(SeenEvent(700.0, "failed", name(count), "", count - 1))
    return Survey(name(1), 1_700_000_000.0, matrix, verdict(matrix), events)


def _round_trip(at: int, to: int) -> float:
    """Return seconds as between three sites: the same both ways, and never twice the same."""
    low, high = sorted((at, to))
    apart = abs(low % 3 - high % 3)
    return (0.0004, 0.009, 0.074)[apart] * (1 + (low * 7 + high * 13) % 10 / 10)
