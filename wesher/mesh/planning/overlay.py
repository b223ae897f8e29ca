"""Our own place in the overlay: which address we have, when we move, and the Plan that follows.

Who was moved out of its address goes back when it starts with a new interface and nobody has it:
whoever took it, by a mistyped `--overlay-addr` for instance, is gone by then, and no flow is cut.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping

from wesher import __version__
from wesher.base import problems
from wesher.base.frozen import frozen, replace
from wesher.gossip import Address, Keyring, Member, MemberCleared, MemberSuspected
from wesher.mesh.base.actions import Warn
from wesher.mesh.base.address import choose_address, is_usable
from wesher.mesh.base.events import Severity
from wesher.mesh.base.metadata import Announced, Metadata, encode_metadata, read_metadata
from wesher.mesh.base.plan import IPAddress, IPNetwork, LocalFacts, Peer, Plan
from wesher.mesh.base.routes import Route, overlap
from wesher.mesh.base.saved import Former, Saved
from wesher.mesh.base.settings import NodeSettings
from wesher.mesh.base.signing import sign_metadata
from wesher.mesh.planning.keepalive import Keepalives
from wesher.mesh.planning.peer_problems import peer_problems
from wesher.mesh.planning.planner import (
    Planner,
    PlanResult,
    holder_of,
    is_held_for_good,
)
from wesher.mesh.planning.preshared_keys import PresharedKeys
from wesher.mesh.planning.validation import LocalMember

MOVE_PATIENCE = 0.5  # seconds after losing our address in which more claims may come
HELD = 60.0  # seconds until an address is one that others know us by
MISSED = 7 * 86_400.0  # seconds for which a former address is; by then others know us by the new

Taken = Callable[[IPAddress], bool]


@frozen
class Reviewed:
    """What a review has come to: whether we `moved` to another address, and what to tell.

    `renewed` says that what we publish has changed. `again_at` is when to review at the latest, to
    move.
    """

    moved: bool
    renewed: bool
    again_at: float | None
    warnings: tuple[Warn, ...]


class Overlay:
    """Our overlay address, once `choose` has found one, and after each `review` the newest Plan."""

    def __init__(
        self,
        settings: NodeSettings,
        saved: Saved,
        keyring: Keyring,
        proven: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = settings
        self.keepalives = Keepalives()
        self._saved = saved
        self.key_fingerprints = keyring.fingerprints
        """Those of the cluster keys that we tell others of: what we hold, once it is saved."""
        self._preshared_keys = PresharedKeys(settings.public_key, keyring)
        self._held_since = float("-inf")
        self.former: Former | None = None
        """The address to go back to at a later start."""
        protects = settings.trust != "open"
        self._planner = Planner(settings.hosts, proven=proven, protects=protects)
        self.relied_on = frozenset(member.name for member in saved.members if member.meta)
        """Who was a peer, as long as it is a member."""
        self._local: LocalMember | None = None
        self._move_at: float | None = None
        self.plan: Plan | None = None
        self.outcome: PlanResult | None = None
        """What the last review found, the plan included."""

    def depends_on(self, event: object) -> bool:
        """Tell whether a suspicion, or its end, may move a network to another carrier."""
        contested = self.outcome is not None and bool(self.outcome.carriers.contests)
        return contested and isinstance(event, MemberSuspected | MemberCleared)

    @property
    def address(self) -> IPAddress | None:
        """Our overlay address; None until one is chosen."""
        return self._local.overlay_addr if self._local else None

    @property
    def is_disputed(self) -> bool:
        """Whether members want one address, or one name."""
        return bool(self.outcome and (self.outcome.conflicts or self.outcome.unnamed))

    def choose(
        self, live: Iterable[Announced], failed: Iterable[Announced], facts: LocalFacts, now: float
    ) -> str | None:
        """Take an address that nobody has; return what stands in the way, if anything.

        The one we had before is only left to a live member.
        """
        settings, live = self.settings, list(live)
        former = self._saved.former
        self.former = former if former and now - former.left_at <= MISSED else None
        address = settings.overlay_addr or self._first(live, failed, facts)
        if address is None:
            return (
                f"the overlay network {settings.overlay_net.network} is full: forget failed "
                "members, or choose a larger --overlay-net on all hosts"
            )
        if settings.overlay_addr and (problem := facts.objection(address)):
            return f"the overlay address {address} {problem}: choose another --overlay-addr"
        if settings.overlay_addr and (problem := self._taken(address, live)):
            return problem
        fixed = settings.overlay_addr is not None
        late = fixed and is_held_for_good(address, live)
        self._local = LocalMember(
            name=settings.name,
            network=settings.overlay_net,
            overlay_addr=address,
            public_key=settings.public_key,
            wireguard_port=settings.wireguard_port,
            immovable=fixed,
            # Who fixes the same one later may be a Go peer, which cannot say that it is late.
            kept=not late if fixed else address == self._saved.overlay_addr,
            late=late,
            routes=_beside(settings.routing.announced, settings.name, live),
            has_identity=settings.identity is not None,
        )
        self._note_start(address, now)
        return None

    def review(
        self,
        live: Iterable[Member],
        failed: Iterable[Member],
        facts: LocalFacts,
        now: float,
        *,
        complete: bool,
    ) -> Reviewed:
        """Decide anew what this host should look like; only after `choose`."""
        live, failed = list(live), list(failed)
        told = self._chosen().routes
        self._adjust(facts)
        outcome = self._build(live, failed, facts, complete, now)
        yields = outcome.carriers.yields
        if not complete:  # to whom we give way may not have told us of itself yet
            yields |= {one.network for one in self._chosen().routes if one.yielding}
        routes = _giving_way(self._chosen().routes, yields)
        if routes != self._chosen().routes:
            self._local = replace(self._chosen(), routes=routes)
            outcome = self._build(live, failed, facts, complete, now)
        winner = outcome.lost_to(self.settings.name)
        warnings: list[Warn] = []
        moved = False
        if self._must_move(winner, now) and winner:
            before = self.address
            warnings.append(self._move(winner, outcome, (*live, *failed), facts, now))
            moved = before != self.address
        if moved:
            outcome = self._build(live, failed, facts, complete, now)
        forgetful = _forgetful(outcome, live)
        self.plan = replace(outcome.plan, peers=self._peers(outcome), forgetful=forgetful)
        self.outcome = outcome
        warnings += self._peer_problems(outcome)
        known = {*outcome.trusted, *outcome.refusals}
        self.relied_on = frozenset((self.relied_on | outcome.trusted.keys()) & known)
        again_at = self._move_at if self._move_at is not None and self._move_at > now else None
        return Reviewed(moved, moved or routes != told, again_at, tuple(warnings))

    def _adjust(self, facts: LocalFacts) -> None:
        """Take what the operator may have changed; networks that are new give way until weighed."""
        settings, local = self.settings, self._chosen()
        known = {one.network for one in local.routes if not one.yielding}
        announced = settings.routing.announced
        new = {one.network for one in announced} - known
        self._local = replace(
            local,
            keepalive=self.keepalives.decide(settings.keepalive, settings.ip, facts),
            mtu=settings.mtu,
            underlay=settings.ip,
            routes=_giving_way(announced, new),
            routing=settings.routing,
        )

    def metadata(self) -> bytes:
        """Return what we publish about ourselves, signed; only after `choose`."""
        settings, local = self.settings, self._chosen()
        identity = settings.identity
        metadata = Metadata(
            overlay_addr=local.overlay_addr,
            public_key=local.public_key,
            wireguard_port=self.settings.told_wireguard_port or local.wireguard_port,
            overlay_net=str(local.network.network),
            immovable=local.immovable,
            kept=local.kept,
            late=local.late,
            answers=True,
            version=__version__,
            preshared=settings.preshared_keys,
            routes=local.routes,
            key_fingerprints=self.key_fingerprints,
            identity=identity.public_key if identity else None,
            has_ext=True,
        )
        encoded = encode_metadata(metadata, settings.metadata_format)
        if identity is None:
            return encoded
        return sign_metadata(encoded, identity, settings.name, Address(settings.ip, settings.port))

    def _peers(self, outcome: PlanResult) -> Mapping[str, Peer]:
        """Return the peers of the Plan with their preshared keys, if we use them."""
        peers = outcome.plan.peers
        if not self.settings.preshared_keys:
            return peers
        return self._preshared_keys.fill(self.key_fingerprints, peers, outcome.trusted.values())

    def _chosen(self) -> LocalMember:
        assert self._local, "no overlay address has been chosen yet"
        return self._local

    def _taken(self, address: IPAddress, live: Iterable[Announced]) -> str | None:
        """Say who has the address that we are to have; None for nobody, or if it was ours before.

        Then somebody has taken it meanwhile, and all nodes settle whose it is.
        """
        holder = holder_of(address, live)
        if holder is None or address == self._saved.overlay_addr:
            return None
        data = {"address": address, "member": holder.name}
        return problems.TAKEN_ADDRESS.text.format(**data)

    def _first(
        self, live: list[Announced], failed: Iterable[Announced], facts: LocalFacts
    ) -> IPAddress | None:
        """Return the address we had before, if it is still good, else the first free candidate."""
        network, saved = self.settings.overlay_net, self._saved
        names = {member.name for member in live}
        missing = [member for member in failed if member.name not in names]
        taken = self._planner.taken((*live, *missing), facts)
        # An address that the operator has taken away is not ours any more, whatever flows it has.
        may_return = saved.fixed or not self.settings.interface_kept
        if self.former and may_return and self._is_free(self.former.overlay_addr, taken):
            return self.former.overlay_addr
        address = None if saved.fixed else saved.overlay_addr
        if address and self._is_free(address, self._planner.taken(live, facts)):
            return address
        return choose_address(self.settings.name, network, taken)

    def _is_free(self, address: IPAddress, taken: Taken) -> bool:
        network = self.settings.overlay_net
        return address in network.network and is_usable(address, network) and not taken(address)

    def _note_start(self, address: IPAddress, now: float) -> None:
        """Remember the address that we had before, if we have another."""
        saved = self._saved.overlay_addr
        if saved == address:
            return
        self._held_since = now
        if saved is None:
            return
        if self.former is None and not self._saved.fixed:
            self.former = Former(saved, now)

    def _build(
        self,
        live: list[Member],
        failed: list[Member],
        facts: LocalFacts,
        complete: bool,
        now: float,
    ) -> PlanResult:
        return self._planner.build(self._chosen(), live, failed, facts, complete=complete, now=now)

    def _must_move(self, winner: str | None, now: float) -> bool:
        """Tell whether it is time to leave our address to `winner`, if that is anybody."""
        local = self._chosen()
        if winner is None or local.immovable:
            self._move_at = None
            return False
        if self._move_at is None:
            self._move_at = now + MOVE_PATIENCE
        return now >= self._move_at

    def _move(
        self,
        winner: str,
        outcome: PlanResult,
        others: tuple[Member, ...],
        facts: LocalFacts,
        now: float,
    ) -> Warn:
        """Leave our address to who holds it and take the next free one, if there is any."""
        local = self._chosen()
        taken = self._planner.taken(others, facts)
        address = next_address(local, outcome, taken)
        if address is None:
            full = {
                "winner": winner,
                "address": local.overlay_addr,
                "network": local.network.network,
            }
            return Warn(problems.OVERLAY_FULL, local.name, full, severity=Severity.ERROR)
        if now - self._held_since >= HELD:
            self.former = Former(local.overlay_addr, now)
        self._held_since = now
        self._local = replace(local, overlay_addr=address, kept=False)
        self._move_at = None
        moved = {"old": local.overlay_addr, "new": address, "winner": winner}
        return Warn(problems.MOVED, local.name, moved)

    def _peer_problems(self, outcome: PlanResult) -> Iterator[Warn]:
        """Yield what to tell of members that cannot be peers, or that cannot be told apart."""
        for found in peer_problems(outcome, self.settings.metadata_format):
            if found.subject == self.settings.name and self._move_at is not None:
                continue  # told once we have moved, or cannot
            yield replace(found, always=found.subject in self.relied_on)


def _beside(routes: tuple[Route, ...], name: str, live: Iterable[Announced]) -> tuple[Route, ...]:
    """Return our routes, giving way to those of live members that are there before us."""
    said = (read_metadata(member) for member in live if member.name != name)
    theirs = [route for one in said if isinstance(one, Metadata) for route in one.routes]
    taken = {
        ours.network
        for ours in routes
        for one in theirs
        if overlap(ours.network, one.network) and one.priority == ours.priority and not one.yielding
    }
    return _giving_way(routes, taken)


def _giving_way(routes: Iterable[Route], to: Container[IPNetwork]) -> tuple[Route, ...]:
    return tuple(replace(one, yielding=one.network in to) for one in routes)


def _forgetful(outcome: PlanResult, live: Iterable[Member]) -> frozenset[str]:
    """Return the keys of the live peers that run the Go program, which drops its sessions."""
    peers = (outcome.trusted.get(member.name) for member in live)
    return frozenset(one.public_key for one in peers if one and not one.metadata.has_ext)


def next_address(local: LocalMember, outcome: PlanResult, taken: Taken) -> IPAddress | None:
    """Return the next free address for us, who lost ours; None when there is none.

    Others who lose theirs move at the same moment: where all know the same, they get out of each
    other's way in the order of their names.
    """
    losers = {one.loser for one in outcome.conflicts}
    movable = {name for name, member in outcome.trusted.items() if not member.immovable}
    chosen: set[IPAddress] = set()
    for name in sorted(losers & movable):
        if name > local.name:
            break
        address = choose_address(name, local.network, lambda ip: ip in chosen or taken(ip))
        if address:
            chosen.add(address)
    return choose_address(local.name, local.network, lambda ip: ip in chosen or taken(ip))
