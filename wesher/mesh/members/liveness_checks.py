"""Asking whether a member of a certain name is at a certain address."""

from itertools import count

from wesher.base.frozen import frozen
from wesher.gossip import Address, PingFinished
from wesher.mesh.base.actions import Actions, Check, Checked, Ping

MAX_CHECKS = 64  # at a time: whoever has the key can make us ask


@frozen
class _Asked:
    """The purpose of two pings; `serial` tells those of one check from those of its like."""

    serial: int
    check: Check


class LivenessChecks:
    """Pings by packet and by TCP; the first answer counts, silence only when both are silent.

    Whose address and name are being asked already is not asked again, nor is one too many.
    """

    def __init__(self) -> None:
        self._serials = count()
        self._silent: dict[_Asked, int] = {}
        self._subjects: set[tuple[Address, str]] = set()

    def begin(self, check: Check) -> Actions:
        """Ask for the name at the address."""
        subject = (check.address, check.name)
        if subject in self._subjects or len(self._subjects) >= MAX_CHECKS:
            yield Checked(check.about, None)
            return
        asked = _Asked(next(self._serials), check)
        self._subjects.add(subject)
        self._silent[asked] = 0
        yield Ping(check.address, check.name, asked)
        yield Ping(check.address, check.name, asked, stream=True)

    def pinged(self, event: PingFinished) -> Actions:
        """Take the outcome of a ping in."""
        asked = event.purpose
        if not isinstance(asked, _Asked) or asked not in self._silent:
            return
        answered = event.seconds is not None
        self._silent[asked] += 1
        if answered or self._silent[asked] == 2:
            del self._silent[asked]
            self._subjects.discard((asked.check.address, asked.check.name))
            yield Checked(asked.check.about, answered)
