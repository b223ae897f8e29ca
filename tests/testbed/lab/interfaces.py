"""What `wg show` tells about a host's WireGuard interface, read cheaply enough to poll."""

import base64
import socket
from dataclasses import dataclass, field

from tests.testbed.lab.netns import Host


@dataclass(frozen=True)
class SeenPeer:
    """One peer as WireGuard has it; the handshake is in seconds since 1970, 0 for never.

    `preshared_key` is empty for none.
    """

    endpoint: str
    allowed_ips: frozenset[str]
    handshake: int
    preshared_key: bytes = field(default=b"", repr=False)


def seen_peers(host: Host, interface: str, *, kernel: bool) -> dict[str, SeenPeer]:
    """Map public keys to peers; empty when there is no such interface.

    A userspace device is asked the way `wg` does it, without starting a process for it.
    """
    if kernel:
        return _parse_dump(host.run("wg", "show", interface, "dump", check=False))
    return _parse_answer(_ask(str(host.path(f"/run/wireguard/{interface}.sock"))))


def secret_keys(host: Host) -> list[bytes]:
    """The private and preshared keys of all the host's interfaces, which no test may ever show."""
    sockets = list(host.path("/run/wireguard").glob("*.sock"))
    if not sockets:
        listed = host.run("wg", "show", "all", "private-key", check=False).split()[1::2]
        listed += host.run("wg", "show", "all", "preshared-keys", check=False).split()[2::3]
        return [base64.b64decode(key) for key in listed if key != "(none)"]
    lines = [line for one in sockets for line in _ask(str(one)).splitlines()]
    found = [
        line.partition("=")[2] for line in lines if line.startswith(("private_", "preshared_"))
    ]
    return [bytes.fromhex(key) for key in found]


def _ask(path: str) -> str:
    with socket.socket(socket.AF_UNIX) as device:
        device.settimeout(5)
        try:
            device.connect(path)
            device.sendall(b"get=1\n\n")
            answer = b""
            while not answer.endswith(b"\n\n"):
                if not (part := device.recv(1 << 20)):
                    return ""
                answer += part
        except (FileNotFoundError, ConnectionError):
            return ""
    return answer.decode()


def _parse_answer(answer: str) -> dict[str, SeenPeer]:
    peers: dict[str, SeenPeer] = {}
    for block in answer.split("public_key=")[1:]:
        key, _, rest = block.partition("\n")
        pairs = [line.partition("=")[::2] for line in rest.splitlines()]
        fields = dict(pairs)
        peers[base64.b64encode(bytes.fromhex(key)).decode()] = SeenPeer(
            fields.get("endpoint", "(none)"),
            frozenset(value for name, value in pairs if name == "allowed_ip"),
            int(fields.get("last_handshake_time_sec", 0)),
            _unless_zero(fields.get("preshared_key", "")),
        )
    return peers


def _unless_zero(key: str) -> bytes:
    """Return a key, none if all of it is zero, as wireguard-go tells it."""
    return bytes.fromhex(key) if key.strip("0") else b""


def _parse_dump(dump: str) -> dict[str, SeenPeer]:
    peers = {}
    for line in dump.splitlines()[1:]:
        key, preshared, endpoint, allowed_ips, handshake, *_ = line.split("\t")
        networks = frozenset(allowed_ips.split(",")) - {"(none)"}
        secret = b"" if preshared == "(none)" else base64.b64decode(preshared)
        peers[key] = SeenPeer(endpoint, networks, int(handshake), secret)
    return peers
