"""WireGuard's own side of the interface: its keys, `wg show`, one `wg set`, and handshakes."""

import asyncio
import base64
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from ipaddress import ip_network
from itertools import islice
from pathlib import Path

from wesher.base.addresses import Address
from wesher.base.errors import CommandError
from wesher.base.frozen import EMPTY, frozen
from wesher.mesh.base.plan import NO_KEY, IPAddress, IPNetwork
from wesher.system.shell import patiently, place_of, run

GREET_FIRST, GREET_SECOND = 0.25, 0.5  # seconds: longer than a handshake takes to be heard of
MOST_GREETED = 200  # of new peers: the others greet us, and many dead ones block wireguard-go
BATCH, PAUSE = 16, 0.02  # so many, and seconds: a burst of handshakes would delay other packets
DISCARD = 9  # port; nobody needs to listen there (RFC 863)
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_KEY_LENGTH = 32  # bytes
OVERHEAD = {4: 60, 6: 80}
"""Bytes that WireGuard and the underlay's IP, by its version, put around a packet."""
_BASE_POINT = bytes([9, *bytes(_KEY_LENGTH - 1)])  # of Curve25519
_SESSION_LIFE = 180  # seconds without a new handshake (WireGuard paper, section 6.1)


@frozen(hidden=("preshared_key",))
class PeerState:
    """One peer as the kernel has it.

    `latest_handshake` is in seconds since the epoch, 0 for never; `received` and `sent` in bytes;
    `preshared_key` in base64, or NO_KEY.
    """

    endpoint: Address | None
    allowed_ips: frozenset[IPNetwork]
    keepalive: int = 0
    latest_handshake: int = 0
    received: int = 0
    sent: int = 0
    preshared_key: str = NO_KEY

    def has_session(self, now: float) -> bool:
        """Tell whether packets flow at the moment, so that the endpoint must be a good one."""
        return now - self.latest_handshake < _SESSION_LIFE


@frozen(hidden=("private_key",))
class WireGuardState:
    """What `wg show NAME dump` tells."""

    private_key: str | None = None
    listen_port: int = 0
    peers: Mapping[str, PeerState] = EMPTY

    @property
    def blank(self) -> bool:
        """Tell whether nobody has used the interface yet."""
        return self.private_key is None and not self.peers


@patiently
async def read_wireguard(name: str) -> WireGuardState:
    """Read key, port and peers; CommandError when `name` is no WireGuard interface."""
    return parse_dump(await run("wg", "show", name, "dump"))


async def wg_set(
    name: str,
    *words: str,
    peers: Mapping[str, Sequence[str]] = EMPTY,
    private_key: str | None = None,
    preshared_keys: Mapping[str, str] = EMPTY,
) -> None:
    """Change interface and peers in one `wg set`, leaving every other session alone.

    `peers` are the words for each; after them it gets its preshared key, if it is among these.
    """
    ours = () if private_key is None else ("private-key", "/dev/stdin")
    arguments, files = [*ours, *words], list[str]()
    for key, of_peer in peers.items():
        arguments += of_peer
        preshared_key = preshared_keys.get(key)
        if preshared_key == NO_KEY:
            arguments += ("preshared-key", "/dev/null")
        elif preshared_key is not None:
            arguments += ("preshared-key", place_of(len(files)))
            files.append(preshared_key)
    await run("wg", "set", name, *arguments, stdin=private_key, files=files)


def is_userspace(name: str) -> bool:
    """Tell whether a wireguard-go serves the interface: `wg` looks for its socket, too."""
    return Path(f"/var/run/wireguard/{name}.sock").exists()


def is_no_wireguard(error: CommandError) -> bool:
    """Tell whether `wg show` said that the interface is of another kind."""
    return "not supported" in error.stderr


def parse_dump(text: str) -> WireGuardState:
    """Parse the output of `wg show NAME dump`: a line with our keys, then a line per peer."""
    try:
        first, *others = text.splitlines()
        private_key, _, listen_port, _ = first.split("\t")
        peers = dict(map(_parse_peer, others))
        return WireGuardState(_unless_none(private_key), int(listen_port), peers)
    except ValueError:
        # The text holds keys: neither it nor the exception may be shown.
        raise CommandError(("wg", "show"), 0, "the answer could not be understood") from None


def _parse_peer(line: str) -> tuple[str, PeerState]:
    key, preshared, endpoint, allowed_ips, handshake, received, sent, keepalive = line.split("\t")
    return key, PeerState(
        endpoint=_endpoint(endpoint),
        allowed_ips=_networks(allowed_ips),
        keepalive=0 if keepalive == "off" else int(keepalive),
        latest_handshake=int(handshake),
        received=int(received),
        sent=int(sent),
        preshared_key=_unless_none(preshared) or NO_KEY,
    )


def _unless_none(word: str) -> str | None:
    return None if word == "(none)" else word


# These repeat from one reading to the next, and parsing addresses is most of the work.
@lru_cache(maxsize=16384)
def _endpoint(word: str) -> Address | None:
    return None if word == "(none)" else Address.parse(word)


@lru_cache(maxsize=16384)
def _networks(words: str) -> frozenset[IPNetwork]:
    if words == "(none)":
        return frozenset()
    return frozenset(ip_network(word) for word in words.split(","))


def generate_private_key() -> str:
    """Return a new private key in base64, as `wg genkey` would: clamped (RFC 7748, 5)."""
    key = bytearray(os.urandom(_KEY_LENGTH))
    key[0] &= 248
    key[-1] = key[-1] & 127 | 64
    return base64.b64encode(key).decode()


def public_key_of(private_key: str) -> str:
    """Return the public key in base64 that belongs to a private one (RFC 7748, 6.1)."""
    # Whoever only reads an interface need not wait for it. The way by `serialization` costs more.
    x25519 = import_module("cryptography.hazmat.primitives.asymmetric.x25519")
    private = x25519.X25519PrivateKey.from_private_bytes(base64.b64decode(private_key))
    base_point = x25519.X25519PublicKey.from_public_bytes(_BASE_POINT)
    return base64.b64encode(private.exchange(base_point)).decode()


# WireGuard begins a handshake with the first packet. One that begins before the peer knows us is
# lost, and tried again 5 s later; so each side sends a packet soon after it is ready. Handshakes
# that cross fail, both: so no side does it at once, when a flow may begin, nor do both at the same
# time.


def greet(interface: str, public_key: str, peers: Mapping[str, IPAddress]) -> None:
    """Send each of these peers, overlay addresses by key, an empty datagram in a moment.

    Of two that greet each other, the one with the smaller key goes first. What is not sent is not
    missed: then it is the first packet of somebody else that begins the handshake.
    """
    some = list(islice(peers.items(), MOST_GREETED))
    first = [ip for key, ip in some if public_key < key]
    second = [ip for key, ip in some if public_key > key]
    for delay, ips in ((GREET_FIRST, first), (GREET_SECOND, second)):
        _send_later(delay, interface, ips)


def greet_at_once(interface: str, ips: Sequence[IPAddress]) -> None:
    """Have sessions begun with peers that were just renewed: until then we take nothing of theirs.

    They know us already, so that nothing is lost, and begin one themselves only by chance just now.
    """
    _send_later(0, interface, ips[:MOST_GREETED])


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
