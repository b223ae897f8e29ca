"""Facts for the operator, each at once and then at most every ten minutes per source.

Whoever has the key can invent members, and each can be at fault in every way: so of one kind of
trouble only a few sources are told, and of the others how many there are, with every power of ten.
What concerns somebody whom we relied upon is always told, or a crowd of inventions would hide it.
"""

from collections.abc import Mapping

from wesher.base.frozen import frozen, replace
from wesher.base.problems import Problem
from wesher.mesh.base.actions import Warn
from wesher.mesh.base.events import Notice, Severity

QUIET = 600  # seconds between two warnings about the same thing
ALIKE = 3  # sources of one kind of trouble in that time: members invent names, a log has no end
ALWAYS_ALIKE = 1000  # of those whom we relied upon; invented members can have been peers, too
MAX_RECENT = 32  # sources of one kind of trouble that are remembered, former peers first
MAX_COUNTED = 10_000  # sources that are only counted: so many names are remembered at most

_MORE = "{count} more of this kind ({kind}) in the last ten minutes: see `wesher doctor`"
_ROUND = (1, 10, 100, 1000, MAX_COUNTED)


@frozen
class Recent:
    """Trouble that an operator was, or could have been, warned of; last met at `last_at`.

    `always` says that it concerns somebody whom we relied upon, so that others never displace it;
    `mended` that it is over since then. `subject` is whom or what it is about.
    """

    problem: Problem
    data: Mapping[str, object]
    count: int
    last_at: float
    always: bool = False
    subject: str = ""
    mended: bool = False


class OperatorLog:
    """Notices not yet handed out, and when each warning was last given."""

    def __init__(self) -> None:
        self._waiting: list[Notice] = []
        self._given: dict[str, dict[str, float]] = {}
        self._untold: dict[str, set[str]] = {}
        self._recent: dict[str, dict[str, Recent]] = {}

    def notice(self, notice: Notice) -> None:
        """Report a change of membership or of ourselves, or a detail for the debug log."""
        self._waiting.append(notice)

    def warn(self, warning: Warn, now: float) -> None:
        """Report a problem, unless the same was said of its subject lately."""
        met = Recent(warning.problem, warning.data, 1, now, warning.always, warning.subject)
        self._remember(met)
        kind, source, now = met.problem.name, met.subject, met.last_at
        given = self._given.setdefault(kind, {})
        for known, at in list(given.items()):
            if now - at >= QUIET:
                del given[known]
        if not given:
            self._untold.pop(kind, None)
        if source in given:
            return
        if len(given) >= (ALWAYS_ALIKE if met.always else ALIKE):
            self._count(kind, source)
            return
        given[source] = now
        self._waiting.append(Notice(warning.severity, met.problem.text, met.data))

    def _count(self, kind: str, source: str) -> None:
        """Take note of a source that is not told by name; say how many with every power of ten."""
        untold = self._untold.setdefault(kind, set())
        if source in untold or len(untold) >= MAX_COUNTED:
            return
        untold.add(source)
        if len(untold) in _ROUND:
            data = {"count": len(untold), "kind": kind}
            self._waiting.append(Notice(Severity.WARNING, _MORE, data))

    def drain(self) -> list[Notice]:
        """Return what has not been handed out yet."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def recent(self, now: float) -> list[Recent]:
        """Return what was met in the last ten minutes, said or not."""
        return [
            one
            for alike in self._recent.values()
            for one in alike.values()
            if now - one.last_at < QUIET
        ]

    def _remember(self, met: Recent) -> None:
        alike = self._recent.setdefault(met.problem.name, {})
        known = alike.pop(met.subject, None)
        if known and met.last_at - known.last_at < QUIET:
            met = replace(met, count=known.count + 1, always=met.always or known.always)
        alike[met.subject] = met
        if len(alike) > MAX_RECENT:
            oldest = next(
                (name for name, one in alike.items() if not one.always), next(iter(alike))
            )
            del alike[oldest]
