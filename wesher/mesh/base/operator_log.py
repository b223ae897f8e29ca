"""Facts for the operator, each at once and then at most every ten minutes per source.

Whoever has the key can invent members, and each can be at fault in every way: so of one kind of
trouble only a few sources are told, and of the others how many there are, with every power of ten.
What concerns somebody whom we relied upon is always told, or a crowd of inventions would hide it.
"""

from wesher.base.frozen import frozen, replace
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
    """What an operator was, or could have been, warned of `count` times, the last at `last_at`.

    `mended` says that it is over since then.
    """

    warning: Warn
    last_at: float
    count: int = 1
    mended: bool = False

    def again(self, warning: Warn, now: float) -> "Recent":
        """Return this after one more of the kind, counted anew if the last is long ago.

        Once it was about somebody whom we relied upon, it stays so: others never displace it.
        """
        if now - self.last_at >= QUIET:
            return Recent(warning, now)
        always = warning.always or self.warning.always
        return Recent(replace(warning, always=always), now, self.count + 1)


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
        self._remember(warning, now)
        kind, source = warning.problem.name, warning.subject
        given = self._given.setdefault(kind, {})
        for known, at in list(given.items()):
            if now - at >= QUIET:
                del given[known]
        if not given:
            self._untold.pop(kind, None)
        if source in given:
            return
        if len(given) >= (ALWAYS_ALIKE if warning.always else ALIKE):
            self._count(kind, source)
            return
        given[source] = now
        self._waiting.append(Notice(warning.severity, warning.problem.text, warning.data))

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

    def _remember(self, warning: Warn, now: float) -> None:
        alike = self._recent.setdefault(warning.problem.name, {})
        known = alike.pop(warning.subject, None)
        alike[warning.subject] = known.again(warning, now) if known else Recent(warning, now)
        if len(alike) > MAX_RECENT:
            others = (name for name, one in alike.items() if not one.warning.always)
            del alike[next(others, next(iter(alike)))]
