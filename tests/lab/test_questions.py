"""What docs/faq.md answers is done on real hosts, as it says."""

from collections.abc import Callable

from tests.testbed.documents import ROOT, typed, words
from tests.testbed.lab.daemons import Mesh, ping

FAQ = ROOT / "docs/faq.md"
PATIENCE = 30.0  # seconds

MeshOf = Callable[[int], Mesh]


def test_a_mesh_is_ipv6_beneath_and_inside(mesh_of: MeshOf) -> None:
    mesh = mesh_of(2)
    first, second = mesh.daemons
    [flags] = [words(line.text)[1:] for line in typed([FAQ]) if "--bind-addr" in line.text]
    for daemon in mesh.daemons:
        address = f"fd77::{daemon.host.number}/64"
        daemon.host.run("ip", "address", "add", address, "dev", "eth0", "nodad")
        daemon.host.run("ip", "address", "flush", "dev", "eth0", "scope", "global", "to", "0/0")

    first.start("--cluster-key", mesh.key, *flags)
    second.start("--cluster-key", mesh.key, *flags, "--join", "[fd77::1]:7946")
    mesh.wait_until_complete(PATIENCE)
    mesh.wait_for_hosts_lines(PATIENCE)

    assert all(line.startswith("fd88::") for line in first.hosts_lines().values())
    assert ping(first, "node2")
    assert ping(second, "node1")
