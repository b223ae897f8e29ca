"""What a node knows of itself and of everybody else at one moment, as values for the operator."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum

from wesher.base.frozen import EMPTY, frozen
from wesher.gossip import Address, DropReason, Member, MemberState
from wesher.gossip.codec import MessageType
from wesher.mesh.base.actions import Warn
from wesher.mesh.base.metadata import Metadata, read_metadata
from wesher.mesh.base.operator_log import Recent
from wesher.mesh.base.plan import IPAddress
from wesher.mesh.base.saved import SavedMember
from wesher.mesh.base.seeds import SeedStatus
from wesher.mesh.base.signing import identity_of
from wesher.mesh.members import Denied, FailedMembers
from wesher.mesh.planning import Behind, Conflict, PlanResult

_HAS_LEFT = "has left"


class Standing(Enum):
    """What the mesh holds a member for; `wesher members --state` takes these words."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    FAILED = "failed"
    LEFT = "left"


@frozen
class MemberStatus:
    """One remote member.

    `since` is the instant at which its standing began, None when we do not know it; `endpoint` the
    one it announces, None when it is not a peer, for the `reason` given. A member with a reason and
    an endpoint is a peer that gets no packets; one with `unnamed`, a reason too, has no hosts
    entry.
    `round_trip` is that of gossip, in seconds; `identity` the public key it has proven to have.
    `denied` are claims of its name that were not believed, `networks` are those behind it.
    """

    name: str
    standing: Standing
    since: float | None
    address: Address
    metadata: Metadata | None = None
    incarnation: int | None = None
    versions: bytes | None = None
    endpoint: Address | None = None
    reason: str | None = None
    round_trip: float | None = None
    unnamed: str | None = None
    identity: bytes | None = None
    denied: Denied | None = None
    networks: tuple[Behind, ...] = ()


@frozen
class NodeStatus:
    """A node and its view; `overlay_addr` is None until one is chosen.

    `complete` tells that others have told us all they know, or that there is nobody to ask.
    `waiting` is the number of those who came in a crowd and have not answered us: no `members` yet.
    `networks` are those behind this host.
    """

    name: str
    address: Address
    overlay_addr: IPAddress | None
    incarnation: int | None
    health: int
    complete: bool
    seeds: tuple[SeedStatus, ...]
    waiting: int
    networks: tuple[Behind, ...]
    members: tuple[MemberStatus, ...]


def member_statuses(
    table: Iterable[Member],
    failed: FailedMembers,
    left: Mapping[str, SavedMember],
    outcome: PlanResult | None,
    *,
    round_trips: Mapping[str, float],
    left_at: Mapping[str, float],
    denied: Mapping[str, Denied] = EMPTY,
    behind: float,
) -> tuple[MemberStatus, ...]:
    """Return everybody in the order of their names; `table` is gossip's without ourselves.

    By name: `round_trips` in seconds, when who has `left` did so, and claims `denied`. All these
    instants are `behind` the clock of those for the operator.
    """
    members = {status.name: status for status in _departed(left, left_at, behind)}
    losers = {conflict.loser: conflict for conflict in outcome.conflicts} if outcome else {}
    for member, standing, since in _standings(table, failed):
        metadata = read_metadata(member)
        departed = standing is Standing.LEFT
        peer = outcome.trusted.get(member.name) if outcome and not departed else None
        members[member.name] = MemberStatus(
            member.name,
            standing,
            since + behind if since is not None else None,
            member.address,
            metadata if isinstance(metadata, Metadata) else None,
            member.incarnation,
            member.versions,
            peer.endpoint if peer else None,
            _HAS_LEFT if departed else _reason(member.name, outcome, losers),
            round_trips.get(member.name),
            _unnamed(member.name, outcome) if peer else None,
            identity_of(member) or None,
            denied.get(member.name),
            outcome.carriers.behind.get(member.name, ()) if outcome and peer else (),
        )
    return tuple(members[name] for name in sorted(members))


def _departed(
    left: Mapping[str, SavedMember], left_at: Mapping[str, float], behind: float
) -> Iterator[MemberStatus]:
    for name, member in left.items():
        since = left_at[name] + behind if name in left_at else None
        yield MemberStatus(name, Standing.LEFT, since, member.address, reason=_HAS_LEFT)


def _standings(
    table: Iterable[Member], failed: FailedMembers
) -> Iterator[tuple[Member, Standing, float | None]]:
    """Yield every member with its standing and since when; the live ones last, as they prevail."""
    live = []
    for member in table:
        if member.live:
            live.append(member)
        elif member.state is MemberState.LEFT:
            yield member, Standing.LEFT, member.state_changed_at
    for member in failed:
        yield member, Standing.FAILED, failed.failed_at(member.name)
    for member in live:
        suspect = member.state is MemberState.SUSPECT
        yield member, Standing.SUSPECT if suspect else Standing.ALIVE, member.state_changed_at


def _reason(name: str, outcome: PlanResult | None, losers: Mapping[str, Conflict]) -> str | None:
    """Say why a member is not a peer, or is one without packets; None when all is well."""
    if outcome is None:
        return "is not considered before we have an overlay address"
    if refusal := outcome.refusals.get(name):
        return refusal.reason
    if name not in outcome.trusted:
        return "has just come and is considered in a moment"
    if conflict := losers.get(name):
        return f"has overlay address {conflict.address}, which goes to {conflict.winner}"
    return None


def _unnamed(name: str, outcome: PlanResult | None) -> str | None:
    """Say why a peer has no entry in the hosts file; None when it has one, or needs none."""
    found = outcome.unnamed.get(name) if outcome else None
    return found.reason if found else None


@frozen
class NodeStats:
    """Counts since the start; `strangers` and `troubles` are those of the last ten minutes.

    `objections` are what is wrong with members at this moment.
    """

    health: int
    suspicions: int
    refutations: int
    denied_claims: int
    received: Mapping[MessageType, int]
    sent: Mapping[MessageType, int]
    dropped: Mapping[DropReason, int]
    strangers: Sequence[Recent]
    problems: Sequence[Recent]
    peer_problems: Sequence[Warn]
