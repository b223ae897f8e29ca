"""How members become a Plan, and what was found wrong with them on the way.

Each member is judged by itself first (`validation`), which is done anew only if it has changed.
Then claims are weighed against each other: a key, an overlay address and a name in the hosts file
have one holder each (`claims`, `hosts_naming`). What remains is the Plan; of everybody else it is
said why not.
"""

from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_address, ip_network

from wesher.base.addresses import Address, Ranges
from wesher.base.frozen import frozen, replace
from wesher.gossip import Member, MemberState
from wesher.gossip.messages import unpack_ip
from wesher.mesh.base.metadata import (
    DECODED,
    Announced,
    Metadata,
    Rejection,
    RejectionKind,
    read_metadata,
)
from wesher.mesh.base.plan import (
    USUAL_MTU,
    HostsEntry,
    InterfaceSettings,
    IPAddress,
    LocalFacts,
    Peer,
    Plan,
)
from wesher.mesh.base.seniority import Seniority
from wesher.mesh.base.settings import HostsNaming
from wesher.mesh.planning.carriers import Carriers, Judge, Offer
from wesher.mesh.planning.claims import Claimant, Claims, Conflict
from wesher.mesh.planning.hosts_naming import Namer, Unnamed, like_another, settle_names
from wesher.mesh.planning.validation import LocalMember, ValidMember, validate_member

_NAMING = HostsNaming()
_NO_CARRIERS = Carriers()


@frozen
class PlanResult:
    """A Plan, and what an operator may want to know about it.

    `trusted` are the peers by name, those that lost their overlay address included; `refusals` says
    of the other members why they are none. `conflicts` has those about our own address too;
    `unnamed` are the peers without a hosts entry although they should have one; `carriers` has the
    networks behind members.
    """

    plan: Plan
    trusted: Mapping[str, ValidMember]
    refusals: Mapping[str, Rejection]
    conflicts: tuple[Conflict, ...]
    unnamed: Mapping[str, Unnamed]
    carriers: Carriers = _NO_CARRIERS

    def lost_to(self, name: str) -> str | None:
        """Return who holds the address that `name` claims, if that is somebody else."""
        return next((c.winner for c in self.conflicts if c.loser == name), None)


@frozen
class _Judged:
    """A member, what was found about it, and what follows: made once, not for each of many Plans.

    The last three are of a trusted one only.
    """

    announced: Announced
    underlay: frozenset[IPAddress]
    verdict: ValidMember | Rejection
    peer: Peer | None = None
    names: tuple[str, ...] = ()
    unnamed: Unnamed | None = None


_Reached = tuple[str, IPAddress, list[str]]
"""Who has an overlay address, and the members that are reached there."""


class Planner:
    """Turns membership into Plans, checking anew only members that changed."""

    def __init__(
        self,
        naming: HostsNaming = _NAMING,
        *,
        proven: Mapping[str, str] | None = None,
        protects: bool = False,
    ) -> None:
        """Go by who is `proven`, and where; perhaps protect members that have an identity."""
        self._naming = naming
        self._proven = proven
        self._protects = protects
        self._basis: tuple[LocalMember, LocalFacts] | None = None
        self._judged: dict[str, _Judged] = {}
        self._seniority = Seniority()
        self._undisputed: PlanResult | None = None
        """The last one, if no two members want one thing: then it does not matter who is live."""

    def build(
        self,
        local: LocalMember,
        live: Iterable[Announced],
        failed: Iterable[Announced],
        facts: LocalFacts,
        *,
        complete: bool,
        now: float = 0.0,
    ) -> PlanResult:
        """Decide what this host should look like; without `now` all claims appear together.

        `live` are the members that are alive or suspect, with or without ourselves; `failed` those
        that we still try to reach. A name in both is live.
        """
        alive = {member.name: member for member in live}
        members = {member.name: member for member in failed} | alive
        members.pop(local.name, None)
        changed = self._judge(members, local, facts)
        if self._undisputed and not changed:
            return _completed(self._undisputed, complete)
        reached = list(_reached_in_overlay(self._judged))
        self._seniority.note(_wanted(local, self._judged, reached), now, self._proven)
        trusted, refusals = _sort_out(self._judged, reached, self._seniority)
        claimants: list[Claimant] = [local, *trusted.values()]
        wanted = len(claimants)
        names = {name: self._judged[name].names for name in trusted}
        claims = Claims({local.name, *alive}, self._seniority, protects=self._protects)
        claimants = _with_their_own_keys(claimants, trusted, refusals, claims)
        conflicts = tuple(_conflicts(claimants, claims.address_holders(claimants)))
        shut = _without_packets(conflicts, local)
        named = settle_names(claimants, names, claims)
        judged = {name: self._judged[name] for name in trusted}
        doubted = {name for name, member in alive.items() if _is_suspect(member)}
        carriers = self._weigh(local, facts, claimants, claims, doubted)
        plan = Plan(
            _interface(local),
            _with_networks(_peers(trusted, judged, shut), trusted, shut, carriers, local),
            _hosts(trusted, names, named, shut),
            complete,
        )
        outcome = PlanResult(plan, trusted, refusals, conflicts, _unnamed(judged, named), carriers)
        own_names = len(named) == sum(map(len, names.values()))
        settled = not conflicts and not carriers.contests
        undisputed = len(claimants) == wanted and settled and own_names
        self._undisputed = outcome if undisputed else None
        return outcome

    def _weigh(
        self,
        local: LocalMember,
        facts: LocalFacts,
        claimants: Iterable[Claimant],
        claims: Claims,
        doubted: Container[str],
    ) -> Carriers:
        """Decide who carries the networks that members announce, ourselves included."""
        offers = [
            Offer(one.name, route, claims.is_live(one.name), one.name in doubted)
            for one in claimants
            for route in one.routes
        ]
        if not offers:
            return _NO_CARRIERS
        reached = {ip for judged in self._judged.values() for ip in judged.underlay}
        reached |= {ip_address(local.underlay)} if local.underlay else set()
        underlay = Ranges.of(map(ip_network, reached))
        judge = Judge(local.name, local.network.network, local.routing, facts, underlay)
        return judge.weigh(offers, self._seniority)

    @staticmethod
    def taken(members: Iterable[Announced], facts: LocalFacts) -> Callable[[IPAddress], bool]:
        """Return a test of which overlay addresses we must not choose beside these members."""
        used = addresses_in_use(members)
        return lambda ip: ip in used or facts.objection(ip) is not None

    def _judge(
        self, members: Mapping[str, Announced], local: LocalMember, facts: LocalFacts
    ) -> bool:
        """Bring what was found about each member up to date, in the order of their names.

        False if all of that is as it was.
        """
        changed = self._basis != (local, facts)
        if changed:
            self._basis = (local, facts)
            self._judged = {}
        namer = Namer(local.name, self._naming, facts.foreign_host_names)
        known, self._judged = self._judged, {}
        changed = changed or known.keys() != members.keys()
        for name in sorted(members):
            member = members[name]
            judged = known.get(name)
            if judged is None or _changed(judged.announced, member):
                judged = _judge_member(member, local, facts, namer)
                changed = True
            self._judged[name] = judged
        return changed


def addresses_in_use(members: Iterable[Announced]) -> set[IPAddress]:
    """Return every address that members hold or are reached at, which nobody else may choose."""
    used: set[IPAddress] = set()
    for member in members:
        used |= _underlay(member)
        metadata = read_metadata(member)
        if isinstance(metadata, Metadata) and metadata.overlay_addr:
            used.add(metadata.overlay_addr)
    return used


def holder_of(address: IPAddress, members: Iterable[Announced]) -> Announced | None:
    """Return the first of these members that claims the overlay address."""
    for member in members:
        found = read_metadata(member)
        if isinstance(found, Metadata) and found.overlay_addr == address:
            return member
    return None


def is_held_for_good(address: IPAddress, members: Iterable[Announced]) -> bool:
    """Tell whether one of these has the address and cannot move."""
    found = (read_metadata(member) for member in members)
    return any(
        one.overlay_addr == address and (one.immovable or not one.has_ext)
        for one in found
        if isinstance(one, Metadata)
    )


@lru_cache(maxsize=DECODED)
def _ip(addr: bytes) -> IPAddress:
    """Return the address in these bytes; raises ValueError if there is none."""
    return ip_address(unpack_ip(addr))


def _underlay(member: Announced) -> frozenset[IPAddress]:
    """Return where a member is reached, by gossip and by WireGuard."""
    addresses = set()
    with suppress(ValueError):
        addresses.add(_ip(member.addr))
    metadata = read_metadata(member)
    if isinstance(metadata, Metadata) and metadata.endpoint:
        addresses.add(ip_address(metadata.endpoint))
    return frozenset(addresses)


def _is_suspect(member: Announced) -> bool:
    return isinstance(member, Member) and member.state is MemberState.SUSPECT


def _changed(old: Announced, new: Announced) -> bool:
    return old is not new and (old.addr, old.meta) != (new.addr, new.meta)


def _judge_member(
    member: Announced, local: LocalMember, facts: LocalFacts, namer: Namer
) -> _Judged:
    verdict, underlay = _verdict(member, local, facts), _underlay(member)
    if isinstance(verdict, Rejection):
        return _Judged(member, underlay, verdict)
    gossip = Address(str(_ip(member.addr)), member.port)
    keepalive = local.keepalive.towards(gossip, verdict.endpoint.ip)
    peer = Peer(verdict.endpoint, verdict.allowed_ips, keepalive)
    names = namer.names_for(member.name, verdict.overlay_addr)
    if isinstance(names, Unnamed):
        return _Judged(member, underlay, verdict, peer, unnamed=names)
    return _Judged(member, underlay, verdict, peer, names)


def _verdict(member: Announced, local: LocalMember, facts: LocalFacts) -> ValidMember | Rejection:
    metadata = read_metadata(member)
    if isinstance(metadata, Rejection):
        return metadata
    try:
        underlay = _ip(member.addr)
    except ValueError:
        return Rejection(RejectionKind.ENDPOINT, "has no IP address")
    return validate_member(member.name, metadata, underlay, local, facts)


def _sort_out(
    members: Mapping[str, _Judged], reached: Iterable[_Reached], seniority: Seniority
) -> tuple[dict[str, ValidMember], dict[str, Rejection]]:
    """Part the trusted from the refused, now that everybody's underlay addresses are known."""
    refused = dict(_refused_places(reached, seniority))
    trusted: dict[str, ValidMember] = {}
    refusals: dict[str, Rejection] = {}
    for name, judged in members.items():
        verdict = judged.verdict
        if not isinstance(verdict, Rejection):
            verdict = refused.get(name, verdict)
        if isinstance(verdict, Rejection):
            refusals[name] = verdict
        else:
            trusted[name] = verdict
    return trusted, refusals


def _refused_places(
    reached: Iterable[_Reached], seniority: Seniority
) -> Iterator[tuple[str, Rejection]]:
    """Yield who has an overlay address at which a member is reached, unless that one came later."""
    for name, address, others in reached:
        for other in others:
            if other != name and seniority.order(name, other, address) < 0:
                reason = f"is reached at {address}, the overlay address of {name}, which keeps it"
                yield other, Rejection(RejectionKind.ENDPOINT, reason)
            else:
                reason = f"has overlay address {address}, at which a member is reached"
                yield name, Rejection(RejectionKind.ADDRESS, reason)


def _reached_in_overlay(members: Mapping[str, _Judged]) -> Iterator[_Reached]:
    """Yield each member with an overlay address at which others, or it, are reached, and these."""
    underlay = frozenset().union(*(judged.underlay for judged in members.values()))
    for name, judged in members.items():
        verdict = judged.verdict
        if not isinstance(verdict, Rejection) and (address := verdict.overlay_addr) in underlay:
            yield name, address, [one for one in members if address in members[one].underlay]


def _interface(local: LocalMember) -> InterfaceSettings:
    fixed = local.mtu is not None
    return InterfaceSettings(
        local.overlay_addr, local.wireguard_port, local.mtu or USUAL_MTU, fixed
    )


def _wanted(
    local: LocalMember, members: Mapping[str, _Judged], reached: Iterable[_Reached]
) -> Iterator[tuple[str, Hashable]]:
    """Yield who wants what: addresses, keys, and names in the hosts file, in lower case."""
    yield local.name, local.overlay_addr
    yield local.name, local.public_key
    yield from ((local.name, route.claim) for route in local.routes)
    for _, address, others in reached:
        yield from ((other, address) for other in others)
    for name, judged in members.items():
        if isinstance(judged.verdict, ValidMember):
            yield name, judged.verdict.overlay_addr
            yield name, judged.verdict.public_key
            yield from ((name, one.lower()) for one in judged.names)
            yield from ((name, route.claim) for route in judged.verdict.routes)


def _conflicts(
    claimants: Iterable[Claimant], holders: Mapping[IPAddress, Claimant]
) -> Iterator[Conflict]:
    for one in claimants:
        if (holder := holders[one.overlay_addr]) is not one:
            for_good = holder.immovable and one.immovable
            yield Conflict(one.overlay_addr, holder.name, one.name, for_good)


def _with_their_own_keys(
    claimants: list[Claimant],
    trusted: dict[str, ValidMember],
    refusals: dict[str, Rejection],
    claims: Claims,
) -> list[Claimant]:
    """Return those whose key is nobody else's, and move the other members to the refused."""
    holders = claims.key_holders(claimants)
    if len(holders) == len(claimants):
        return claimants
    for one in claimants:
        holder = holders[one.public_key]
        if holder is not one:
            reason = f"claims the WireGuard key of {holder.name}, which keeps it"
            refusals[one.name] = Rejection(RejectionKind.KEY, reason)
            del trusted[one.name]
    return [one for one in claimants if holders[one.public_key] is one]


def _completed(outcome: PlanResult, complete: bool) -> PlanResult:
    if outcome.plan.complete is complete:
        return outcome
    return replace(outcome, plan=replace(outcome.plan, complete=complete))


def _without_packets(conflicts: Iterable[Conflict], local: LocalMember) -> set[str]:
    """Return who gets no packets: losers, and whoever has the address that is still this host's."""
    losers = {conflict.loser for conflict in conflicts}
    rivals = {one.winner for one in conflicts if one.address == local.overlay_addr}
    return losers | rivals


def _peers(
    trusted: Mapping[str, ValidMember], judged: Mapping[str, _Judged], shut: Container[str]
) -> dict[str, Peer]:
    """Return everybody's peer; those in `shut` get no packets for the address they claim."""
    peers: dict[str, Peer] = {}
    for name, member in trusted.items():
        peer = judged[name].peer or Peer(member.endpoint, ())
        peers[member.public_key] = replace(peer, allowed_ips=()) if name in shut else peer
    return peers


def _with_networks(
    peers: dict[str, Peer],
    trusted: Mapping[str, ValidMember],
    shut: Container[str],
    carriers: Carriers,
    local: LocalMember,
) -> dict[str, Peer]:
    """Return the peers with the networks behind them, but for those in `shut`."""
    for name in carriers.behind:
        member = trusted.get(name)
        networks = carriers.networks(name)
        if member is None or name in shut or not networks:
            continue
        peer = peers[member.public_key]
        unrouted = frozenset() if local.routing.routed else frozenset(networks)
        allowed_ips = (*peer.allowed_ips, *networks)
        peers[member.public_key] = replace(peer, allowed_ips=allowed_ips, unrouted=unrouted)
    return peers


def _hosts(
    trusted: Mapping[str, ValidMember],
    names: Mapping[str, tuple[str, ...]],
    named: Mapping[str, str],
    shut: Container[str],
) -> tuple[HostsEntry, ...]:
    """Return the hosts entries of who is `named` and gets packets, in the order of their names."""
    return tuple(
        HostsEntry(member.overlay_addr, entry)
        for name, member in trusted.items()
        if name not in shut
        for entry in names[name]
        if named[entry.lower()] == name
    )


def _unnamed(judged: Mapping[str, _Judged], named: Mapping[str, str]) -> dict[str, Unnamed]:
    """Return the peers without any name in the hosts file, and why."""
    found = {name: one.unnamed for name, one in judged.items() if one.unnamed}
    for name, one in judged.items():
        holders = [named[entry.lower()] for entry in one.names]
        if holders and name not in holders:
            found[name] = like_another(name, holders[0])
    return found
