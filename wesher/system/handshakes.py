"""Have WireGuard shake hands with new peers before anybody's packet has to wait for it.

WireGuard begins a handshake with the first packet. One that begins before the peer knows us is
lost, and tried again 5 s later; so each side sends a packet soon after it is ready. Handshakes that
cross fail, both: so no side does it at once, when a flow may begin, nor do both at the same time.
"""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice

from wesher.mesh.base.plan import IPAddress

FIRST, SECOND = 0.25, 0.5  # seconds: longer than it takes to hear of a handshake that has begun
MOST = 200  # of many new peers; the others greet us, and a crowd of dead ones blocks wireguard-go
BATCH, PAUSE = 16, 0.02  # so many, and seconds: a burst of handshakes would delay other packets
DISCARD = 9  # port; nobody needs to listen there (RFC 863)
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


def greet(interface: str, public_key: str, peers: Mapping[str, IPAddress]) -> None:
    """Send each of these peers, overlay addresses by key, an empty datagram in a moment.

    Of two that greet each other, the one with the smaller key goes first. What is not sent is not
    missed: then it is the first packet of somebody else that begins the handshake.
    """
    some = list(islice(peers.items(), MOST))
    first = [ip for key, ip in some if public_key < key]
    second = [ip for key, ip in some if public_key > key]
    for delay, ips in ((FIRST, first), (SECOND, second)):
        _send_later(delay, interface, ips)


def greet_at_once(interface: str, ips: Sequence[IPAddress]) -> None:
    """Have sessions begun with peers that were just renewed: until then we take nothing of theirs.

    They know us already, so that nothing is lost, and begin one themselves only by chance just now.
    """
    _send_later(0, interface, ips[:MOST])


def _send_later(delay: float, interface: str, ips: Sequence[IPAddress]) -> None:
    loop = asyncio.get_running_loop()
    for start in range(0, len(ips), BATCH):
        loop.call_later(delay, _send, interface, ips[start : start + BATCH])
        delay += PAUSE


def _send(interface: str, ips: Sequence[IPAddress]) -> None:
    for ip in ips:
        with suppress(OSError), socket.socket(_FAMILIES[ip.version], socket.SOCK_DGRAM) as sending:
            # Without this it could leave for elsewhere, by a route that hides ours.
            sending.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
            sending.setblocking(False)
            sending.sendto(b"", (str(ip), DISCARD))
