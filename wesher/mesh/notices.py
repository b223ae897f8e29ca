"""Facts for the operator, each at once and then at most every ten minutes per source."""

from collections import OrderedDict
from collections.abc import Iterator

from wesher.mesh.events import Notice, Severity

QUIET = 600  # seconds between two warnings about the same thing
MAX_SUBJECTS = 1024  # remembered; strangers must not fill our memory


class Notices:
    """Notices not yet handed out, and when each warning was last given."""

    def __init__(self) -> None:
        self._waiting: list[Notice] = []
        self._given: OrderedDict[tuple[str, str], float] = OrderedDict()

    def inform(self, text: str, **data: object) -> None:
        """Report a change of membership or of ourselves."""
        self._waiting.append(Notice(Severity.INFO, text, data))

    def trace(self, text: str, **data: object) -> None:
        """Report a detail for the debug log."""
        self._waiting.append(Notice(Severity.DEBUG, text, data))

    def warn(self, source: str, now: float, text: str, **data: object) -> None:
        """Report something an operator must know about `source`, unless it was said lately."""
        subject = (source, text)
        given = self._given.get(subject)
        if given is not None and now - given < QUIET:
            return
        self._given[subject] = now
        self._given.move_to_end(subject)
        if len(self._given) > MAX_SUBJECTS:
            self._given.popitem(last=False)
        self._waiting.append(Notice(Severity.WARNING, text, data))

    def drain(self) -> Iterator[Notice]:
        """Yield what has not been handed out yet."""
        waiting, self._waiting = self._waiting, []
        yield from waiting
