"""Meshes as their members would tell them: names `node1`, `node2`, …; pairs by their numbers."""

from collections.abc import Collection, Mapping

from wesher.mesh.base.questions import Reach, Tunnel
from wesher.survey.matrix import MapMember, Matrix, Source, build_matrix

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
