"""The WireGuard interface of one agent: open it, keep it as planned, take it away."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Set
from contextlib import suppress

from wesher.base.addresses import Address
from wesher.base.errors import CommandError, StartError
from wesher.base.frozen import EMPTY, frozen, replace
from wesher.mesh.base.plan import Plan
from wesher.system.changes import (
    IpChanges,
    PeerChanges,
    apply_lines,
    apply_peer_changes,
    endpoints_in_place,
    ip_changes,
    peer_changes,
)
from wesher.system.interface import (
    BORROWED,
    CREATED,
    MARKS,
    Leftover,
    as_lent,
    check_name,
    create,
    delete,
    delete_created,
    strip_borrowed,
)
from wesher.system.network import KnownRoutes, Link, Network, read_network
from wesher.system.path_mtu import tunnel_mtus
from wesher.system.shell import patiently
from wesher.system.wireguard import (
    WireGuardState,
    generate_private_key,
    greet,
    greet_at_once,
    is_no_wireguard,
    public_key_of,
    read_wireguard,
)

_FOREIGN = "interface {} exists and wesher did not make it"


@frozen
class Applied:
    """What one `Device.apply` found and did.

    `repaired` names what somebody else had broken, `failed` what could not be done and is tried
    again by the next call. `network` and `wireguard` are what was read, before any change.
    """

    changed: bool
    repaired: tuple[str, ...]
    failed: tuple[str, ...]
    network: Network
    wireguard: WireGuardState


class Device:
    """A WireGuard interface that is ours to use, made by `Device.open`.

    `adopted` tells that it survived an earlier agent, with the key and the peers it had.
    """

    def __init__(
        self,
        name: str,
        private_key: str,
        lent: Link | None,
        routes: KnownRoutes,
        *,
        adopted: bool,
    ) -> None:
        self.name = name
        self.adopted = adopted
        self.public_key = public_key_of(private_key)
        self._private_key = private_key
        self._routes = routes
        self._lent = lent  # as it was before us; None when we made the device
        self._announced: dict[str, Address] = {}
        self._applied: Plan | None = None
        self._mtus: Mapping[str, int] = EMPTY  # of the tunnels, as they were then
        self._renewal = 0  # that of the last plan

    @property
    def what(self) -> str:
        """What is taken away by `close`, in words."""
        return self.name if self._lent is None else f"what was set on {self.name}"

    @classmethod
    async def open(
        cls,
        name: str,
        *,
        fresh_key: bool = False,
        of_original: bool = False,
        routes: KnownRoutes | None = None,
        network: Network | None = None,
    ) -> "Device":
        """Create interface `name`, or adopt the one an earlier agent left, or use a blank one.

        One that is adopted keeps its key, unless a `fresh_key` is wanted. `of_original` says that
        the Go program ran here last and is gone: what it left is adopted like one of ours.
        Without `routes` that are known to somebody, every `apply` reads them all. A `network` that
        was read a moment ago saves a look.
        Raises StartError when it belongs to somebody else or this host can have none, CommandError
        when a tool keeps failing. Nothing but the device itself and its mark is set by this.
        """
        check_name(name)
        opening = _Opening(name, fresh_key, of_original, routes or KnownRoutes())
        if network is not None:
            with suppress(CommandError):  # it may have changed since
                return await opening.act_on(network.links.get(name))
        return await opening.look_and_act()

    async def apply(self, plan: Plan) -> Applied:
        """Make interface, peers, addresses and routes what `plan` says, touching nothing else.

        At most one `wg` and one `ip` change anything, none when nothing differs. An interface that
        somebody deleted is made anew. Raises CommandError when a tool fails as a whole, and
        StartError when the interface cannot be had; either may pass, so call again later.
        """
        network, state = await self._read()
        repaired: tuple[str, ...] = ()
        if state is None:
            network, state = await self._restore()
            repaired = (f"interface {self.name}",)
        self._check_owner(network, state)
        mtus = tunnel_mtus(plan, state)
        peers, addresses = self._differences(network, state, self._freed(plan), mtus)
        changed = bool(repaired or peers or addresses.lines)
        if not repaired and changed and self._applied is not None:
            repaired = _named(*self._differences(network, state, self._applied, self._mtus))
        self._applied, self._mtus = None, mtus
        failed = [*addresses.refused, *await self._change(plan, state, peers, addresses)]
        self._applied = None if failed else plan
        self._renewal = plan.renewal
        return Applied(changed, repaired, tuple(failed), network, state)

    async def close(self, limit: float = 1.2) -> list[Leftover]:
        """Take away what is ours within `limit` seconds; return what could not be.

        A caller that wants to leave everything in place for its successor just does not call this.
        """
        if self._lent is None:
            return await delete_created(self.name, limit)
        return await strip_borrowed(self._lent, limit)

    async def _restore(self) -> tuple[Network, WireGuardState]:
        """Make the interface anew after somebody deleted it."""
        self._announced.clear()
        self._applied = None
        await create(self.name)
        self._lent = None
        self._routes.change()
        network, state = await self._read()
        if state is None:
            raise CommandError(("ip", "link", "add", self.name), 0, "vanished at once")
        return network, state

    async def _read(self) -> tuple[Network, WireGuardState | None]:
        """Read what the kernel has, in two processes at once; no state if there is no interface."""
        network, state = await asyncio.gather(
            self._routes.read(), read_wireguard(self.name), return_exceptions=True
        )
        if isinstance(network, BaseException):
            raise network
        if self.name not in network.links:
            return network, None
        if isinstance(state, BaseException):
            raise state
        return network, state

    def _check_owner(self, network: Network, state: WireGuardState) -> None:
        marked = network.links[self.name].alias in MARKS
        if not marked and state.private_key not in {None, self._private_key}:
            raise _foreign(self.name)

    def _differences(
        self, network: Network, state: WireGuardState, plan: Plan, mtus: Mapping[str, int]
    ) -> tuple[PeerChanges, IpChanges]:
        # WireGuard tells handshakes in wall-clock time.
        now = time.clock_gettime(time.CLOCK_REALTIME)
        mark, spared = (BORROWED, self._lent.addresses) if self._lent else (CREATED, ())
        renewed = self._renewed(plan)
        return (
            peer_changes(state, plan, self._private_key, self._announced, now, renewed=renewed),
            ip_changes(network, self.name, plan, mark, spared=spared, mtus=mtus),
        )

    async def _change(
        self, plan: Plan, state: WireGuardState, peers: PeerChanges, addresses: IpChanges
    ) -> list[str]:
        """Make the changes; return what failed."""
        blamed = await apply_peer_changes(self.name, peers) if peers else {}
        self._announced = {
            key: endpoint
            for key, endpoint in endpoints_in_place(state, plan, peers, self._announced).items()
            if key not in blamed
        }
        lines = {}
        if addresses.lines:
            self._routes.change_ours()
            lines = await apply_lines(addresses.lines)
        self._greet(plan, peers.endpoints.keys() - blamed.keys(), state.peers.keys())
        return [
            *(f"peer {key}: {error.stderr}" for key, error in blamed.items()),
            *(f"ip {line}: {reason}" for line, reason in lines.items()),
        ]

    def _freed(self, plan: Plan) -> Plan:
        """Return the plan so that an MTU which we had fixed and nobody wants any more goes, too."""
        before = self._applied.interface if self._applied else None
        if before is None or not before.fixed or plan.interface.fixed:
            return plan
        return replace(plan, interface=replace(plan.interface, fixed=True))

    def _renewed(self, plan: Plan) -> Set[str]:
        return plan.forgetful if plan.renewal > self._renewal else frozenset()

    def _greet(self, plan: Plan, keys: Set[str], known: Set[str]) -> None:
        """Greet those with a new endpoint; at once those that have lost their session by us."""
        networks = {key: plan.peers[key].allowed_ips for key in keys}
        peers = {key: ips[0].network_address for key, ips in networks.items() if ips}
        again = peers.keys() & self._renewed(plan) & known
        greet_at_once(self.name, [peers[key] for key in again])
        greet(
            self.name, self.public_key, {key: ip for key, ip in peers.items() if key not in again}
        )


@frozen
class _Opening:
    """How an interface is got."""

    name: str
    fresh_key: bool
    of_original: bool
    routes: KnownRoutes

    @patiently
    async def look_and_act(self) -> Device:
        """Look, then act on what is there: so trying again is safe although creating is not."""
        return await self.act_on((await read_network()).links.get(self.name))

    async def act_on(self, link: Link | None) -> Device:
        """Adopt or borrow the link, or make one where there is none, or none that works."""
        if link is not None:
            try:
                return self._take(link, await read_wireguard(self.name))
            except CommandError as error:
                if not is_no_wireguard(error):
                    raise
            if link.alias != CREATED:
                raise StartError(f"{_FOREIGN.format(self.name)}: choose another with --interface")
            # Ours, but without its wireguard-go.
            await delete(self.name)
        await create(self.name)
        return Device(self.name, generate_private_key(), None, self.routes, adopted=False)

    def _take(self, link: Link, state: WireGuardState) -> Device:
        """Adopt a device with our mark, or the original's, or borrow a blank one.

        Raises StartError for any other.
        """
        marked = link.alias in MARKS
        inherited = self.of_original and not marked and not state.blank
        if not marked and not state.blank and not inherited:
            raise _foreign(link.name)
        lent = None
        if link.alias != CREATED and not inherited:
            lent = as_lent(link) if marked else link
        kept = None if self.fresh_key else state.private_key
        private_key, adopted = kept or generate_private_key(), state.private_key is not None
        return Device(link.name, private_key, lent, self.routes, adopted=adopted)


def _foreign(name: str) -> StartError:
    return StartError(
        f"{_FOREIGN.format(name)}: if nobody uses it any more, remove it with "
        f"`ip link del {name}`, else choose another with --interface"
    )


def _named(peers: PeerChanges, addresses: IpChanges) -> tuple[str, ...]:
    """Put into words what is to be set again."""
    broken = Counter(line.split()[0] for line in addresses.lines)
    names = {
        "the private key": peers.private_key is not None,
        "the listen port": peers.listen_port is not None,
        _counted(len(peers.words), "peer"): bool(peers.words),
        "the address": "address" in broken,
        "the interface's settings": "link" in broken,
        _counted(broken["route"], "route"): "route" in broken,
    }
    return tuple(name for name, differs in names.items() if differs)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
