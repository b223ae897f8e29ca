"""What an operator must be told: the mistakes that keep nodes apart."""

import re

from tests.testbed.lab.daemons import Daemon, MeshOf, RecordSeconds, new_key
from tests.testbed.lab.netns import wait_for


def test_a_wrong_cluster_key_is_a_warning_where_it_was_given(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    one, stranger = mesh_of(2).daemons
    one.start("--cluster-key", new_key())
    wait_for(one.overlay_address, 60, "the first node")

    stranger.start("--cluster-key", new_key(), "--join", one.host.address)

    said = wait_for(lambda: _warned(stranger, "key"), 60, "the stranger's warning")
    record_seconds("warning about a wrong key", said, 10)
    assert not one.peers()
    assert not stranger.peers()
    assert one.log() == "", "strangers must not fill our log"


def test_a_wrong_overlay_network_is_a_warning_on_both_sides(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(2)
    one, stranger = mesh.daemons
    mesh.start_one(one)

    mesh.start_one(stranger, "--overlay-net", "172.30.0.0/16")

    said = wait_for(lambda: _warned(stranger, "overlay network"), 60, "the stranger's warning")
    record_seconds("warning about a wrong overlay network", said, 10)
    wait_for(lambda: _warned(one, "overlay network"), 60, "the first node's warning")
    assert not one.peers()
    assert not stranger.peers()


def test_blocked_udp_is_a_warning(mesh_of: MeshOf, record_seconds: RecordSeconds) -> None:
    mesh = mesh_of(2)
    one, other = mesh.daemons
    other.host.run("nft", "add table inet lab")
    other.host.run("nft", "add chain inet lab in { type filter hook input priority 0 ; }")
    other.host.run("nft", "add rule inet lab in udp dport 7946 drop")

    mesh.start()

    said = wait_for(lambda: _warned(one, "udp"), 60, "the warning")
    record_seconds("warning about blocked UDP", said, 30)
    assert one.lives()
    assert other.lives()


def _warned(daemon: Daemon, about: str) -> bool:
    """Whether a warning of the agent mentions this."""
    return re.search(rf"(?i)warn.*{about}", daemon.log()) is not None
