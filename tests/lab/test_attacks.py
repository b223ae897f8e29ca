"""What somebody who holds the cluster key cannot take from members that are there."""

import base64
import os
import socket

import pytest

from tests.lab.daemons import Daemon, Mesh, ping
from tests.lab.looking import CLUSTER_PORT
from tests.lab.netns import Host, wait_for
from wesher.gossip import Alive, Dead, Keyring, Message, Suspect, Wire, pack_ip
from wesher.gossip.codec import encode
from wesher.mesh.metadata import Metadata, decode_metadata, encode_metadata
from wesher.system.wireguard_keys import generate_private_key, public_key_of

VERSIONS = bytes([1, 5, 2, 0, 0, 0])
HIGHEST = 2**32 - 2


class Insider:
    """A host with the cluster key that says what it likes to all members."""

    def __init__(self, mesh: Mesh, host: Host, victims: list[Daemon]) -> None:
        keyring = Keyring(base64.b64decode(mesh.key))
        self._wire = Wire(keyring, lambda: os.urandom(12), compress_packets=False)
        self._socket = host.socket(socket.SOCK_DGRAM)
        self._targets = [(daemon.host.address, CLUSTER_PORT) for daemon in victims]

    def say(self, message: Message) -> None:
        packet = self._wire.seal_packet([encode(message)], checksum=False)
        for target in self._targets:
            self._socket.sendto(packet, target)


@pytest.fixture
def attacked(mesh_of) -> tuple[Mesh, Insider]:
    """Three members that see each other, and an insider on a fourth host."""
    mesh = mesh_of(4)
    daemons = mesh.daemons[:3]
    for daemon in daemons:
        mesh.start_one(daemon)
    mesh.wait_until_complete(60, daemons)
    wait_for(lambda: ping(daemons[0], daemons[1].overlay_address(), 1), 60, "the first traffic")
    return mesh, Insider(mesh, mesh.lab.hosts[3], daemons)


@pytest.mark.parametrize("kind", ["alive", "suspect", "left"])
def test_a_forged_number_hijacks_nobody_and_is_not_saved(attacked, kind):
    mesh, insider = attacked
    one, victim, _ = mesh.daemons[:3]
    name = victim.host.name
    record = mesh.look(one)[name]
    true = decode_metadata(record.meta)
    evil = public_key_of(generate_private_key())
    meta = encode_metadata(Metadata(true.overlay_addr, evil, version="1", has_ext=True), "current")
    forged = {
        "alive": Alive(HIGHEST, name, pack_ip(victim.host.address), CLUSTER_PORT, meta, VERSIONS),
        "suspect": Suspect(HIGHEST, name, one.host.name),
        "left": Dead(HIGHEST, name, name),
    }[kind]
    before = one.peers()

    insider.say(forged)
    told = f"{name} is at incarnation {HIGHEST}"
    wait_for(lambda: all(told in daemon.log() for daemon in mesh.daemons[:3]), 10, "warnings")

    assert one.peers().keys() == before.keys()
    assert ping(one, str(true.overlay_addr), 5)
    assert mesh.look(one)[name].incarnation < 100
    assert victim.stop() == 0
    assert str(HIGHEST) not in victim.state_file.read_text()
    mesh.start_one(victim)
    mesh.wait_until_complete(10, mesh.daemons[:3])
