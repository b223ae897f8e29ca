"""Which claim about a member outranks what is held of it: SWIM's precedence, as one table.

Theory of operation. Nobody decides for the mesh who is alive. Everybody holds an opinion of every
member and hears claims about it, in any order, twice or never, and all must end with the same
opinion. So claims are ordered, and an opinion only ever moves up that order:

* First counts the *incarnation*, a number that none but the member itself raises, whenever it has
  something to say against a claim. What is older than the number held says nothing new.
* At one incarnation, the worse claim wins: suspect over alive, dead over suspect. A member that
  lives is told of the claim as everybody is, and raises its number: it refutes. One that is dead
  cannot, which is why the worse claim may win.
* Dead and left are ends: only the member itself comes back, by being alive at a *higher* number.
  A failed member is not made one that has left, nor the reverse: what was heard first stays.
* About *ourselves* we know better: no claim moves us, it is refuted. Leaving is the exception: our
  own word that we leave is the last one (`Transitions.leave`).

An address belongs to the incarnation that announced it. A claim from elsewhere is a conflict of
two hosts and outranks nothing, unless the member may have moved: because it has left, or because
our owner knows that it moved. Then the claim counts as newer, whatever its number is: the counter
of a host that lost its state begins again.

A member that is not known counts as dead at incarnation 0 (spec/memberlist.md, 4.4 and 4.5).
docs/architecture.md shows the table and its diagram, made from here by scripts/generate.
"""

from enum import Enum, auto

from wesher.gossip.members import Member, MemberState


class Claim(Enum):
    """What can be said about a member."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"
    LEAVE = "leave"
    """Dead, said by the member itself."""


class Age(Enum):
    """How the incarnation of a claim compares with the one that is held."""

    OLDER = "older"
    SAME = "same"
    NEWER = "newer"


class Action(Enum):
    """What becomes of a claim."""

    IGNORE = auto()
    BELIEVE = auto()
    """Hold the member for alive, at that incarnation, and pass the claim on."""
    SUSPECT = auto()
    """Start a suspicion, at whose end the member is declared dead, and pass the claim on."""
    CONFIRM = auto()
    """Let the suspicion end sooner, if this accuser is a new one."""
    DECLARE_DEAD = auto()
    DECLARE_LEFT = auto()
    REFUTE = auto()
    """Announce ourselves at an incarnation above the claim's."""
    REFUTE_IF_DIFFERENT = auto()
    """Refute what is not word for word what we said ourselves; our own news comes back to us."""


_IGNORED = (Action.IGNORE,) * 3


def _not_older(action: Action) -> tuple[Action, Action, Action]:
    return Action.IGNORE, action, action


def _newer(action: Action) -> tuple[Action, Action, Action]:
    return Action.IGNORE, Action.IGNORE, action


ABOUT_OTHERS = {  # (held, claimed): what is done when the claim is older, the same, newer
    (MemberState.ALIVE, Claim.ALIVE): _newer(Action.BELIEVE),
    (MemberState.ALIVE, Claim.SUSPECT): _not_older(Action.SUSPECT),
    (MemberState.ALIVE, Claim.DEAD): _not_older(Action.DECLARE_DEAD),
    (MemberState.ALIVE, Claim.LEAVE): _not_older(Action.DECLARE_LEFT),
    (MemberState.SUSPECT, Claim.ALIVE): _newer(Action.BELIEVE),
    (MemberState.SUSPECT, Claim.SUSPECT): _not_older(Action.CONFIRM),
    (MemberState.SUSPECT, Claim.DEAD): _not_older(Action.DECLARE_DEAD),
    (MemberState.SUSPECT, Claim.LEAVE): _not_older(Action.DECLARE_LEFT),
    (MemberState.DEAD, Claim.ALIVE): _newer(Action.BELIEVE),
    (MemberState.DEAD, Claim.SUSPECT): _IGNORED,
    (MemberState.DEAD, Claim.DEAD): _IGNORED,
    (MemberState.DEAD, Claim.LEAVE): _IGNORED,
    (MemberState.LEFT, Claim.ALIVE): _newer(Action.BELIEVE),
    (MemberState.LEFT, Claim.SUSPECT): _IGNORED,
    (MemberState.LEFT, Claim.DEAD): _IGNORED,
    (MemberState.LEFT, Claim.LEAVE): _IGNORED,
}
ABOUT_OURSELVES = {  # we are alive, or have left: never suspect, never dead
    (MemberState.ALIVE, Claim.ALIVE): (Action.IGNORE, Action.REFUTE_IF_DIFFERENT, Action.REFUTE),
    (MemberState.ALIVE, Claim.SUSPECT): _not_older(Action.REFUTE),
    (MemberState.ALIVE, Claim.DEAD): _not_older(Action.REFUTE),
    (MemberState.ALIVE, Claim.LEAVE): _not_older(Action.REFUTE),
    (MemberState.LEFT, Claim.ALIVE): _IGNORED,
    (MemberState.LEFT, Claim.SUSPECT): _IGNORED,
    (MemberState.LEFT, Claim.DEAD): _IGNORED,
    (MemberState.LEFT, Claim.LEAVE): _IGNORED,
}
BECOMES = {
    Action.BELIEVE: MemberState.ALIVE,
    Action.SUSPECT: MemberState.SUSPECT,
    Action.DECLARE_DEAD: MemberState.DEAD,
    Action.DECLARE_LEFT: MemberState.LEFT,
}
"""The state that the actions lead to which change one."""


def age_of(incarnation: int, held: int) -> Age:
    """Compare the incarnation of a claim with the one `held`."""
    if incarnation < held:
        return Age.OLDER
    return Age.SAME if incarnation == held else Age.NEWER


def action_on(member: Member, claim: Claim, age: Age, *, ours: bool) -> Action:
    """Look up what becomes of a claim about `member`, which is ourselves if it is `ours`."""
    older, same, newer = (ABOUT_OURSELVES if ours else ABOUT_OTHERS)[member.state, claim]
    match age:
        case Age.OLDER:
            return older
        case Age.SAME:
            return same
        case Age.NEWER:
            return newer
