"""A host is reached at the ports that a router forwards, when it says so."""

import pytest

from tests.testbed.lab.daemons import MeshOf, ping
from tests.testbed.lab.netns import wait_for

FORWARDED = """
table ip router {
  chain in {
    type nat hook prerouting priority dstnat
    udp dport 17946 redirect to :7946
    tcp dport 17946 redirect to :7946
    udp dport 41820 redirect to :51820
  }
  chain keep {
    type filter hook input priority filter
    ct status dnat accept
    ct state established,related accept
    udp dport { 7946, 51820 } drop
    tcp dport 7946 drop
  }
}
"""


@pytest.mark.parametrize("seed_is_forwarded", [False, True])
def test_a_host_is_reached_at_its_forwarded_ports(seed_is_forwarded: bool, mesh_of: MeshOf) -> None:
    mesh = mesh_of(3)
    forwarded = mesh.daemons[0 if seed_is_forwarded else 1]
    if not forwarded.host.succeeds("nft", "--version"):
        pytest.skip("needs nft")
    forwarded.host.run("nft", "-f", "-", stdin=FORWARDED)
    ports = ["--advertise-port", "17946", "--advertise-wireguard-port", "41820"]
    for daemon in mesh.daemons:
        host = mesh.seed.host.address
        at = f"{host}:17946" if seed_is_forwarded else host
        join = [] if daemon is mesh.seed else ["--join", at]
        flags = ports if daemon is forwarded else []
        daemon.start("--cluster-key", mesh.key, *join, *flags)

    mesh.wait_until_complete(30)

    other = mesh.daemons[2]
    address = forwarded.overlay_address()
    assert address
    assert ping(other, address)
    endpoint = f"{forwarded.host.address}:41820"
    wait_for(lambda: endpoint in other.host.run("wg", "show", "wgoverlay", "endpoints"), 5, "it")
