"""Who carries a network that lies behind members, and what of that this host takes.

A member announces the networks behind it (`--route`). The others send there through it: the network
becomes one of its allowed-ips, and a route. WireGuard can send an address to one peer only, so two
announcements that overlap have one winner, the same on every node:

* who is there before who has failed;
* of those with different priorities for the same network, who is not suspected: one stands in for
  the other before that is held failed, which takes half a minute in a WAN;
* of those that are there, the smaller priority; without one it is 0, so that nobody can take a
  network from a member that announced it plainly;
* of equal ones, whoever announced it first, as for overlay addresses (`seniority`), then the
  smaller name.

A member that finds itself beaten at equal priority says so in what it announces: it gives way. So
does one whose equal appears at the same moment, since it has not seen who of them was first.
Then those who came later, and cannot know who was first, find the same winner; and when the winner
leaves, fails or withdraws its network, the one that gave way carries it, and gives way no more:
its claim is as old as that, however long it has announced the network. If nobody is left but such
that give way to each other, the smaller name begins.

Some networks are taken by nobody: the default route, what overlaps the overlay network, and what
holds the address at which a member is reached, since its encrypted packets would go through the
mesh, too. Others are not taken by a host that has a way of its own there: it is connected to the
network, announces it itself, or has a route that is as narrow. Such a route is never touched.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import reduce
from itertools import groupby, product

from wesher.base.addresses import Ranges
from wesher.base.frozen import EMPTY, frozen
from wesher.mesh.base.plan import IPAddress, IPNetwork, LocalFacts
from wesher.mesh.base.routes import Route, Routing, inside, overlap, unusable
from wesher.mesh.base.seniority import Seniority

_YIELDING = 256  # more than any priority
_WEIGHED = 8  # offers of one network that are compared with all others; a mesh has one or two


@frozen
class Offer:
    """A member's announcement of a network; `live` says whether the member is there.

    One that is `doubted` is there and suspected of having failed.
    """

    member: str
    route: Route
    live: bool = True
    doubted: bool = False

    @property
    def network(self) -> IPNetwork:
        return self.route.network

    @property
    def weight(self) -> tuple[bool, int]:
        """Its order among others; only equal ones are told apart by who was first."""
        return not self.live, _YIELDING if self.route.yielding else self.route.priority


def _agreed(one: Offer, other: Offer) -> bool:
    same = one.network == other.network
    return same and one.route.priority != other.route.priority


@frozen
class Contest:
    """An offer that is not taken because of another member's, the `holder`."""

    offer: Offer
    holder: Offer

    @property
    def agreed(self) -> bool:
        """Whether both were told that one is to stand in for the other."""
        return _agreed(self.offer, self.holder)


@frozen
class Behind:
    """A network behind a member as this host sees it; it is not `taken` for the `reason` given."""

    route: Route
    taken: bool
    reason: str | None = None


@frozen
class Carriers:
    """What has come of all offers, by member.

    `flaws` are those that nobody takes, with the reason; `yields` the networks of ours that another
    member had first.
    """

    behind: Mapping[str, tuple[Behind, ...]] = EMPTY
    contests: tuple[Contest, ...] = ()
    flaws: Mapping[Offer, str] = EMPTY
    yields: frozenset[IPNetwork] = frozenset()

    def networks(self, member: str) -> tuple[IPNetwork, ...]:
        """Return what this host sends through the member, besides what is for itself."""
        return tuple(one.route.network for one in self.behind.get(member, ()) if one.taken)


@frozen
class Judge:
    """This host, to which offers are made; `underlay` is where all members are reached."""

    name: str
    overlay: IPNetwork
    routing: Routing
    facts: LocalFacts
    underlay: Ranges

    def weigh(self, offers: Iterable[Offer], seniority: Seniority) -> Carriers:
        """Decide on all offers; `seniority` has noted the claim of each."""
        offers = sorted(offers, key=_by_name)
        flaws = {one: flaw for one in offers if (flaw := self._flaw(one.network))}
        holders = settle([one for one in offers if one not in flaws], seniority)
        contests = tuple(Contest(one, holder) for one, holder in holders.items())
        behind = {
            member: tuple(self._behind(one, flaws.get(one), holders.get(one)) for one in group)
            for member, group in groupby(offers, key=lambda one: one.member)
        }
        ours = [one for one in offers if one.member == self.name and one not in flaws]
        rivals = [one for one in offers if one.member != self.name and one not in flaws]
        taken = {one for one in rivals if one not in holders} if ours else set()

        def comes_first(rival: Offer, own: Offer) -> bool:
            if own in holders and rival in taken:
                return True
            plain = rival.live and not rival.route.yielding and not own.route.yielding
            # Who appears together with us was there before, perhaps: only others can tell.
            return plain and not seniority.order(
                own.member, rival.member, own.route.claim, rival.route.claim
            )

        yields = frozenset(
            own.network
            for own in ours
            if any(_equals(own, one) and comes_first(one, own) for one in rivals)
        )
        return Carriers(behind, contests, flaws, yields)

    def _flaw(self, network: IPNetwork) -> str | None:
        """Say why nobody takes a network, as what goes after it."""
        if problem := unusable(network):
            return problem
        if overlap(network, self.overlay):
            return f"overlaps the overlay network {self.overlay}"
        if reached := self.underlay.inside(network):
            return f"holds {reached.network_address}, at which a member is reached"
        return None

    def _behind(self, offer: Offer, flaw: str | None, holder: Offer | None) -> Behind:
        ours = offer.member == self.name
        reason = flaw or (None if ours else self._objection(offer.network))
        if reason is None and holder is not None:
            same = holder.network == offer.network
            reason = f"goes to {holder.member}" + ("" if same else f" with {holder.network}")
        return Behind(offer.route, reason is None, reason)

    def _objection(self, network: IPNetwork) -> str | None:
        """Say why this host does not take a network that others may, as what goes after it."""
        facts, routing = self.facts, self.routing
        if not inside(network, routing.accepted.networks):
            return "is none that this host takes (--accept-routes)"
        if any(overlap(network, route.network) for route in routing.announced):
            return "is behind this host, too"
        if near := next((one for one in facts.connected if overlap(network, one)), None):
            return f"overlaps {near}, which this host is connected to"
        if own := facts.own_routes.inside(network):
            return f"holds {own}, which this host has another route to"
        if hop := _within(facts.next_hops, network):
            return f"holds {hop}, a gateway of this host"
        if not routing.accepted.named and (server := _within(facts.resolvers, network)):
            return f"holds {server}, a name server of this host"
        return None


def _equals(one: Offer, other: Offer) -> bool:
    """Tell whether two offers cannot both be taken, and neither has the better priority."""
    return one.route.priority == other.route.priority and overlap(one.network, other.network)


def settle(offers: Iterable[Offer], seniority: Seniority) -> dict[Offer, Offer]:
    """Return the offers that lose, each with the one that is taken in its place."""

    def beats(one: Offer, other: Offer) -> bool:
        if one.doubted is not other.doubted and one.live and other.live and _agreed(one, other):
            return other.doubted
        if one.weight != other.weight:
            return one.weight < other.weight
        if one.route.yielding:  # both: were each to wait for whom it saw first, all might wait
            return one.member < other.member
        order = seniority.order(one.member, other.member, one.route.claim, other.route.claim)
        return order < 0 if order else one.member < other.member

    groups: dict[IPNetwork, list[Offer]] = {}
    for offer in offers:
        groups.setdefault(offer.network, []).append(offer)
    lost: dict[Offer, Offer] = {}
    for network, group in groups.items():
        if len(group) > _WEIGHED:
            best = reduce(lambda one, other: other if beats(other, one) else one, group)
            groups[network] = [best, *(one for one in group if one is not best)][:_WEIGHED]
            lost |= {one: best for one in group if one not in groups[network]}
    chosen = _select(_rivals(groups), beats)
    return chosen | {one: chosen.get(best, best) for one, best in lost.items()}


def _select(
    rivals: Mapping[Offer, set[Offer]], beats: Callable[[Offer, Offer], bool]
) -> dict[Offer, Offer]:
    """Take whatever no other one that is left beats, again and again; return the losers."""
    beaten_by = {one: {other for other in rivals[one] if beats(other, one)} for one in rivals}
    left = dict.fromkeys(sorted(rivals, key=lambda one: (one.weight, _by_name(one))))
    unbeaten = [one for one in left if not beaten_by[one]]
    lost: dict[Offer, Offer] = {}
    while left:
        # None is unbeaten in a circle, which only times that are nearly the same can make.
        one = unbeaten.pop() if unbeaten else next(iter(left))
        if one not in left:
            continue
        del left[one]
        for loser in rivals[one] & left.keys():
            del left[loser]
            lost[loser] = one
            for freed in rivals[loser]:
                beaten_by[freed].discard(loser)
                if not beaten_by[freed]:
                    unbeaten.append(freed)
    return lost


def _rivals(groups: Mapping[IPNetwork, Iterable[Offer]]) -> dict[Offer, set[Offer]]:
    """Return who overlaps whom, as far as they are of different members."""
    found: dict[Offer, set[Offer]] = {}
    lengths: set[tuple[int, int]] = {(one.version, one.prefixlen) for one in groups}
    for network, group in groups.items():
        for wide in _at_least(network, lengths):
            for one, other in product(group, groups.get(wide, ())):
                if one.member != other.member:
                    found.setdefault(one, set()).add(other)
                    found.setdefault(other, set()).add(one)
    return found


def _at_least(network: IPNetwork, lengths: set[tuple[int, int]]) -> Iterator[IPNetwork]:
    for version, length in lengths:
        if version == network.version and length <= network.prefixlen:
            yield network.supernet(new_prefix=length)


def _by_name(offer: Offer) -> tuple[str, int, int, int]:
    network = offer.network
    return offer.member, network.version, int(network.network_address), network.prefixlen


def _within(ips: Iterable[IPAddress], network: IPNetwork) -> IPAddress | None:
    return next((ip for ip in ips if ip.version == network.version and ip in network), None)
