"""Do the members answer through WireGuard?"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_address

from wesher.base import problems
from wesher.base.errors import CommandError
from wesher.base.frozen import frozen
from wesher.doctor.context import Case, Reply
from wesher.doctor.echo import Echo, answered
from wesher.doctor.findings import Finding, fault, ok, unknown
from wesher.doctor.formatting import counted, lasting
from wesher.doctor.path_mtu import Path, check_paths
from wesher.mesh.base.plan import IPAddress
from wesher.system.wireguard import PeerState, read_wireguard

MAX_MEMBERS = 64  # that are examined; those without a handshake first
SEND_AT = (0.0, 0.5, 1.5, 3.0, 5.0)  # seconds
PATIENCE = 6.5  # seconds: WireGuard tries a handshake again after 5
FAILED_SEND_AT, FAILED_PATIENCE = (0.0, 0.5), 1.5  # seconds, for those that we expect to be silent
SESSION_LIFE = 180.0  # seconds without a new handshake (WireGuard paper, section 6.1)


@frozen
class Tunnel:
    """A member that is a peer; `address` is that of its gossip."""

    member: str
    public_key: str
    overlay: IPAddress
    address: str
    endpoint: str
    failed: bool

    @property
    def echo(self) -> Echo:
        """A small packet through the tunnel."""
        return Echo(self.overlay)


async def check_tunnels(case: Case) -> list[Finding]:
    """Send something to every peer, since without traffic there is no handshake."""
    if case.status is None or case.wireguard is None:
        return [unknown("tunnels", "nobody tells who the peers are")]
    before = case.wireguard.peers
    tunnels = tunnels_of(case.status, before)
    if not tunnels:
        return [ok("tunnels", "no peers yet")]
    try:
        reached = await _try(tunnels, case.settings.cluster_port)
        after = (await read_wireguard(case.interface)).peers
    except (OSError, CommandError) as error:
        return [unknown("tunnels", f"cannot try the tunnels: {error}", "run this as root")]
    findings = [
        finding for tunnel in tunnels for finding in judge(tunnel, tunnel in reached, before, after)
    ]
    live = [tunnel for tunnel in tunnels if not tunnel.failed]
    good = [ok("tunnels", f"{counted(len(live), 'live member')} reached through WireGuard")]
    paths = [Path(one.member, one.overlay, one.address) for one in tunnels if one in reached]
    return [*(findings or good), *await check_paths(case, paths)]


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
        )
        for member in status["members"]
        if member["peer"] and not member["reason"] and member["public_key"] in peers
    ]
    tunnels.sort(key=lambda one: (one.failed, peers[one.public_key].latest_handshake))
    return tunnels[:MAX_MEMBERS]


async def _try(tunnels: list[Tunnel], cluster_port: int) -> set[Tunnel]:
    """Return who answers a ping or, where pings are dropped, minds a TCP connection."""
    failed = [tunnel.echo for tunnel in tunnels if tunnel.failed]
    live = [tunnel.echo for tunnel in tunnels if not tunnel.failed]
    echoes, silent = await asyncio.gather(
        answered(live, SEND_AT, PATIENCE), answered(failed, FAILED_SEND_AT, FAILED_PATIENCE)
    )
    echoes |= silent
    reached = {tunnel for tunnel in tunnels if tunnel.echo in echoes}
    rest = [tunnel for tunnel in tunnels if tunnel not in reached]
    minding = await asyncio.gather(*(_minds(one.overlay, cluster_port) for one in rest))
    return reached | {tunnel for tunnel, minds in zip(rest, minding, strict=True) if minds}


async def _minds(ip: IPAddress, port: int) -> bool:
    """Tell whether a TCP connection is accepted or refused, rather than lost."""
    with suppress(OSError):
        async with asyncio.timeout(1):
            try:
                _, writer = await asyncio.open_connection(str(ip), port)
            except ConnectionRefusedError:
                return True
            writer.close()
            return True
    return False


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
    }
    if tunnel.failed and reached:
        gossip_port = tunnel.address.rpartition(":")[2]
        yield fault("tunnels", problems.ONLY_TUNNEL, **data | {"port": gossip_port})
    if tunnel.failed or reached or now is None:
        return
    age = time.clock_gettime(time.CLOCK_REALTIME) - now.latest_handshake
    if age > SESSION_LIFE:  # whatever was received are handshakes that it begins in vain
        yield fault("tunnels", problems.NO_HANDSHAKE, **data)
    elif now.received <= earlier.received:
        yield fault("tunnels", problems.SILENT_TUNNEL, ago=lasting(age), **data)
