"""What a node is about, and how it goes on from there.

It first only looks: others answer it and none of them hears of it, so that it takes no name and no
address that somebody has. Then it is a member. In the end it seeks and minds nobody any more,
because it was told to leave or because it must give way; all it still says is its farewell.
docs/architecture.md shows the diagram, made from here by scripts/generate.
"""

from enum import Enum


class Phase(Enum):
    """Where a node is in its life."""

    NEW = "new"
    LOOKING = "looking"
    MEMBER = "member"
    DEPARTING = "departing"


class Move(Enum):
    """What brings a node from one phase to the next."""

    START = "start"
    ENTER = "the look is over"
    GIVE_WAY = "name or address is somebody else's"
    LEAVE = "leave"


MOVES = {
    (Phase.NEW, Move.START): Phase.LOOKING,
    (Phase.NEW, Move.LEAVE): Phase.DEPARTING,
    (Phase.LOOKING, Move.ENTER): Phase.MEMBER,
    (Phase.LOOKING, Move.GIVE_WAY): Phase.DEPARTING,
    (Phase.LOOKING, Move.LEAVE): Phase.DEPARTING,
    (Phase.MEMBER, Move.GIVE_WAY): Phase.DEPARTING,
    (Phase.MEMBER, Move.LEAVE): Phase.DEPARTING,
    (Phase.DEPARTING, Move.LEAVE): Phase.DEPARTING,  # after giving way, to say farewell
}
"""Every legal move; any other is a bug, and raises KeyError."""
