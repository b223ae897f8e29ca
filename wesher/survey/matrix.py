"""Who reaches whom, put together from what each member says of its own tunnels.

A cell says whether the member of its row reaches that of its column. First comes what that member
has found out itself. Where it tells nothing (it runs the original, is down, or does not answer),
what the other end says stands in for it: a tunnel works both ways or not at all, since a handshake
takes packets in both directions. For the same reason:

* a session that nobody tried just now counts as reached, unless the other end has just tried in
  vain: what was tried outweighs what was remembered;
* two ends that get no answer, but both hear each other, reach each other: they are asked at the
  same time, and hear each other's attempts. Their hosts drop pings, or two handshakes crossed.

Where one end hears the other and not the other way round, packets are lost in one direction
(`hears`): the verdict says in which.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

from wesher.base.frozen import frozen, replace
from wesher.mesh.base.hostnames import natural
from wesher.mesh.base.questions import Reach, Tunnel


class Link(Enum):
    """What a cell says; `via` is kept for members that are reached through others."""

    REACHED = "reached"
    VIA = "via"
    SILENT = "silent"
    UNKNOWN = "unknown"
    NOT_A_PEER = "not a peer"
    ITSELF = "itself"


class Source(Enum):
    """Whether a member has told, or why not; the words go behind its name."""

    TOLD = "tells of its tunnels"
    GO = "runs the original, which tells nothing"
    OLD = "runs an older wesher, which tells nothing"
    SILENT = "does not answer"
    BUSY = "is asked too much at the moment"
    UNASKED = "cannot be asked: nothing is known of it but its address"


@frozen
class MapMember:
    """One member; `port` is the UDP port that others send to, as far as they tell."""

    name: str
    state: str
    source: Source
    address: str = ""
    overlay_address: str | None = None
    version: str | None = None
    port: int | None = None


@frozen
class Cell:
    """One cell; seconds. `told` by the member of the row itself, else by the other end.

    `hears` says whether packets of the other end arrive; None when the row's member tells nothing.
    """

    link: Link
    round_trip: float | None = None
    handshake: float | None = None
    told: bool = True
    hears: bool | None = None


ITSELF = Cell(Link.ITSELF)
UNKNOWN = Cell(Link.UNKNOWN, told=False)
_STRANGER = Cell(Link.NOT_A_PEER)
_WORKS = (Reach.ANSWERED, Reach.SESSION)


@frozen
class Matrix:
    """Rows of cells, both in the order of the `members`."""

    members: Sequence[MapMember]
    rows: Sequence[Sequence[Cell]]

    def has_trouble(self, row: int, column: int) -> bool:
        """Tell whether the pair of these two is anything but reached, both ways."""
        both = (self.rows[row][column].link, self.rows[column][row].link)
        return row != column and any(link not in (Link.REACHED, Link.VIA) for link in both)


def build_matrix(members: Iterable[MapMember], told: Mapping[str, Sequence[Tunnel]]) -> Matrix:
    """Return the matrix of `members`, who are told apart by name, of what some have `told`."""
    ordered = sorted(members, key=lambda one: natural(one.name))
    tunnels = [
        {one.peer: one for one in told[member.name]} if member.name in told else None
        for member in ordered
    ]
    rows = [
        [
            _cell(mine, theirs, ordered[row].name, ordered[column].name, row == column)
            for column, theirs in enumerate(tunnels)
        ]
        for row, mine in enumerate(tunnels)
    ]
    ports = _ports(told.values())
    return Matrix([replace(one, port=ports.get(one.name, one.port)) for one in ordered], rows)


_Known = Mapping[str, Tunnel] | None


def _cell(mine: _Known, theirs: _Known, name: str, other: str, itself: bool) -> Cell:
    if itself:
        return ITSELF
    back = theirs.get(name) if theirs is not None else None
    if mine is None:
        return _by_the_other_end(back)
    there = mine.get(other)
    if there is None:
        return _STRANGER
    link = _link(there, back)
    timed = link is Link.REACHED and there.reach is not Reach.SILENT
    took = there.round_trip if timed else None
    return Cell(link, took, there.handshake, link is not Link.UNKNOWN, there.heard)


def _by_the_other_end(back: Tunnel | None) -> Cell:
    if back is None or back.reach in (Reach.UNTRIED, Reach.NOT_A_PEER):
        return UNKNOWN
    if back.reach is Reach.SILENT:
        return Cell(Link.SILENT, None, back.handshake, told=False)
    return Cell(Link.REACHED, back.round_trip, back.handshake, told=False)


def _link(there: Tunnel, back: Tunnel | None) -> Link:
    match there.reach:
        case Reach.ANSWERED:
            return Link.REACHED
        case Reach.NOT_A_PEER:
            return Link.NOT_A_PEER
        case Reach.SILENT:
            return Link.REACHED if there.heard and back and back.heard else Link.SILENT
    if back is not None and back.reach is Reach.SILENT:
        return Link.SILENT
    works = there.reach in _WORKS or (back is not None and back.reach in _WORKS)
    return Link.REACHED if works else Link.UNKNOWN


def _ports(told: Iterable[Sequence[Tunnel]]) -> dict[str, int]:
    counted: dict[str, Counter[int]] = {}
    for tunnels in told:
        for one in tunnels:
            port = (one.endpoint or "").rpartition(":")[2]
            if port.isascii() and port.isdecimal() and len(port) <= 5:
                counted.setdefault(one.peer, Counter())[int(port)] += 1
    return {name: ports.most_common(1)[0][0] for name, ports in counted.items()}
