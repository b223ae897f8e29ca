"""What somebody with the cluster key cannot take from members, and hosts that are reinstalled."""

import base64
import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from tests.testbed.lab.daemons import WESHER, Daemon, Mesh, MeshOf, RecordSeconds, ping
from tests.testbed.lab.gossip_lookup import CLUSTER_PORT
from tests.testbed.lab.netns import Host, wait_for
from tests.testbed.lab.traffic import Flow
from wesher.base.addresses import Address
from wesher.base.frozen import replace
from wesher.gossip import Alive, Keyring, Message, Wire, pack_ip
from wesher.gossip.codec import encode
from wesher.mesh.base.identity import Identity
from wesher.mesh.base.metadata import Metadata, decode_metadata, encode_metadata
from wesher.mesh.base.seniority import TOGETHER
from wesher.mesh.base.signing import sign_metadata
from wesher.system.wireguard import generate_private_key, public_key_of

VERSIONS = bytes([1, 5, 2, 0, 0, 0])
HIGHEST = 2**32 - 2


class Thief:
    """A host with the cluster key and an identity of its own, which says what it likes to all."""

    def __init__(self, mesh: Mesh, host: Host, victims: list[Daemon]) -> None:
        keyring = Keyring(base64.b64decode(mesh.key))
        self.host = host
        self.identity = Identity(os.urandom(32))
        self.key = public_key_of(generate_private_key())
        self._wire = Wire(keyring, lambda: os.urandom(12))
        self._socket = host.socket(socket.SOCK_DGRAM)
        self._targets = [(daemon.host.address, CLUSTER_PORT) for daemon in victims]

    def close(self) -> None:
        self._socket.close()

    @property
    def says_it(self) -> str:
        """Where its packets come from, as a warning names it."""
        return f"{self.host.address}:{self._socket.getsockname()[1]}"

    def say(self, message: Message) -> None:
        packet = self._wire.seal_packet([encode(message)], checksum=False)
        for target in self._targets:
            self._socket.sendto(packet, target)

    def claim(
        self,
        name: str,
        ip: str,
        incarnation: int,
        metadata: Metadata,
        *,
        signs: bool = True,
    ) -> None:
        """Announce a member; without a signature, as one of the original."""
        told = replace(metadata, identity=None, has_ext=signs)
        if signs:
            told = replace(told, identity=self.identity.public_key)
        meta = encode_metadata(told, "current")
        if signs:
            meta = sign_metadata(meta, self.identity, name, Address(ip, CLUSTER_PORT))
        self.say(Alive(incarnation, name, pack_ip(ip), CLUSTER_PORT, meta, VERSIONS))


def formed(mesh_of: MeshOf, *flags: str) -> tuple[Mesh, list[Daemon], Thief]:
    """Return three members that talk with each other, and somebody on a fourth host."""
    mesh = mesh_of(4)
    daemons = mesh.daemons[:3]
    for daemon in daemons:
        mesh.start_one(daemon, "--timing=local", "--log-level=info", *flags)
    mesh.wait_until_complete(60, daemons)
    for daemon in daemons[1:]:
        assert ping(daemons[0], daemon.overlay_address() or "", 60)
    assert ping(daemons[2], daemons[1].overlay_address() or "", 60)
    return mesh, daemons, Thief(mesh, mesh.lab.hosts[3], daemons)


@pytest.fixture
def attacked(mesh_of: MeshOf) -> Iterator[tuple[Mesh, list[Daemon], Thief]]:
    found = formed(mesh_of)
    yield found
    found[2].close()


def true_record(mesh: Mesh, of: Daemon, by: Daemon) -> tuple[int, Metadata]:
    record = mesh.look(by)[of.host.name]
    assert record.meta
    return record.incarnation, decode_metadata(record.meta)


def test_nothing_that_a_thief_says_costs_a_flow_a_packet(
    attacked: tuple[Mesh, list[Daemon], Thief],
) -> None:
    mesh, daemons, thief = attacked
    one, victim, three = daemons
    name, ip = victim.host.name, victim.host.address
    incarnation, true = true_record(mesh, victim, one)
    evil = replace(true, public_key=thief.key, immovable=True, kept=True)
    free = replace(evil, overlay_addr=ip_address("10.66.66.66"))
    time.sleep(TOGETHER)

    with Flow(one, victim) as to, Flow(three, victim, port=9001) as also, Flow(victim, one) as back:
        for above in (incarnation + 1, HIGHEST):
            thief.claim(name, ip, above, evil)
            thief.claim(name, thief.host.address, above, evil)
            thief.claim(name, ip, above, evil, signs=False)
        thief.claim(name.upper(), thief.host.address, 1, free)
        thief.claim("aaa", thief.host.address, 1, evil)
        thief.claim("aab", thief.host.address, 1, evil, signs=False)
        thief.claim("aac", thief.host.address, 1, replace(free, public_key=true.public_key))
        thief.claim("aad", ip, 1, free)
        thief.claim("aae", str(true.overlay_addr), 1, free)
        time.sleep(3)

    assert to.sent > 200
    assert (to.lost(), also.lost(), back.lost()) == ([], [], [])
    for daemon in daemons:
        told = [line for line in daemon.log().splitlines() if thief.says_it in line]
        assert any(name in line for line in told), daemon.log()
        assert daemon is victim or any(thief.identity.fingerprint in line for line in told)
    assert true.public_key in one.peers()
    assert one.hosts_lines()[name] == str(true.overlay_addr)
    wait_for(lambda: all(_is_forgotten(thief, daemon) for daemon in daemons), 40, "a clean file")
    assert victim.host.name in one.state_file.read_text()


def _is_forgotten(thief: Thief, daemon: Daemon) -> bool:
    """Tell whether nothing of a thief is in the state file of a member."""
    saved = daemon.state_file.read_text()
    nodes = json.loads(saved)["Nodes"]
    meta = b"".join(base64.b64decode(node["Meta"] or "") for node in nodes)
    return thief.key.encode() not in meta and thief.host.address not in saved


@pytest.mark.parametrize("trust", ["live", "pinned"])
def test_a_reinstalled_host_is_let_in(
    mesh_of: MeshOf, trust: str, record_seconds: RecordSeconds
) -> None:
    """Its disk and its interface are new; under `pinned` an operator has to say that it may."""
    mesh, (one, victim, three), thief = formed(mesh_of, f"--trust={trust}")
    thief.close()
    name = victim.host.name
    victim.stop(signal.SIGKILL)
    victim.host.run("ip", "link", "del", victim.interface)
    for daemon in (one, three):
        wait_for(lambda log=daemon.log: f"member {name} failed" in log(), 60, "it to fail")
    shutil.rmtree(victim.state)

    started = time.monotonic()
    mesh.start_one(victim, "--timing=local", "--log-level=info", f"--trust={trust}")
    if trust == "pinned":
        wait_for(lambda: f"`wesher trust {name}`" in one.log(), 20, "the command to run")
        time.sleep(1)
        assert not any(_has_new_key(daemon, victim) for daemon in (one, three))
        started = time.monotonic()
        assert name in one.host.run(*WESHER, "trust", name)
    wait_for(lambda: all(_has_new_key(daemon, victim) for daemon in (one, three)), 20, "peers")
    record_seconds(f"let a reinstalled host in, {trust}", time.monotonic() - started, 4)
    identity = json.loads(victim.host.run(*WESHER, "status", "--json"))["node"]["identity"]
    for daemon in (one, three):
        assert ping(daemon, victim.overlay_address() or "", 5)
        assert f"{name} is the identity {identity} now" in daemon.log()


def _has_new_key(daemon: Daemon, victim: Daemon) -> bool:
    """Tell whether a member is a peer with the key that its interface has."""
    public = victim.host.run("wg", "show", victim.interface, "public-key", check=False).strip()
    return bool(public) and public in daemon.peers()
