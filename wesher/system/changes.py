"""What is different from the plan, and the one `wg set` and the one `ip -batch` that change it."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from itertools import chain

from wesher.base.addresses import Address
from wesher.base.errors import CommandError, MissingToolError
from wesher.base.frozen import EMPTY, frozen, replace
from wesher.mesh.base.plan import NO_KEY, InterfaceSettings, IPNetwork, Peer, Plan
from wesher.system.network import PROTOCOL, Link, LinkAddress, Network
from wesher.system.shell import MAX_FILES, patiently, run
from wesher.system.wireguard import PeerState, WireGuardState, wg_set

_MAX_WORDS = 512 * 1024  # bytes of one command line; Linux allows 2 MiB, environment included
_NOT_THE_PEERS = ("No such device", "not permitted", "not supported")
_LEAST_MTU = {4: 576, 6: 1280}  # bytes that every host takes (RFC 791, RFC 8200)
_MAX_FAILURES = 64  # calls we spend on finding out which peers are to blame
_FAILED_LINE = re.compile(r"Command failed .*:(\d+)$")
# Answers to taking away what is not there: somebody else was faster.
_GONE = ("No such", "Cannot find device", "Cannot assign requested address", "not found")


@frozen(hidden=("private_key", "preshared_keys"))
class PeerChanges:
    """What `wg set` has to do, and nothing it does not have to.

    `words` are the arguments for each peer, additions before removals; `endpoints` those it sets.
    The peers of `preshared_keys` get these, or none any more; they are among the others.
    """

    private_key: str | None = None
    listen_port: int | None = None
    words: Mapping[str, tuple[str, ...]] = EMPTY
    endpoints: Mapping[str, Address] = EMPTY
    preshared_keys: Mapping[str, str] = EMPTY

    def __bool__(self) -> bool:
        return bool(self.private_key or self.listen_port is not None or self.words)


def peer_changes(
    state: WireGuardState,
    plan: Plan,
    private_key: str,
    announced: Mapping[str, Address],
    now: float,
    *,
    renewed: Set[str] = frozenset(),
) -> PeerChanges:
    """Compare `state` with `plan`; `announced` are the endpoints we set last, `now` the epoch.

    A peer as it should be is not mentioned, except if it is `renewed`: then it is taken out and in
    again, at the endpoint that it has, and has lost its session. An endpoint that WireGuard learnt
    from a roaming peer counts as right until the member announces another.
    """
    words: dict[str, tuple[str, ...]] = {}
    endpoints: dict[str, Address] = {}
    preshared_keys: dict[str, str] = {}
    claimed = _all_allowed_ips(plan) if not plan.complete else frozenset()
    for key, peer in plan.peers.items():
        current = state.peers.get(key)
        preshared = _other_preshared(current, peer)
        if preshared is not None:
            preshared_keys[key] = preshared
        if _needs_endpoint(current, peer.endpoint, announced.get(key), now):
            endpoints[key] = peer.endpoint
        allowed_ips = set(peer.allowed_ips)
        if current and not plan.complete:
            allowed_ips |= current.allowed_ips - claimed
        if current and key in renewed:
            endpoints.setdefault(key, current.endpoint or peer.endpoint)
            kept = current.preshared_key if peer.preshared_key is None else peer.preshared_key
            if kept != NO_KEY:
                preshared_keys[key] = kept
            anew = _words(None, peer, endpoints[key], allowed_ips)
            words[key] = ("peer", key, "remove", "peer", key, *anew)
            continue
        changed = tuple(_words(current, peer, endpoints.get(key), allowed_ips))
        if changed or current is None or preshared is not None:
            words[key] = ("peer", key, *changed)
    if plan.complete:
        gone = sorted(state.peers.keys() - plan.peers.keys())
        words |= {key: ("peer", key, "remove") for key in gone}
    return PeerChanges(
        private_key=None if state.private_key == private_key else private_key,
        listen_port=_unless_equal(plan.interface.listen_port, state.listen_port),
        words=words,
        endpoints=endpoints,
        preshared_keys=preshared_keys,
    )


def endpoints_in_place(
    state: WireGuardState, plan: Plan, changes: PeerChanges, announced: Mapping[str, Address]
) -> dict[str, Address]:
    """Return the announced endpoints that WireGuard knows of once `changes` are made."""
    known = {}
    for key, peer in plan.peers.items():
        current = state.peers.get(key)
        if (
            changes.endpoints.get(key) == peer.endpoint
            or announced.get(key) == peer.endpoint
            or (current and current.endpoint == peer.endpoint)
        ):
            known[key] = peer.endpoint
    return known


async def apply_peer_changes(name: str, changes: PeerChanges) -> dict[str, CommandError]:
    """Make the changes in one `wg set`; return the peers that could not be set, and why.

    Only a command line that would be too long, very many preshared keys, and a call that fails
    take more than one: it is split until the peers to blame stand alone. Raises CommandError when
    it is not the peers.
    """
    blamed: dict[str, CommandError] = {}
    for batch in _batches(changes):
        await _apply_batch(name, batch, blamed)
    return blamed


async def _apply_batch(name: str, batch: PeerChanges, blamed: dict[str, CommandError]) -> None:
    own = batch.listen_port is not None or batch.private_key is not None
    try:
        await patiently(_set)(name, batch)
        return
    except CommandError as error:
        if not batch.words or not _may_blame_a_peer(error):
            raise
        if len(batch.words) == 1 and not own:
            blamed.update(dict.fromkeys(batch.words, error))
            return
    if own:
        await patiently(_set)(name, replace(batch, words=EMPTY))
    await _split(name, batch, blamed)


async def _split(name: str, batch: PeerChanges, blamed: dict[str, CommandError]) -> None:
    """Apply a batch that failed as a whole, in ever smaller parts."""
    waiting = [list(batch.words)]
    failures = 0
    while waiting:
        keys = waiting.pop(0)
        words = {key: batch.words[key] for key in keys}
        try:
            await _set(name, PeerChanges(words=words, preshared_keys=batch.preshared_keys))
        except CommandError as error:
            failures += 1
            if failures == _MAX_FAILURES or not _may_blame_a_peer(error):
                raise
            if len(keys) == 1:
                blamed[keys[0]] = error
                continue
            half = len(keys) // 2
            waiting += [keys[:half], keys[half:]]


async def _set(name: str, changes: PeerChanges) -> None:
    port = changes.listen_port
    head = () if port is None else ("listen-port", str(port))
    await wg_set(
        name,
        *head,
        peers=changes.words,
        private_key=changes.private_key,
        preshared_keys=changes.preshared_keys,
    )


def _all_allowed_ips(plan: Plan) -> frozenset[IPNetwork]:
    return frozenset(chain.from_iterable(peer.allowed_ips for peer in plan.peers.values()))


def _may_blame_a_peer(error: CommandError) -> bool:
    if error.status is None or isinstance(error, MissingToolError):
        return False
    return not any(words in error.stderr for words in _NOT_THE_PEERS)


def _needs_endpoint(
    current: PeerState | None, wanted: Address, announced: Address | None, now: float
) -> bool:
    if current is None or current.endpoint is None:
        return True
    if current.endpoint == wanted:
        return False
    if announced is not None:
        return wanted != announced
    # Adopted after a restart: it may have roamed, or be out of date. While packets flow it is good.
    return not current.has_session(now)


def _other_preshared(current: PeerState | None, peer: Peer) -> str | None:
    """Return the preshared key that a peer lacks, NO_KEY if it should have none but has one."""
    has = current.preshared_key if current else NO_KEY
    return None if peer.preshared_key == has else peer.preshared_key


def _words(
    current: PeerState | None,
    peer: Peer,
    endpoint: Address | None,
    allowed_ips: set[IPNetwork],
) -> Iterator[str]:
    if endpoint is not None:
        yield from ("endpoint", str(endpoint))
    if peer.keepalive != (current.keepalive if current else 0):
        yield from ("persistent-keepalive", str(peer.keepalive))
    if allowed_ips != (current.allowed_ips if current else set()):
        # Setting them takes them off any other peer, so they can change hands in one call.
        yield from ("allowed-ips", ",".join(sorted(map(str, allowed_ips))))


def _unless_equal(wanted: int, current: int) -> int | None:
    return None if wanted == current else wanted


def _batches(changes: PeerChanges) -> Iterator[PeerChanges]:
    """Cut up what is too much for one call; the first part has our own settings."""
    batch: dict[str, tuple[str, ...]] = {}
    size = files = 0
    for key, arguments in changes.words.items():
        length = sum(len(word) + 1 for word in arguments)
        needed = int(bool(changes.preshared_keys.get(key)))
        if batch and (size + length > _MAX_WORDS or files + needed > MAX_FILES):
            yield replace(changes, words=batch)
            changes = PeerChanges(preshared_keys=changes.preshared_keys)
            batch, size, files = {}, 0, 0
        batch[key] = arguments
        size += length
        files += needed
    yield replace(changes, words=batch)


@frozen
class IpChanges:
    """Lines for `ip -batch`, additions before removals, and routes that are not ours to change."""

    lines: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def ip_changes(
    network: Network,
    name: str,
    plan: Plan,
    alias: str,
    *,
    spared: Collection[LinkAddress] = (),
    mtus: Mapping[str, int] = EMPTY,
) -> IpChanges:
    """Compare interface `name` with the plan; it must exist.

    `alias` is the mark it should carry; `spared` are addresses that were there before us; `mtus`,
    in bytes by key, are those of peers' tunnels that are known. Nothing is removed while the plan
    is not complete.
    """
    link = network.links[name]
    present = network.marked.get(name, EMPTY)
    wanted = _wanted_routes(link, plan, mtus)
    missing = [route for route, mtu in wanted.items() if present.get(route) != mtu]
    holders = {route: who for route in missing if (who := _holder(network, name, route))}
    refused = {route: who for route, who in holders.items() if who != name}
    lines = [
        *_address_lines(link, plan.interface),
        *_link_lines(link, plan.interface, alias),
        *(
            _set_route(name, route, wanted[route], anew=route not in present)
            for route in missing
            if route not in holders
        ),
    ]
    if plan.complete:
        gone = sorted(present.keys() - wanted.keys(), key=str)
        lines += [delete_route(name, route) for route in gone]
        lines += [
            delete_address(name, address)
            for address in link.addresses
            if address.lasting and address not in spared and address.ip != plan.interface.address
        ]
    texts = (f"route to {route}: one through {other} exists" for route, other in refused.items())
    return IpChanges(tuple(lines), tuple(texts))


async def apply_lines(lines: Collection[str]) -> dict[str, str]:
    """Run all lines in one `ip -batch`; return those that failed, with what `ip` said.

    A line that fails does not keep the others from being run, and only it is tried again. Raises
    CommandError when it is not about single lines.
    """
    failed = dict.fromkeys(lines, "")

    @patiently
    async def attempt() -> None:
        nonlocal failed
        try:
            await run("ip", "-force", "-batch", "-", stdin="".join(f"{line}\n" for line in failed))
        except CommandError as error:
            reasons = _failed_lines(error.stderr, tuple(failed))
            if reasons is None:
                raise
            failed = reasons
            if failed:
                raise
        else:
            failed = {}

    try:
        await attempt()
    except CommandError:
        if not all(failed.values()):
            raise
    return failed


def delete_route(name: str, route: IPNetwork) -> str:
    """Return the line that takes one of our routes away."""
    return f"route del {route} dev {name} proto {PROTOCOL}"


def delete_address(name: str, address: LinkAddress) -> str:
    """Return the line that takes an address off the interface."""
    return f"address del {address.ip}/{address.network.prefixlen} dev {name}"


def _wanted_routes(link: Link, plan: Plan, mtus: Mapping[str, int]) -> dict[IPNetwork, int]:
    """Return the routes to peers, each with its MTU where that is below the interface's, else 0."""
    settings = plan.interface
    widest = settings.mtu if settings.fixed else min(settings.mtu, link.mtu)
    wanted: dict[IPNetwork, int] = {}
    for key, peer in plan.peers.items():
        mtu = mtus.get(key, widest)
        for route in peer.allowed_ips:
            if route in peer.unrouted:
                continue
            allowed = max(mtu, _LEAST_MTU[route.version])
            wanted.setdefault(route, allowed if allowed < widest else 0)
    return wanted


def _set_route(name: str, route: IPNetwork, mtu: int, *, anew: bool) -> str:
    """Return the line that sets a route; one to a network never takes the place of another's."""
    verb = "add" if anew and route.prefixlen < route.max_prefixlen else "replace"
    scope = " scope link" if route.version == 4 else ""
    limit = f" mtu {mtu}" if mtu else ""
    return f"route {verb} {route} dev {name} proto {PROTOCOL}{scope}{limit}"


def _address_lines(link: Link, settings: InterfaceSettings) -> Iterator[str]:
    if settings.address not in {address.ip for address in link.addresses}:
        length = settings.address.max_prefixlen
        yield f"address replace {settings.address}/{length} dev {link.name}"


def _link_lines(link: Link, settings: InterfaceSettings, alias: str) -> Iterator[str]:
    words = []
    # A lower one is the operator's cure for a narrow path.
    if link.mtu > settings.mtu or (settings.fixed and link.mtu != settings.mtu):
        words.append(f"mtu {settings.mtu}")
    if link.alias != alias:
        words.append(f"alias {alias}")
    if not link.up:
        words.append("up")
    if words:
        yield f"link set dev {link.name} {' '.join(words)}"


def _holder(network: Network, name: str, route: IPNetwork) -> str | None:
    """Return the interface of somebody else's route to the same destination.

    One through ours to a host may become ours, one to a network is left to who made it.
    """
    if route.prefixlen == route.max_prefixlen:
        other = network.foreign.get(str(route.network_address))
        return None if other == name else other
    meshes = (link for link, routes in network.marked.items() if link != name and route in routes)
    return network.foreign.get(str(route)) or next(meshes, None)


def _failed_lines(stderr: str, lines: Sequence[str]) -> dict[str, str] | None:
    """Return the failed lines and why, or None when the tool does not name any."""
    reasons: list[str] = []
    failed = {}
    named = False
    for text in stderr.splitlines():
        match = _FAILED_LINE.match(text)
        if match is None:
            reasons.append(text)
            continue
        named = True
        line, reason = lines[int(match[1]) - 1], "; ".join(reasons)
        reasons.clear()
        if not (" del " in line and any(words in reason for words in _GONE)):
            failed[line] = reason or "no message"
    return failed if named else None
