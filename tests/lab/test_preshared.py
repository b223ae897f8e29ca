"""Real tunnels have a preshared key, without which what was recorded does not open."""

import base64
import signal
import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address

import pytest
from cryptography.exceptions import InvalidTag

from tests.testbed.lab.daemons import Daemon, Mesh, MeshOf, new_key, ping
from tests.testbed.lab.netns import wait_for
from tests.testbed.lab.noise import NO_PRESHARED_KEY, Initiator, listen, public_of
from tests.testbed.lab.traffic import Flow, echo_request, overlay_address
from wesher.mesh.planning.preshared_keys import derive

NAME = "wgoverlay"
PORT = 51820
SAID = b"what one host says to the other"
Privates = tuple[bytes, bytes]
"""The WireGuard private keys of two members, the one that begins first."""


# What a recording is worth


@dataclass
class Recorded:
    """What a listener saw: a handshake of two members, and what the second one sent after it.

    `ephemeral` is what only breaking the curve tells: the first one's private key of this
    handshake.
    """

    initiation: bytes
    response: bytes
    data: bytes
    ephemeral: bytes

    def opened(self, privates: Privates, preshared: bytes) -> bytes:
        """Return the packet in the data; raises InvalidTag."""
        session = listen(
            self.initiation,
            self.response,
            privates=privates,
            ephemeral=self.ephemeral,
            preshared=preshared,
        )
        return session.open_to_initiator(self.data)


def test_who_breaks_the_curve_lacks_the_preshared_key(mesh_of: MeshOf) -> None:
    """Nobody can break it, so the test plays one of the two against the other's real WireGuard.

    It has the private keys of both, and of the handshake the ephemeral one of its own side: with
    these and what was sent it has all that the curve hides.
    """
    mesh = started(mesh_of(2))
    one, two = mesh.daemons
    privates = private_key(one), private_key(two)
    preshared = derived(mesh.key, privates)
    assert preshared_keys(one) == preshared_keys(two) == {preshared}
    here, there = overlay_address(one), overlay_address(two)
    one.process.signal(signal.SIGKILL)
    one.process.wait(10)
    one.host.run("ip", "link", "del", NAME)

    recorded = converse(one, two, privates, preshared, echo(here, there))

    assert SAID in recorded.opened(privates, preshared)
    for other in (NO_PRESHARED_KEY, derived(new_key(), privates)):
        with pytest.raises(InvalidTag):
            recorded.opened(privates, other)

    # The listener has all that it needs where there is no preshared key.
    configure(two, mesh.key, psk="off")
    wait_for(lambda: preshared_keys(two) == {b""}, 10, "the preshared key to go")
    recorded = converse(one, two, privates, NO_PRESHARED_KEY, echo(here, there))
    assert SAID in recorded.opened(privates, NO_PRESHARED_KEY)


def converse(
    one: Daemon, two: Daemon, privates: Privates, preshared: bytes, packet: bytes
) -> Recorded:
    """Be the WireGuard of one host: send a packet to the other; return what could be recorded."""
    player = Initiator(privates[0], public_of(privates[1]), preshared)
    with one.host.socket(socket.SOCK_DGRAM) as line:
        line.bind((one.host.address, PORT))
        line.settimeout(5)
        line.connect((two.host.address, PORT))
        initiation = player.initiation()
        line.send(initiation)
        response = receive(line, 2)
        index, session = player.finish(response)
        line.send(session.data_to_responder(index, 0, packet))
        return Recorded(initiation, response, receive(line, 4), player.ephemeral)


def receive(line: socket.socket, kind: int) -> bytes:
    """Return the next packet of a kind; a keepalive is none with content."""
    while True:
        data = line.recv(2048)
        if data[0] == kind and (kind != 4 or len(data) > 32):
            return data


def echo(source: str, target: str) -> bytes:
    """Return an IPv4 packet that asks for its content to be sent back (RFC 791, RFC 792)."""
    content = echo_request(1, SAID)
    head = struct.pack(
        ">BBHHHBBH4s4s",
        *(0x45, 0, 20 + len(content), 0, 0, 64, socket.IPPROTO_ICMP, 0),
        *(ip_address(source).packed, ip_address(target).packed),
    )
    return head[:10] + checksum(head) + head[12:] + content


def checksum(data: bytes) -> bytes:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF)


# Changes under traffic


def test_switching_and_changing_them_loses_no_packet(mesh_of: MeshOf) -> None:
    """The third host has none, as one that runs the original."""
    mesh = started(mesh_of(3), {2: "off"})
    one, two, three = mesh.daemons
    new = new_key()
    privates = private_key(one), private_key(two)
    before, after = derived(mesh.key, privates), derived(new, privates)
    assert preshared_keys(one) == preshared_keys(two) == {before, b""}

    with Flow(one, two) as first, Flow(two, three, port=9001) as second:
        for *keys, then in ((mesh.key, new, before), (new, mesh.key, after), (new, after)):
            for daemon in mesh.daemons:
                configure(daemon, *keys, psk="off" if daemon is three else "on")
            wait_until_both_have(one, two, then)
        for psk, then in (("off", b""), ("on", after)):
            configure(one, new, psk=psk)
            wait_until_both_have(one, two, then)

    assert (first.lost(), second.lost()) == ([], [])
    assert first.sent > 50
    assert preshared_keys(three) == {b""}
    renew_session(one, two)
    renew_session(one, three)
    for daemon in mesh.daemons:
        assert "failed" not in daemon.log()


def wait_until_both_have(one: Daemon, two: Daemon, preshared: bytes) -> None:
    """Return once the two have this preshared key for each other, and none for the third host."""
    wanted = {preshared, b""}
    wait_for(
        lambda: preshared_keys(one) == preshared_keys(two) == wanted, 10, "another preshared key"
    )


def renew_session(one: Daemon, two: Daemon) -> None:
    """Have the two shake hands anew with what they have set."""
    key = public_key(two)
    peer = one.peers()[key]
    anew = ("endpoint", peer.endpoint, "allowed-ips", ",".join(peer.allowed_ips))
    preshared = base64.b64encode(peer.preshared_key).decode()
    secret = ("preshared-key", "/dev/stdin" if preshared else "/dev/null")
    words = ("peer", key, "remove", "peer", key, *anew, *secret)
    one.host.run("wg", "set", NAME, *words, stdin=preshared)
    assert one.peers()[key].handshake == 0

    assert ping(one, two.host.name)

    assert one.peers()[key].handshake > 0


# The hosts


def started(mesh: Mesh, psk: dict[int, str] | None = None) -> Mesh:
    """Start all, configured by files, and wait until packets flow."""
    for number, daemon in enumerate(mesh.daemons):
        write(daemon, mesh.key, psk=(psk or {}).get(number, "on"))
        join = [] if daemon is mesh.seed else ["--join", mesh.seed.host.address]
        daemon.start("--config", str(file_of(daemon)), "--timing=local", *join)
    mesh.settle()
    for daemon in mesh.daemons[1:]:
        assert ping(mesh.seed, daemon.host.name)
        assert ping(mesh.daemons[1], mesh.daemons[-1].host.name)
    return mesh


def file_of(daemon: Daemon) -> str:
    return str(daemon.host.directory / "wesher.toml")


def write(daemon: Daemon, *keys: str, psk: str) -> None:
    file = daemon.host.directory / "wesher.toml"
    file.write_text(f"cluster-key = {list(keys)}\npsk = '{psk}'\n")
    file.chmod(0o600)


def configure(daemon: Daemon, *keys: str, psk: str) -> None:
    """Let an agent take another configuration."""
    write(daemon, *keys, psk=psk)
    assert "changed at once" in daemon.host.run(*daemon.command, "reload")


def private_key(daemon: Daemon) -> bytes:
    return base64.b64decode(daemon.host.run("wg", "show", NAME, "private-key"))


def public_key(daemon: Daemon) -> str:
    return daemon.host.run("wg", "show", NAME, "public-key").strip()


def preshared_keys(daemon: Daemon) -> set[bytes]:
    return {peer.preshared_key for peer in daemon.peers().values()}


def derived(cluster_key: str, privates: Privates) -> bytes:
    pair = [base64.b64encode(public_of(static)).decode() for static in privates]
    return base64.b64decode(derive(base64.b64decode(cluster_key), *pair))
