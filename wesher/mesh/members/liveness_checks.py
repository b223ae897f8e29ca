"""Asking whether a member of a certain name is at a certain address."""

from collections.abc import Callable

from wesher.gossip import Address, Gossip, PingFinished

MAX_INQUIRIES = 64  # at a time: whoever has the key can make us ask

Then = Callable[[bool, float], None]
"""What to do with the answer; it is given whether somebody answered, and the time."""


class _LivenessCheck:
    def __init__(self, subject: tuple[Address, str], pings: set[int], then: Then) -> None:
        self.subject = subject
        self.pings = pings
        self.then = then


class LivenessChecks:
    """Pings by packet and by TCP; the first answer counts, silence only when both are silent."""

    def __init__(self, gossip: Gossip) -> None:
        self._gossip = gossip
        self._by_ping: dict[int, _LivenessCheck] = {}
        self._subjects: set[tuple[Address, str]] = set()

    def ask(self, address: Address, name: str, now: float, then: Then) -> bool:
        """Ask for `name` at `address`; False when that is being asked, or too much else is."""
        subject = (address, name)
        if subject in self._subjects or len(self._subjects) >= MAX_INQUIRIES:
            return False
        pings = {
            self._gossip.ping(address, name, now),
            self._gossip.ping(address, name, now, stream=True),
        }
        inquiry = _LivenessCheck(subject, pings, then)
        self._subjects.add(subject)
        self._by_ping |= dict.fromkeys(pings, inquiry)
        return True

    def finished(self, event: PingFinished, now: float) -> bool:
        """Take the outcome of a ping in; tells whether an inquiry has ended by it."""
        inquiry = self._by_ping.pop(event.ping, None)
        if inquiry is None:
            return False
        inquiry.pings.discard(event.ping)
        answered = event.seconds is not None
        if answered or not inquiry.pings:
            for ping in inquiry.pings:
                del self._by_ping[ping]
            self._subjects.discard(inquiry.subject)
            inquiry.then(answered, now)
            return True
        return False
