"""Networks that fall apart and come together again."""

import time

from tests.testbed.lab.daemons import MeshOf, RecordSeconds, ping
from tests.testbed.lab.netns import wait_for
from tests.testbed.lab.partitions import mend, split
from tests.testbed.lab.tables import given_up, hold_alive
from tests.testbed.lab.traffic import Flow


def test_two_halves_that_gave_each_other_up_are_one_mesh_again(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(6)
    near, far = mesh.daemons[:3], mesh.daemons[3:]
    mesh.start("--timing", "local")
    mesh.settle()
    wait_for(lambda: hold_alive(mesh, mesh.daemons), 60, "all to hold all alive")
    peers = [daemon.peers().keys() for daemon in mesh.daemons]

    with Flow(near[0], near[1], rate=20) as flow:
        split(mesh.lab, [daemon.host for daemon in far])
        for half, other in ((near, far), (far, near)):
            wait_for(lambda h=half, o=other: given_up(mesh, o, by=h), 60, "it to be noticed")
        assert not ping(near[0], far[0].host.name, 1)
        assert [daemon.peers().keys() for daemon in mesh.daemons] == peers, "the failed are kept"
        mend(mesh.lab)
        mended = time.monotonic()
        wait_for(lambda: ping(near[0], far[0].host.name, 1), 60, "an answer from the other half")
        record_seconds("packets cross after a partition", time.monotonic() - mended, 5)
        wait_for(lambda: hold_alive(mesh, mesh.daemons), 60, "the reunion")
        record_seconds("reunited after a partition", time.monotonic() - mended, 15)

    assert [daemon.peers().keys() for daemon in mesh.daemons] == peers
    assert len(flow.lost()) <= flow.sent // 20


def test_who_left_behind_a_cut_is_gone_when_it_heals(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(5)
    near, (stays, leaves) = mesh.daemons[:3], mesh.daemons[3:]
    mesh.start("--timing", "local")
    mesh.settle()
    split(mesh.lab, [stays.host, leaves.host])
    # Until then most of its farewells would go to those behind the cut.
    wait_for(lambda: given_up(mesh, near, by=[leaves]), 60, "the cut to be noticed there")

    leaves.stop()
    wait_for(lambda: len(stays.peers()) == 3, 60, "the departure to be known there")
    wait_for(lambda: given_up(mesh, [stays, leaves], by=near), 60, "it to be noticed here")
    assert all(len(daemon.peers()) == 4 for daemon in near), "the failed are kept"
    mend(mesh.lab)
    mended = time.monotonic()
    wait_for(lambda: hold_alive(mesh, [*near, stays]), 60, "the reunion")
    for daemon in near:
        wait_for(lambda daemon=daemon: leaves.host.name not in daemon.hosts_lines(), 60, "its end")
    mesh.wait_until_complete(60, [*near, stays])

    record_seconds("who left behind a cut is gone everywhere", time.monotonic() - mended, 15)
