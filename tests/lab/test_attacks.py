"""What somebody who holds the cluster key cannot take from members that are there."""

import base64
import os
import socket
import time
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from tests.testbed.lab.daemons import Daemon, Mesh, MeshOf, RecordSeconds, ping
from tests.testbed.lab.gossip_lookup import CLUSTER_PORT
from tests.testbed.lab.netns import Host, wait_for
from wesher.gossip import Alive, Dead, Keyring, Message, Suspect, Wire, pack_ip
from wesher.gossip.codec import encode
from wesher.mesh.base.metadata import Metadata, decode_metadata, encode_metadata
from wesher.mesh.base.seniority import TOGETHER
from wesher.system.wireguard import generate_private_key, public_key_of

VERSIONS = bytes([1, 5, 2, 0, 0, 0])
HIGHEST = 2**32 - 2


class Insider:
    """A host with the cluster key that says what it likes to all members."""

    def __init__(self, mesh: Mesh, host: Host, victims: list[Daemon]) -> None:
        keyring = Keyring(base64.b64decode(mesh.key))
        self._wire = Wire(keyring, lambda: os.urandom(12))
        self._socket = host.socket(socket.SOCK_DGRAM)
        self._targets = [(daemon.host.address, CLUSTER_PORT) for daemon in victims]

    def close(self) -> None:
        self._socket.close()

    def say(self, message: Message) -> None:
        packet = self._wire.seal_packet([encode(message)], checksum=False)
        for target in self._targets:
            self._socket.sendto(packet, target)


@pytest.fixture
def attacked(mesh_of: MeshOf) -> Iterator[tuple[Mesh, Insider]]:
    """Three members that see each other, and an insider on a fourth host."""
    mesh = mesh_of(4)
    daemons = mesh.daemons[:3]
    for daemon in daemons:
        mesh.start_one(daemon)
    mesh.wait_until_complete(60, daemons)
    wait_for(
        lambda: ping(daemons[0], daemons[1].overlay_address() or "", 1), 60, "the first traffic"
    )
    insider = Insider(mesh, mesh.lab.hosts[3], daemons)
    yield mesh, insider
    insider.close()


@pytest.mark.parametrize("kind", ["alive", "suspect", "left"])
def test_a_forged_number_hijacks_nobody_and_is_not_saved(
    attacked: tuple[Mesh, Insider], kind: str
) -> None:
    mesh, insider = attacked
    one, victim, _ = mesh.daemons[:3]
    name = victim.host.name
    record = mesh.look(one)[name]
    assert record.meta
    true = decode_metadata(record.meta)
    evil = public_key_of(generate_private_key())
    meta = encode_metadata(Metadata(true.overlay_addr, evil, version="1", has_ext=True), "current")
    claims: dict[str, Message] = {
        "alive": Alive(HIGHEST, name, pack_ip(victim.host.address), CLUSTER_PORT, meta, VERSIONS),
        "suspect": Suspect(HIGHEST, name, one.host.name),
        "left": Dead(HIGHEST, name, name),
    }
    before = one.peers()

    insider.say(claims[kind])
    told = f"{name} is at incarnation {HIGHEST}"
    wait_for(lambda: all(told in daemon.log() for daemon in mesh.daemons[:3]), 10, "warnings")

    assert one.peers().keys() == before.keys()
    assert ping(one, str(true.overlay_addr), 5)
    assert mesh.look(one)[name].incarnation < 100
    assert victim.stop() == 0
    assert str(HIGHEST) not in victim.state_file.read_text()
    mesh.start_one(victim)
    mesh.wait_until_complete(10, mesh.daemons[:3])


@pytest.mark.parametrize("stolen", ["key", "address", "name"])
def test_a_newcomer_takes_nothing_from_a_member_that_is_there(
    attacked: tuple[Mesh, Insider], stolen: str
) -> None:
    """It claims the key, the overlay address or the name (in capitals) of one that has it."""
    mesh, insider = attacked
    one, victim, third = mesh.daemons[:3]
    record = mesh.look(one)[victim.host.name]
    assert record.meta
    true = decode_metadata(record.meta)
    time.sleep(TOGETHER)
    meta = Metadata(
        true.overlay_addr if stolen == "address" else ip_address("10.66.66.66"),
        true.public_key if stolen == "key" else public_key_of(generate_private_key()),
        immovable=True,
        kept=True,
        version="1",
        has_ext=True,
    )
    name = victim.host.name.upper() if stolen == "name" else "aaa"
    claim = Alive(
        1, name, pack_ip(mesh.lab.hosts[3].address), CLUSTER_PORT,
        encode_metadata(meta, "current"), VERSIONS,
    )  # fmt: skip

    insider.say(claim)
    wait_for(lambda: all(name in mesh.look(daemon) for daemon in mesh.daemons[:3]), 10, "the claim")
    time.sleep(2)

    for daemon in (one, third):
        assert ping(daemon, str(true.overlay_addr), 5)
        assert daemon.hosts_lines()[victim.host.name] == str(true.overlay_addr)
        assert true.public_key in daemon.peers()
        if stolen != "name":
            assert name in daemon.log()
    assert victim.overlay_address() == str(true.overlay_addr)


def test_an_address_that_a_member_has_is_refused_at_start(attacked: tuple[Mesh, Insider]) -> None:
    mesh, _ = attacked
    victim, newcomer = mesh.daemons[1], mesh.daemons[3]
    had = victim.overlay_address()
    assert had

    newcomer.start(
        "--cluster-key", mesh.key, "--join", mesh.seed.host.address, "--overlay-addr", had
    )

    assert newcomer.exit_status() == 1
    assert f"the overlay address {had} belongs to another live member" in newcomer.log()
    assert victim.host.name in newcomer.log()
    assert victim.overlay_address() == had


def test_silent_connections_from_many_addresses_keep_nobody_out(
    attacked: tuple[Mesh, Insider], record_seconds: RecordSeconds
) -> None:
    mesh, _ = attacked
    attacker, newcomer = mesh.lab.hosts[2], mesh.daemons[3]
    addresses = [f"192.168.77.{number}" for number in range(100, 120)]
    for address in addresses:
        attacker.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
    silent = []
    try:
        for address in addresses * 8:
            silent.append(attacker.socket(socket.SOCK_STREAM))
            silent[-1].settimeout(2)
            silent[-1].bind((address, 0))
            silent[-1].connect((mesh.seed.host.address, CLUSTER_PORT))

        started = time.monotonic()
        mesh.start_one(newcomer)
        wait_for(lambda: mesh.seed.host.name in mesh.look(newcomer), 20, "the newcomer's table")
        wait_for(lambda: len(newcomer.peers()) == 3, 20, "its peers")
        record_seconds("joined beside 160 silent connections", time.monotonic() - started, 10)
    finally:
        for one in silent:
            one.close()
