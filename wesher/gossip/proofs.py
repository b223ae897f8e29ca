"""Which members have shown that they are there: by an answer to us, from their own address.

Who holds the cluster key can invent members without end, but each address that answers costs him a
host. So who is proven keeps its place, and beyond so many unproven ones nobody relies on these.
"""

from collections import Counter
from collections.abc import Container

MAX_AT_ONE_ADDRESS = 16
"""How many members one IP address can prove: some run several on a host, an attacker thousands."""
_CALM = 10  # a crowd is over when this part of what makes one is left


class Proofs:
    """Who is proven, who is not; and whether the latter are a `crowd`."""

    def __init__(self, max_unproven: int) -> None:
        self._max_unproven = max_unproven
        self._ips: dict[str, str] = {}
        self._at: Counter[str] = Counter()
        self._unproven: dict[str, None] = {}  # in the order of their arrival
        self.crowded = False
        """Whether so many are unproven that nobody should rely on any of them."""
        self.vouched: Container[str] = ()
        """Whom our owner relies on already; a crowd changes nothing about these."""

    @property
    def proven(self) -> list[str]:
        """The names of who is proven."""
        return list(self._ips)

    @property
    def unproven(self) -> dict[str, None]:
        """The names of who is not, in the order of their arrival."""
        return self._unproven

    def waits(self, name: str) -> bool:
        """Tell whether nobody should rely on this member before it has answered."""
        return self.crowded and name in self._unproven and name not in self.vouched

    def await_proof(self, name: str) -> None:
        """Take a member for unproven, as one that has just come or is at another address."""
        self.drop(name)
        self._unproven[name] = None
        self._weigh()

    def prove(self, name: str, ip: str) -> bool:
        """Take a member's answer from its address; False if too many have answered there."""
        if name not in self._unproven or self._at[ip] >= MAX_AT_ONE_ADDRESS:
            return False
        del self._unproven[name]
        self._ips[name] = ip
        self._at[ip] += 1
        self._weigh()
        return True

    def drop(self, name: str) -> None:
        """Forget a member."""
        self._unproven.pop(name, None)
        ip = self._ips.pop(name, None)
        if ip is not None:
            self._at[ip] -= 1
            if not self._at[ip]:
                del self._at[ip]
        self._weigh()

    def _weigh(self) -> None:
        if len(self._unproven) > self._max_unproven:
            self.crowded = True
        elif len(self._unproven) <= self._max_unproven // _CALM:
            self.crowded = False
