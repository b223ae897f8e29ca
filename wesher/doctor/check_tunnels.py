"""Do the members answer through WireGuard, and how large may packets to them be?"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network

from wesher.base.errors import CommandError
from wesher.base.frozen import EMPTY, frozen, replace
from wesher.doctor.context import Case, Reply
from wesher.doctor.findings import Finding, Share, counted, fault, lasting, ok, unknown
from wesher.doctor.problems import (
    NARROW_PATH,
    NARROW_TUNNEL,
    NO_HANDSHAKE,
    NO_PATH_FOR_IPV6,
    ONLY_TUNNEL,
    SILENT_TUNNEL,
)
from wesher.mesh.base.plan import USUAL_MTU, IPAddress
from wesher.system.echo import Echo, answered, connect_time
from wesher.system.wireguard import OVERHEAD, PeerState, read_wireguard

MAX_MEMBERS = 500  # that are examined; those without a handshake first
PATIENCE = 6.0  # seconds: WireGuard tries a handshake again after 5, and a third
FRESH = 120.0  # seconds after a handshake for which none is needed (WireGuard paper, section 6.1)
SESSION_LIFE = 180.0  # seconds without a new handshake (WireGuard paper, section 6.1)
INITIATION = 148  # bytes of the packet that begins a handshake (WireGuard paper, section 5.4.2)
KEEPALIVE = 32  # bytes of a packet without content; one in ten seconds (section 6.5)
WITHOUT_DATA = frozenset(
    INITIATION * begun + KEEPALIVE * kept for begun in range(4) for kept in (0, 1)
)
"""Bytes that a member sends while we look, if it has nothing to say, or does not hear us."""
MAX_PATHS = 16  # members that are sent whole packets
WHOLE_SEND_AT, WHOLE_PATIENCE = (0.0, 0.4, 0.9), 1.4  # seconds, for packets of all sizes
LEAST_IPV6 = 1280  # bytes that a link must carry (RFC 8200, 5)
SIZES = (1500, 1492, 1480, 1472, 1460, 1450, 1440, 1420, 1400, 1380, 1360, 1340, 1320, 1300)
SMALL_SIZES = (1280, 1240, 1200, 1100, 1000, 900, 800, 700, 576)  # bytes, as above


@frozen
class Patience:
    """When packets are sent and how long an answer may take, in seconds from the begin.

    Who has answered nothing `at_first` is tried by TCP meanwhile, as some drop pings.
    """

    send_at: tuple[float, ...]
    whole: float
    at_first: float

    @property
    def later(self) -> tuple[float, ...]:
        return tuple(at - self.at_first for at in self.send_at if at >= self.at_first)


FOR_LIVE = Patience((0.0, 0.5, 1.5, 3.0, 5.0), PATIENCE, 1.5)
FOR_FRESH = Patience((0.0, 0.3, 0.8, 1.4, 2.0), 2.5, 0.8)
"""With a session there is nothing to wait for but a packet that got lost."""
FOR_FAILED = Patience((0.0, 0.5, 1.0), 1.5, 0.5)
"""We expect them to be silent."""


@frozen
class Tunnel:
    """A member that is a peer; `address` is that of its gossip."""

    member: str
    public_key: str
    overlay: IPAddress
    address: str
    endpoint: str
    failed: bool
    fresh: bool = False

    @property
    def patience(self) -> Patience:
        if self.failed:
            return FOR_FAILED
        return FOR_FRESH if self.fresh else FOR_LIVE

    @property
    def echo(self) -> Echo:
        """A small packet through the tunnel."""
        return Echo(self.overlay)


async def check_tunnels(case: Case) -> list[Finding]:
    """Send something to every peer, since without traffic there is no handshake."""
    if case.status is None or case.wireguard is None:
        return [unknown("tunnels", "cannot list the peers")]
    before = case.wireguard.peers
    tunnels = tunnels_of(case.status, before)
    if not tunnels:
        return [ok("tunnels", "no peers yet")]
    try:
        reached = await _try(tunnels, case.settings.cluster_port)
        after = (await read_wireguard(case.settings.interface)).peers
    except (OSError, CommandError) as error:
        return [unknown("tunnels", f"cannot try the tunnels: {error}", "run this as root")]
    live = [tunnel for tunnel in tunnels if not tunnel.failed]
    share = Share(len(live), max(len(live), _live_peers(case.status)))
    findings = [
        replace(finding, share=share)
        for tunnel in tunnels
        for finding in judge(tunnel, tunnel in reached, before, after)
    ]
    good = [ok("tunnels", f"{counted(len(live), 'live member')} reached through WireGuard")]
    paths = [Path(one.member, one.overlay, one.address) for one in tunnels if one in reached]
    return [*(findings or good), *await check_paths(case, paths)]


def _live_peers(status: Reply) -> int:
    return sum(one["peer"] and one["state"] != "failed" for one in status["members"])


def tunnels_of(status: Reply, peers: Mapping[str, PeerState]) -> list[Tunnel]:
    """Return the members that are peers, the most doubtful first and the failed last."""
    tunnels = [
        Tunnel(
            member["name"],
            member["public_key"],
            ip_address(member["overlay_address"]),
            member["address"],
            member["endpoint"] or member["announced_endpoint"],
            member["state"] == "failed",
            _age(peers[member["public_key"]]) < FRESH,
        )
        for member in status["members"]
        if member["peer"] and not member["reason"] and member["public_key"] in peers
    ]
    tunnels.sort(key=lambda one: (one.failed, peers[one.public_key].latest_handshake))
    return tunnels[:MAX_MEMBERS]


async def _try(tunnels: list[Tunnel], cluster_port: int) -> set[Tunnel]:
    """Return who answers a ping or, where pings are dropped, minds a TCP connection."""
    reached = await asyncio.gather(
        *(
            _try_with(patience, [one for one in tunnels if one.patience == patience], cluster_port)
            for patience in (FOR_LIVE, FOR_FRESH, FOR_FAILED)
        )
    )
    return set().union(*reached)


async def _try_with(patience: Patience, tunnels: list[Tunnel], cluster_port: int) -> set[Tunnel]:
    first = await _echoing(tunnels, patience.send_at, patience.at_first)
    rest = [tunnel for tunnel in tunnels if tunnel not in first]
    left = patience.whole - patience.at_first
    times = asyncio.gather(*(connect_time(one.overlay, cluster_port, left) for one in rest))
    later = await _echoing(rest, patience.later, left)
    minds = {one for one, took in zip(rest, await times, strict=True) if took is not None}
    return first | later | minds


async def _echoing(tunnels: list[Tunnel], send_at: Sequence[float], patience: float) -> set[Tunnel]:
    echoes = await answered([tunnel.echo for tunnel in tunnels], send_at, patience)
    return {tunnel for tunnel in tunnels if tunnel.echo in echoes}


def judge(
    tunnel: Tunnel,
    reached: bool,
    before: Mapping[str, PeerState],
    after: Mapping[str, PeerState],
) -> Iterator[Finding]:
    """Yield what is wrong with a tunnel, by its answer and by what WireGuard told twice."""
    earlier, now = before[tunnel.public_key], after.get(tunnel.public_key)
    data = {
        "member": tunnel.member,
        "address": tunnel.address,
        "endpoint": tunnel.endpoint,
        "port": tunnel.endpoint.rpartition(":")[2],
        "service": f"{tunnel.endpoint.rpartition(':')[2]}/udp",
    }
    if tunnel.failed and reached:
        gossip_port = tunnel.address.rpartition(":")[2]
        yield fault("tunnels", ONLY_TUNNEL, **data | {"port": gossip_port})
    if tunnel.failed or reached or now is None:
        return
    age = _age(now)
    if age > SESSION_LIFE:
        yield fault("tunnels", NO_HANDSHAKE, **data)
    elif now.received - earlier.received in WITHOUT_DATA:
        yield fault("tunnels", SILENT_TUNNEL, ago=lasting(age), **data)


def _age(peer: PeerState) -> float:
    """Return the seconds since the last handshake, very many if there was none."""
    return time.clock_gettime(time.CLOCK_REALTIME) - peer.latest_handshake


@frozen
class Path:
    """The way to a member that answers small packets; `address` is that of its gossip."""

    member: str
    overlay: IPAddress
    address: str

    @property
    def underlay(self) -> IPAddress:
        return ip_address(self.address.rpartition(":")[0].strip("[]"))


async def check_paths(case: Case, paths: Iterable[Path]) -> list[Finding]:
    """Send packets as large as the interface takes; where they get lost, measure the underlay."""
    paths = list(paths)[:MAX_PATHS]
    if not paths:
        return []
    sizes = {path: allowed_size(case, path.overlay) for path in paths}
    echoes = [Echo(path.overlay, size) for path, size in sizes.items()]
    whole = await answered(echoes, WHOLE_SEND_AT, WHOLE_PATIENCE)
    narrow = [path for path in paths if Echo(path.overlay, sizes[path]) not in whole]
    if not narrow:
        least, most = min(sizes.values()), max(sizes.values())
        size = str(most) if least == most else f"{least} to {most}"
        return [ok("path-mtu", f"packets of {size} bytes arrive")]
    measured = await _measure({path.underlay for path in narrow})
    return [judge_path(case, path, sizes[path], measured) for path in narrow]


def allowed_size(case: Case, overlay: IPAddress) -> int:
    """Return how large packets to a member may be by its route, else by the interface."""
    name, network = case.settings.interface, case.network
    link = network.links.get(name) if network else None
    usual = link.mtu if link else USUAL_MTU
    routes = network.marked.get(name, EMPTY) if network else EMPTY
    return min(usual, routes.get(ip_network(overlay)) or usual)


async def _measure(addresses: Iterable[IPAddress]) -> Mapping[IPAddress, int]:
    """Return the largest packet, in bytes with its IP header, that each address answers."""
    echoes = [Echo(address, size) for address in addresses for size in (*SIZES, *SMALL_SIZES)]
    heard = await answered(echoes, WHOLE_SEND_AT, WHOLE_PATIENCE)
    largest: dict[IPAddress, int] = {}
    for echo in heard:
        largest[echo.to] = max(echo.size, largest.get(echo.to, 0))
    return largest


def judge_path(case: Case, path: Path, size: int, measured: Mapping[IPAddress, int]) -> Finding:
    """Say what is lost, and how much the path was measured to carry, as far as it was."""
    needed = size + OVERHEAD[path.underlay.version]
    data: dict[str, object] = {
        "interface": case.settings.interface,
        "size": size,
        "member": path.member,
        "address": path.underlay,
        "needed": needed,
    }
    mtu = measured.get(path.underlay)
    if mtu is None or mtu >= needed:
        return fault("path-mtu", NARROW_TUNNEL, **data)
    tunnel = mtu - OVERHEAD[path.underlay.version]
    if path.overlay.version == 6 and tunnel < LEAST_IPV6:
        link = _link_towards(case)
        return fault("path-mtu", NO_PATH_FOR_IPV6, mtu=mtu, link=link, **data)
    return fault("path-mtu", NARROW_PATH, mtu=mtu, tunnel=tunnel, **data)


def _link_towards(case: Case) -> str:
    """Return the interface of the default route, as that is mostly it."""
    gateways = case.network.gateways if case.network else ()
    ours = case.settings.interface
    return next((one.link for one in gateways if one.default and one.link != ours), "LINK")
