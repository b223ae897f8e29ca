"""Names in hosts files: those that are there already, and those that differ in case only."""

import base64
import json
import os
import signal
import socket
import time
from ipaddress import ip_address

from tests.testbed.lab.daemons import WESHER, MeshOf, RecordSeconds, ping
from tests.testbed.lab.gossip_lookup import CLUSTER_PORT
from tests.testbed.lab.netns import wait_for
from wesher.gossip import Alive, Keyring, pack_ip
from wesher.gossip.codec import encode
from wesher.mesh.base.metadata import Metadata, encode_metadata
from wesher.mesh.base.seniority import TOGETHER


def test_hosts_in_each_others_hosts_files_form_a_mesh(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(3)
    for daemon in mesh.daemons:
        with daemon.host.path("/etc/hosts").open("a") as file:
            file.writelines(f"{one.host.address} {one.host.name}\n" for one in mesh.daemons)
    *plain, suffixed = mesh.daemons
    seed = mesh.seed.host.name

    for daemon in plain:
        daemon.start("--cluster-key", mesh.key, "--join", seed)
    suffixed.start("--cluster-key", mesh.key, "--join", seed, "--hosts-suffix", "mesh")

    mesh.wait_until_complete(60)
    names = {f"{daemon.host.name}.mesh": daemon.overlay_address() for daemon in plain}
    wait_for(lambda: suffixed.hosts_lines() == names, 30, "names under the suffix")
    assert ping(suffixed, f"{seed}.mesh")
    assert ping(plain[1], str(mesh.seed.overlay_address()))
    for daemon in plain:
        others = [one for one in mesh.daemons if one is not daemon]
        wait_for(lambda d=daemon: d.log().count("on line") == 2, 30, "warnings of both")
        assert all(str(one.overlay_address()) in daemon.log() for one in others)
        assert "is not a peer" not in daemon.log()
        assert daemon.hosts_lines() == {}
    assert suffixed.log() == ""


def test_a_name_in_other_letters_takes_nothing(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(4)
    one, victim, other, attacker = mesh.daemons
    members = (one, victim, other)
    for daemon in members:
        mesh.start_one(daemon)
    mesh.wait_until_complete(60, members)
    name, taken = victim.host.name, victim.host.name.upper()
    for daemon in (one, other):
        wait_for(lambda d=daemon: name in d.hosts_lines(), 30, "the victim's /etc/hosts entry")
    before = one.hosts_lines()[name]

    mesh.start_one(attacker, "--node-name", taken)
    assert attacker.exit_status() == 1
    assert f"the name {name} belongs to another live member" in attacker.log()

    time.sleep(TOGETHER + 1)  # or they would count as having come together
    metadata = Metadata(ip_address("10.200.200.200"), base64.b64encode(b"k" * 32).decode())
    claim = encode_metadata(metadata, "current")
    versions = bytes([1, 5, 2, 0, 0, 0])
    alive = Alive(1, taken, pack_ip(attacker.host.address), CLUSTER_PORT, claim, versions)
    packet = Keyring(base64.b64decode(mesh.key)).seal(encode(alive), b"", os.urandom(12))
    with attacker.host.socket(socket.SOCK_DGRAM) as sender:
        for daemon in members:
            sender.sendto(packet, (daemon.host.address, CLUSTER_PORT))

    for daemon in members:
        wait_for(lambda d=daemon: len(d.peers()) == len(members), 30, "the other to be a peer")
        wait_for(lambda d=daemon: f"is that of {name} but for" in d.log(), 30, "a warning")
        assert taken not in daemon.hosts_lines()
    for daemon in (one, other):
        assert daemon.hosts_lines()[name] == before
    assert f"{taken} is not in the hosts file" in one.host.run(*WESHER, "status")


def test_a_renamed_host_says_so_and_stays_one_member_at_its_next_start(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(3)
    mesh.start()
    mesh.settle()
    one, renamed, other = mesh.daemons
    address, earlier = renamed.overlay_address(), renamed.host.name

    renamed.host.run("hostname", "renamed")
    wait_for(
        lambda: (
            f"this host is named renamed now, and the mesh knows it as {earlier}" in renamed.log()
        ),
        30,
        "the warning",
    )
    assert "`" not in renamed.log()
    doctor = renamed.host.run(*renamed.command, "doctor", check=False)
    assert "this host is named renamed now" in doctor

    renamed.stop(signal.SIGUSR1)
    started = time.monotonic()
    mesh.start_one(renamed)
    names = {"renamed": address, other.host.name: other.overlay_address()}
    wait_for(lambda: one.hosts_lines() == names, 30, "the new name, and not the old one")
    record_seconds("a renamed host is one member again", time.monotonic() - started, 5)

    assert renamed.overlay_address() == address
    assert ping(one, "renamed")
    members = one.host.run(*one.command, "status", "--json")
    left = [m["name"] for m in json.loads(members)["members"] if m["state"] != "alive"]
    assert left in ([], [earlier])
    assert earlier not in one.host.run(*one.command, "members")
