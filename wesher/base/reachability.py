"""How somebody answers who is contacted by UDP and by TCP, as values."""

from enum import Enum

from wesher.base.frozen import frozen


class Heard(Enum):
    """What came back."""

    ANSWER = "answer"
    SILENCE = "silence"
    OTHER_KEY = "other-key"  # something that our key does not open
    REFUSED = "refused"  # the host answers that nothing listens there
    OTHER_NAME = "other-name"  # a member of our cluster, but not the one that was asked for


_NOBODY = frozenset({Heard.SILENCE, Heard.REFUSED})


@frozen
class Contact:
    """How an address answers by UDP and by TCP."""

    udp: Heard
    tcp: Heard

    @property
    def other_key(self) -> bool:
        """Whether somebody with another key is there."""
        return self.tcp is Heard.OTHER_KEY

    @property
    def refused(self) -> bool:
        """Whether the host is there, lets us through, and nothing listens."""
        return self.tcp is Heard.REFUSED and self.udp is not Heard.ANSWER

    @property
    def other_name(self) -> bool:
        """Whether another member is there than the one that was asked for."""
        return Heard.OTHER_NAME in {self.udp, self.tcp}

    @property
    def silent(self) -> list[str]:
        """The protocols by which nobody answered."""
        heard = {"UDP": self.udp, "TCP": self.tcp}
        return [protocol for protocol, what in heard.items() if what in _NOBODY]
