"""All that was found out about a mesh at one moment, and the same as JSON (docs/control.md)."""

from collections.abc import Sequence
from typing import Any

from wesher.base.frozen import frozen
from wesher.survey.history import SeenEvent
from wesher.survey.matrix import Link, Matrix
from wesher.survey.verdict import Statement

Json = dict[str, Any]


@frozen
class Survey:
    """A mesh as it was `at` that time, in seconds since 1970, as seen from `node`."""

    node: str
    at: float
    matrix: Matrix
    verdict: Sequence[Statement]
    events: Sequence[SeenEvent]

    @property
    def healthy(self) -> bool:
        """Whether no trouble was found."""
        return not any(one.bad for one in self.verdict)


def as_json(survey: Survey) -> Json:
    """Return what `wesher map --json` prints."""
    matrix = survey.matrix
    return {
        "node": survey.node,
        "at": round(survey.at, 3),
        "healthy": survey.healthy,
        "verdict": [
            {"cause": one.cause.value, "text": one.text, "members": one.members, "bad": one.bad}
            for one in survey.verdict
        ],
        "members": [
            {
                "name": one.name,
                "state": one.state,
                "tells": one.source.name.lower(),
                "address": one.address,
                "overlay_address": one.overlay_address,
                "version": one.version,
                "wireguard_port": one.port,
            }
            for one in matrix.members
        ],
        "matrix": [[cell.link.value for cell in row] for row in matrix.rows],
        "round_trips": [[_rounded(cell.round_trip, 6) for cell in row] for row in matrix.rows],
        "odd": [
            {
                "from": matrix.members[at].name,
                "to": matrix.members[to].name,
                "link": cell.link.value,
                "handshake": _rounded(cell.handshake, 1),
                "told": cell.told,
                "hears": cell.hears,
            }
            for at, row in enumerate(matrix.rows)
            for to, cell in enumerate(row)
            if cell.link not in (Link.REACHED, Link.VIA, Link.ITSELF)
        ],
        "events": [
            {
                "ago": round(one.ago, 1),
                "event": one.what,
                "member": one.member,
                "text": one.text,
                "seen_by": one.seen_by,
            }
            for one in survey.events
        ],
    }


def _rounded(seconds: float | None, digits: int) -> float | None:
    return None if seconds is None else round(seconds, digits)
