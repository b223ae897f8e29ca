"""What `wesher map` asks, and what it makes of the answers."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wesher.base.errors import StartError, printable
from wesher.cli.asking import MeshAnswers, ask_mesh
from wesher.cli.client import Agent, facts, milliseconds, show, show_json
from wesher.cli.matrix import matrix_lines
from wesher.mesh.base.questions import Topic
from wesher.survey.drawing import dot, svg
from wesher.survey.history import merge_events
from wesher.survey.matrix import MapMember, Source, build_matrix
from wesher.survey.page import page
from wesher.survey.survey import Survey, as_json
from wesher.survey.verdict import verdict
from wesher.system import files
from wesher.system.terminal import ANYWHERE, Line, Screen, Span, Style, Waiting, wrapped


def show_map(given: Mapping[str, str], agent: Agent, screen: Screen, wait: Waiting) -> int:
    """Ask all members and show what they tell; returns the exit code."""
    survey = survey_of(ask_mesh(agent, (Topic.TUNNELS, Topic.EVENTS)), _wall())
    wait.ends()
    if "html" in given:
        _write(Path(given["html"]), page(survey))
        show(_verdict(survey, screen))
    elif "svg" in given:
        show(svg(survey).splitlines())
    elif "dot" in given:
        show(dot(survey).splitlines())
    elif "json" in given:
        show_json(as_json(survey))
    else:
        show(render(survey, screen))
    return 0 if survey.healthy else 1


def _write(path: Path, text: str) -> None:
    """Write the page, at once and readable by us alone: it tells where the hosts are."""
    try:
        temporary = path.with_name(f".{path.name}.tmp")
        files.replace(path, text.encode(), temporary, mode=0o600)
    except OSError as error:
        raise StartError(f"cannot write {path}: {error.strerror or error}") from error


def survey_of(asked: MeshAnswers, at: float) -> Survey:
    """Return what the answers come to."""
    members = [_member(one, asked.sources[name]) for name, one in asked.members.items()]
    told = {
        name: answer.tunnels for name, answer in asked.answers.items() if answer.tunnels is not None
    }
    events = {name: answer.events or () for name, answer in asked.answers.items()}
    matrix = build_matrix(members, told)
    node = asked.status["node"]["name"]
    return Survey(node, at, matrix, verdict(matrix), merge_events(events))


def _member(member: Mapping[str, Any], source: Source) -> MapMember:
    return MapMember(
        member["name"],
        member["state"],
        source,
        member["address"],
        member["overlay_address"],
        member["version"],
        member.get("wireguard_port"),
    )


def render(survey: Survey, screen: Screen = ANYWHERE) -> Iterator[Line]:
    """Yield what a person reads: who has told, what is wrong, and the matrix."""
    yield from facts([("members", _told(survey.matrix.members))], screen)
    yield from _verdict(survey, screen)
    yield from facts([("slowest", _slowest(survey))], screen)
    yield ""
    yield from matrix_lines(survey.matrix, screen)


def _told(members: Sequence[MapMember]) -> str:
    telling = sum(one.source is Source.TOLD for one in members)
    others = [f"{one.name} {one.source.value}" for one in members if one.source is not Source.TOLD]
    told = f"{telling} of {len(members)} tell of their tunnels"
    if len(others) > 4:
        others = [*others[:3], f"{len(others) - 3} more do not tell"]
    return "; ".join([told, *others])


def _verdict(survey: Survey, screen: Screen) -> Iterator[Line]:
    head = "verdict  "
    for number, one in enumerate(survey.verdict):
        text = printable((head if number == 0 else " " * len(head)) + one.text)
        first, *rest = wrapped(text, screen.columns, len(head))
        style = Style.BAD if one.bad else None
        yield Span(first[: len(head)]), Span(first[len(head) :], style)
        yield from ((Span(line, style),) for line in rest)


def _slowest(survey: Survey) -> str:
    members, rows = survey.matrix.members, survey.matrix.rows
    timed = [
        (cell.round_trip, members[at].name, members[to].name)
        for at, row in enumerate(rows)
        for to, cell in enumerate(row)
        if cell.round_trip is not None and cell.told
    ]
    if not timed:
        return "no round trip is known"
    seconds, at, to = max(timed)
    return f"{milliseconds(seconds)} from {at} to {to}"


def _wall() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME)
