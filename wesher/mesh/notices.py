"""Facts for the operator, each at once and then at most every ten minutes per source."""

from collections.abc import Iterator

from wesher.mesh.events import Notice, Severity

QUIET = 600  # seconds between two warnings about the same thing
ALIKE = 3  # sources of one kind of trouble in that time: members invent names, a log has no end


class Notices:
    """Notices not yet handed out, and when each warning was last given."""

    def __init__(self) -> None:
        self._waiting: list[Notice] = []
        self._given: dict[str, dict[str, float]] = {}

    def inform(self, text: str, **data: object) -> None:
        """Report a change of membership or of ourselves."""
        self._waiting.append(Notice(Severity.INFO, text, data))

    def trace(self, text: str, **data: object) -> None:
        """Report a detail for the debug log."""
        self._waiting.append(Notice(Severity.DEBUG, text, data))

    def warn(self, source: str, now: float, text: str, **data: object) -> None:
        """Report something an operator must know about `source`, unless it was said lately.

        `text` is a template and never made of what somebody sent: it tells the kind of trouble.
        """
        given = self._given.setdefault(text, {})
        for known, at in list(given.items()):
            if now - at >= QUIET:
                del given[known]
        if source in given or len(given) >= ALIKE:
            return
        given[source] = now
        self._waiting.append(Notice(Severity.WARNING, text, data))

    def drain(self) -> Iterator[Notice]:
        """Yield what has not been handed out yet."""
        waiting, self._waiting = self._waiting, []
        yield from waiting
