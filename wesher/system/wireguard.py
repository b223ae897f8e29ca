"""WireGuard's own side of the interface: read it with `wg show`, change it with one `wg set`."""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path

from wesher.base.errors import CommandError
from wesher.base.frozen import EMPTY, frozen
from wesher.mesh.base.plan import Endpoint, IPNetwork
from wesher.system.shell import patiently, run

_SESSION_LIFE = 180  # seconds without a new handshake (WireGuard paper, section 6.1)


@frozen
class PeerState:
    """One peer as the kernel has it.

    `latest_handshake` is in seconds since the epoch, 0 for never; `received` and `sent` in bytes.
    """

    endpoint: Endpoint | None
    allowed_ips: frozenset[IPNetwork]
    keepalive: int = 0
    latest_handshake: int = 0
    received: int = 0
    sent: int = 0

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


async def wg_set(name: str, *words: str, private_key: str | None = None) -> None:
    """Change interface and peers in one `wg set`, leaving every other session alone."""
    if private_key is not None:
        words = ("private-key", "/dev/stdin", *words)
    await run("wg", "set", name, *words, stdin=private_key)


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
        # The text holds the private key: neither it nor the exception may be shown.
        raise CommandError(("wg", "show"), 0, "the answer could not be understood") from None


def _parse_peer(line: str) -> tuple[str, PeerState]:
    key, _, endpoint, allowed_ips, handshake, received, sent, keepalive = line.split("\t")
    return key, PeerState(
        endpoint=_endpoint(endpoint),
        allowed_ips=_networks(allowed_ips),
        keepalive=0 if keepalive == "off" else int(keepalive),
        latest_handshake=int(handshake),
        received=int(received),
        sent=int(sent),
    )


def _unless_none(word: str) -> str | None:
    return None if word == "(none)" else word


# These repeat from one reading to the next, and parsing addresses is most of the work.
@lru_cache(maxsize=16384)
def _endpoint(word: str) -> Endpoint | None:
    return None if word == "(none)" else Endpoint.parse(word)


@lru_cache(maxsize=16384)
def _networks(words: str) -> frozenset[IPNetwork]:
    if words == "(none)":
        return frozenset()
    return frozenset(ip_network(word) for word in words.split(","))
