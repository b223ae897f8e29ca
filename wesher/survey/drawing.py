"""The mesh as a graph: an SVG of its own, and Graphviz's language.

Members stand on a circle, in the order of their names. Of a large mesh only what is not reached is
drawn, since all else is most of what there could be. Colours tell the round trip by a scale that
the colour-blind can tell apart and that is lighter the longer it takes (viridis); what is silent or
unknown is told by the form of its line as well.
"""

import math
from collections.abc import Iterator, Sequence
from html import escape
from itertools import combinations

from wesher.base.errors import printable
from wesher.survey.matrix import Cell, Link, Matrix
from wesher.survey.survey import Survey

WHOLE = 40  # members; with more, only what is not reached is drawn
SCALE = ((0.001, "#440154"), (0.005, "#3b528b"), (0.020, "#21908c"), (0.100, "#5dc863"))
"""Up to so many seconds a round trip has this colour."""
SLOWEST = "#c9b800"  # viridis ends in a yellow that is lost on white: a darker one
SCALE_COLOURS = (*(colour for _, colour in SCALE), SLOWEST)
ON_DARK = ("#b07cc6", "#7f97dc", *SCALE_COLOURS[2:])
"""The same where the paper is dark, on which the first two are lost."""
SILENT, UNKNOWN = "#d55e00", "#767676"  # vermilion of Okabe and Ito; a grey
_RADIUS = 360.0
_LETTER = 7.6  # about as wide as one of a name is


def colour_of(seconds: float | None) -> str:
    """Return the colour of a round trip; one that is not known counts as the shortest."""
    for limit, colour in SCALE:
        if seconds is None or seconds <= limit:
            return colour
    return SLOWEST


def is_hidden(matrix: Matrix, kind: str) -> bool:
    """Tell whether pairs of a kind are left out of the drawing."""
    return kind == "reached" and len(matrix.members) > WHOLE


def pairs_of(matrix: Matrix) -> Iterator[tuple[int, int, str, float | None]]:
    """Yield each pair with what it is, and its shorter round trip."""
    for one, other in combinations(range(len(matrix.members)), 2):
        there, back = matrix.rows[one][other], matrix.rows[other][one]
        times = [cell.round_trip for cell in (there, back) if cell.round_trip is not None]
        yield one, other, _kind(there, back), min(times, default=None)


def _kind(there: Cell, back: Cell) -> str:
    links = {there.link, back.link}
    if links <= {Link.REACHED, Link.VIA}:
        return "reached"
    if Link.SILENT in links:
        return "one-way" if links & {Link.REACHED, Link.VIA} else "silent"
    return "unknown"


def svg(survey: Survey, *, embedded: bool = False) -> str:
    """Return the picture; `embedded` in a page, which has the styles."""
    return "\n".join(_svg(survey, embedded)) + "\n"


def _svg(survey: Survey, embedded: bool) -> Iterator[str]:
    matrix = survey.matrix
    longest = max((len(_short(one.name)) for one in matrix.members), default=0)
    side = 2 * (_RADIUS + 24 + _LETTER * longest)
    box = f"{-side / 2:g} {-side / 2:g} {side:g} {side:g}"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" role="img" '
        'aria-labelledby="mesh-title mesh-desc">'
    )
    yield f'<title id="mesh-title">The mesh as {_text(survey.node)} sees it</title>'
    verdict = "; ".join(one.text for one in survey.verdict)
    yield f'<desc id="mesh-desc">{_text(verdict)}</desc>'
    if not embedded:
        yield f"<style>{STYLE}</style>"
    crowd = " crowd" if len(matrix.members) > WHOLE else ""
    yield f'<g class="lines{crowd}" fill="none">'
    # What is wrong lies above what is well.
    order = {"reached": 0, "unknown": 1, "one-way": 2, "silent": 3}
    for one, other, kind, seconds in sorted(pairs_of(matrix), key=lambda pair: order[pair[2]]):
        if not is_hidden(matrix, kind):
            yield _line(matrix, one, other, kind, seconds)
    yield "</g>"
    for at in range(len(matrix.members)):
        yield _node(matrix, at)
    yield "</svg>"


def _line(matrix: Matrix, one: int, other: int, kind: str, seconds: float | None) -> str:
    (x1, y1), (x2, y2) = _place(matrix, one), _place(matrix, other)
    step = f" step{SCALE_COLOURS.index(colour_of(seconds))}" if kind == "reached" else ""
    names = f"{_text(matrix.members[one].name)} and {_text(matrix.members[other].name)}"
    told = _milliseconds(seconds) if kind == "reached" and seconds is not None else kind
    return (
        f'<line class="{kind}{step}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}">'
        f"<title>{names}: {told}</title></line>"
    )


def _node(matrix: Matrix, at: int) -> str:
    member, count = matrix.members[at], len(matrix.members)
    x, y = _place(matrix, at)
    radius = max(2.5, min(11.0, 300.0 / max(count, 1)))
    label = ""
    if count <= WHOLE or _is_odd(matrix, at):
        angle = _angle(count, at)
        left = math.cos(angle) < -1e-9
        turned = math.degrees(angle) + (180 if left else 0)
        distance = _RADIUS + radius + 6
        label = (
            f'<text x="{-distance if left else distance:.1f}" y="4" '
            f'text-anchor="{"end" if left else "start"}" '
            f'transform="rotate({turned:.2f})">{_text(_short(member.name))}</text>'
        )
    return (
        f'<g class="node {_text(member.state)}" data-member="{at}">'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}">'
        f"<title>{_text(member.name)}: {_text(member.state)}, {_text(member.source.value)}</title>"
        f"</circle>{label}</g>"
    )


def _is_odd(matrix: Matrix, at: int) -> bool:
    """Tell whether a member of a large mesh is named: it has trouble with more than a few."""
    count = len(matrix.members)
    bad = sum(matrix.has_trouble(at, other) for other in range(count))
    return bad > count / 10


def _angle(count: int, at: int) -> float:
    return 2 * math.pi * at / count - math.pi / 2


def _place(matrix: Matrix, at: int) -> tuple[float, float]:
    angle = _angle(len(matrix.members), at)
    return _RADIUS * math.cos(angle), _RADIUS * math.sin(angle)


def _short(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:19]}…"


def _text(text: str) -> str:
    return escape(printable(text))


def _steps(colours: Sequence[str], within: str = "") -> str:
    return " ".join(
        f"{within}line.step{at} {{ stroke: {colour}; }}" for at, colour in enumerate(colours)
    )


STYLE = f"""
line {{ stroke-width: 1.6; }}
line.reached {{ stroke-opacity: 0.75; }}
.crowd line {{ stroke-opacity: 0.45; }}
{_steps(SCALE_COLOURS)}
line.silent, line.one-way {{ stroke: {SILENT}; stroke-width: 2.4; stroke-dasharray: 9 6; }}
line.one-way {{ stroke-dasharray: 2 5; }}
line.unknown {{ stroke: {UNKNOWN}; stroke-dasharray: 1 5; }}
.node circle {{ fill: #0072b2; stroke: #fff; stroke-width: 1.5; }}
.node.suspect circle {{ fill: #e69f00; }}
.node.failed circle, .node.left circle {{ fill: {SILENT}; }}
.node text {{ font: 14px system-ui, sans-serif; fill: #1b1b1b; }}
@media (prefers-color-scheme: dark) {{
  .node text {{ fill: #eee; }}
  .node circle {{ stroke: #111; }}
  {_steps(ON_DARK)}
}}
"""
CHOSEN_STYLE = "\n".join(
    (
        _steps(ON_DARK, ":root[data-theme=dark] "),
        _steps(SCALE_COLOURS, ":root[data-theme=light] "),
    )
)
"""What a page adds whose reader may choose."""


def dot(survey: Survey) -> str:
    """Return the mesh in Graphviz's language, for `dot`, `neato` or `circo`."""
    matrix = survey.matrix
    lines = ["graph mesh {", "  layout=circo;", "  node [shape=box, fontname=sans];"]
    for member in matrix.members:
        style = (
            ""
            if member.state == "alive"
            else f' [color="{SILENT}", xlabel={_quoted(member.state)}]'
        )
        lines.append(f"  {_quoted(member.name)}{style};")
    for one, other, kind, seconds in pairs_of(matrix):
        if not is_hidden(matrix, kind):
            names = f"{_quoted(matrix.members[one].name)} -- {_quoted(matrix.members[other].name)}"
            lines.append(f"  {names} [{_edge(kind, seconds)}];")
    return "\n".join([*lines, "}"]) + "\n"


def _edge(kind: str, seconds: float | None) -> str:
    if kind == "reached":
        return f'color="{colour_of(seconds)}", label="{_milliseconds(seconds)}"'
    if kind == "unknown":
        return f'color="{UNKNOWN}", style=dotted, label="unknown"'
    return f'color="{SILENT}", style=dashed, label="{kind}"'


def _milliseconds(seconds: float | None) -> str:
    return "reached" if seconds is None else f"{seconds * 1000:.2f} ms"


def _quoted(name: str) -> str:
    escaped = printable(name).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
