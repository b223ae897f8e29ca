"""How meshes form in unusual ways."""

import time

from tests.testbed.lab.daemons import Daemon, Mesh, MeshOf, RecordSeconds, join_all, ping
from tests.testbed.lab.netns import LabOf, wait_for


def test_everyone_joins_everyone_at_once(mesh_of: MeshOf, record_seconds: RecordSeconds) -> None:
    mesh = mesh_of(6)
    everyone = join_all(mesh.daemons)

    for daemon in mesh.daemons:
        daemon.start("--cluster-key", mesh.key, "--join", everyone)
    started = time.monotonic()
    mesh.wait_until_complete(60)

    record_seconds("everyone joined everyone", time.monotonic() - started, 10)
    for daemon in mesh.daemons:
        wait_for(daemon.overlay_address, 60, f"the address of {daemon.host.name}")
    assert len({daemon.overlay_address() for daemon in mesh.daemons}) == 6


def test_a_seed_that_comes_late_is_found(mesh_of: MeshOf, record_seconds: RecordSeconds) -> None:
    mesh = mesh_of(3)
    for daemon in mesh.daemons[1:]:
        mesh.start_one(daemon)
    time.sleep(12)  # until the others try it only now and then
    assert all(not daemon.peers() for daemon in mesh.daemons[1:])

    mesh.start_one(mesh.seed)
    started = time.monotonic()
    mesh.wait_until_complete(60)

    record_seconds("formed after a late seed", time.monotonic() - started, 35)


def test_two_clusters_share_a_host(lab_of: LabOf, record_seconds: RecordSeconds) -> None:
    lab = lab_of(3)
    shared, left, right = lab.hosts
    first = Mesh(lab, [shared, left])
    second = Mesh(lab, [shared, right])
    second.daemons = [Daemon(lab, host, interface="wgsecond") for host in (shared, right)]
    separate = ["--cluster-port", "7947", "--wireguard-port", "51821"]
    separate += ["--overlay-net", "172.30.0.0/16"]

    started = time.monotonic()
    first.start()
    second.daemons[0].start("--cluster-key", second.key, *separate)
    second.daemons[1].start("--cluster-key", second.key, *separate, "--join", shared.address)
    for mesh in (first, second):
        mesh.wait_until_complete(60)
        mesh.wait_for_hosts_lines(60)

    record_seconds("two clusters formed on one host", time.monotonic() - started, 10)
    assert ping(first.daemons[0], "node2")
    assert ping(second.daemons[0], "node3")
    first.daemons[0].stop()
    assert ping(second.daemons[0], "node3")
    assert second.daemons[0].hosts_lines().keys() == {"node3"}


def test_a_node_cut_off_for_a_while_is_back_soon(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(3)
    mesh.start("--timing", "local")
    mesh.settle()
    one, _, victim = mesh.daemons

    mesh.lab.cut(victim.host)
    time.sleep(15)
    assert len(one.peers()) == 2, "a failed member keeps its peer"
    mesh.lab.heal(victim.host)
    seconds = wait_for(lambda: ping(one, "node3", 1), 60, "node3 to answer")

    record_seconds("reachable after a cut of 15 s", seconds, 10)


def test_newcomers_have_shaken_hands_before_a_packet_has_to_wait(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    """Nothing but the agents sends anything."""
    mesh = mesh_of(4)
    mesh.start()
    started = time.monotonic()
    mesh.wait_until_complete(60)

    for daemon in mesh.daemons:
        wait_for(
            lambda daemon=daemon: all(peer.handshake for peer in daemon.peers().values()),
            60,
            f"{daemon.host.name} to have shaken hands with all",
        )

    record_seconds("everyone shook hands with everyone", time.monotonic() - started, 10)
