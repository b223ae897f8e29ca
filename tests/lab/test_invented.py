"""Members that somebody with the cluster key makes up; `scripts/bench crowd` has 20,000 of them."""

import base64
import time

from tests.testbed.lab.daemons import MeshOf
from tests.testbed.lab.inventing import attack


def test_invented_members_are_no_peers_and_keep_nobody_out(mesh_of: MeshOf) -> None:
    mesh = mesh_of(4)
    seed, other, newcomer = mesh.daemons[:3]
    for daemon in (seed, other):
        mesh.start_one(daemon)
    mesh.wait_until_complete(60, [seed, other])

    attack(mesh.lab.hosts[3], seed.host, base64.b64decode(mesh.key), 2000, streams=1)
    mesh.start_one(newcomer)
    mesh.wait_until_complete(60, [seed, other, newcomer])

    began = time.monotonic()
    status = seed.host.run(*seed.command, "status")
    assert time.monotonic() - began < 3
    assert "invented" not in status
    assert "2000 more came in a crowd and have not answered us" in status
    assert mesh.look(newcomer).keys() == {daemon.host.name for daemon in mesh.daemons[:3]}
    assert len(seed.peers()) == 2
