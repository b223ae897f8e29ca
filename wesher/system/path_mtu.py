"""How large a packet to a peer may be, by what the route to where it is carries.

A packet inside a tunnel is wrapped up: WireGuard and the underlay's IP take 60 or 80 bytes. What is
larger than the route then carries is split or lost. So the route to a peer behind a narrower link
(PPPoE, another tunnel) gets an MTU of its own, and nobody else has to send smaller packets for it.
The kernel tells what a route carries to whoever connects a UDP socket: nothing is sent for that, no
process is needed, and 1,000 routes take 5 ms. It also tells of a path that it has found narrower
than its route, by ICMP; nothing here tries to find that out.
"""

import socket
from collections.abc import Callable
from contextlib import suppress

from wesher.mesh.base.plan import Plan
from wesher.system.wireguard import OVERHEAD, WireGuardState

_DISCARD = 9  # a port (RFC 863); nothing is sent there
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_MTU = {
    4: (socket.IPPROTO_IP, 14),
    6: (socket.IPPROTO_IPV6, 24),
}  # IP_MTU, IPV6_MTU: ip(7), ipv6(7)


def route_mtu(target: str) -> int | None:
    """Return how large packets to an IP address may be, in bytes; None if no route leads there."""
    version = _version(target)
    with suppress(OSError), socket.socket(_FAMILIES[version], socket.SOCK_DGRAM) as asking:
        asking.connect((target, _DISCARD))
        return asking.getsockopt(*_MTU[version])
    return None


def tunnel_mtus(
    plan: Plan, state: WireGuardState, ask: Callable[[str], int | None] = route_mtu
) -> dict[str, int]:
    """Return how large packets inside the tunnel to a peer may be, by key, as far as is known.

    That is by the endpoint that it has now, wherever it was announced.
    """
    routes: dict[str, int | None] = {}
    found = {}
    for key, peer in plan.peers.items():
        current = state.peers.get(key)
        ip = ((current.endpoint if current else None) or peer.endpoint).ip
        if ip not in routes:
            routes[ip] = ask(ip)
        if (mtu := routes[ip]) is not None:
            found[key] = mtu - OVERHEAD[_version(ip)]
    return found


def _version(ip: str) -> int:
    return 6 if ":" in ip else 4
