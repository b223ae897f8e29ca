"""Facts for the operator, each at once and then at most every ten minutes per source."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wesher.mesh.events import Notice, Severity
from wesher.troubles import Trouble

QUIET = 600  # seconds between two warnings about the same thing
ALIKE = 3  # sources of one kind of trouble in that time: members invent names, a log has no end
MAX_RECENT = 32  # sources of one kind of trouble that are remembered


@dataclass(frozen=True, slots=True)
class Recent:
    """Trouble that an operator was, or could have been, warned of; last met at `last_at`."""

    trouble: Trouble
    data: Mapping[str, object]
    count: int
    last_at: float


class Notices:
    """Notices not yet handed out, and when each warning was last given."""

    def __init__(self) -> None:
        self._waiting: list[Notice] = []
        self._given: dict[str, dict[str, float]] = {}
        self._recent: dict[str, dict[str, Recent]] = {}

    def inform(self, text: str, **data: object) -> None:
        """Report a change of membership or of ourselves."""
        self._waiting.append(Notice(Severity.INFO, text, data))

    def trace(self, text: str, **data: object) -> None:
        """Report a detail for the debug log."""
        self._waiting.append(Notice(Severity.DEBUG, text, data))

    def warn(self, source: str, now: float, trouble: Trouble, **data: object) -> None:
        """Report something an operator must know about `source`, unless it was said lately."""
        self._say(Severity.WARNING, source, now, trouble, data)

    def err(self, source: str, now: float, trouble: Trouble, **data: object) -> None:
        """Report what does not heal by itself, as `warn` does."""
        self._say(Severity.ERROR, source, now, trouble, data)

    def _say(
        self,
        severity: Severity,
        source: str,
        now: float,
        trouble: Trouble,
        data: Mapping[str, object],
    ) -> None:
        self._remember(source, Recent(trouble, data, 1, now))
        given = self._given.setdefault(trouble.name, {})
        for known, at in list(given.items()):
            if now - at >= QUIET:
                del given[known]
        if source in given or len(given) >= ALIKE:
            return
        given[source] = now
        self._waiting.append(Notice(severity, trouble.text, data))

    def drain(self) -> Iterator[Notice]:
        """Yield what has not been handed out yet."""
        waiting, self._waiting = self._waiting, []
        yield from waiting

    def recent(self, now: float) -> list[Recent]:
        """Return what was met in the last ten minutes, said or not."""
        return [
            one
            for alike in self._recent.values()
            for one in alike.values()
            if now - one.last_at < QUIET
        ]

    def _remember(self, source: str, met: Recent) -> None:
        alike = self._recent.setdefault(met.trouble.name, {})
        known = alike.pop(source, None)
        if known and met.last_at - known.last_at < QUIET:
            met = Recent(met.trouble, met.data, known.count + 1, met.last_at)
        alike[source] = met
        if len(alike) > MAX_RECENT:
            del alike[next(iter(alike))]
