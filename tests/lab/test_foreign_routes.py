"""Networks that a host reaches by routes of its own are none that the mesh may take."""

import time

import pytest

from tests.testbed.lab.daemons import MeshOf, RecordSeconds
from tests.testbed.lab.netns import wait_for


@pytest.mark.parametrize("version", [4, 6])
def test_an_address_behind_a_router_is_not_taken_into_the_mesh(
    version: int, mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(2)
    taker, keeper = mesh.daemons
    overlay, routed, address, hop = {
        4: ("10.99.0.0/16", "10.99.50.0/24", "10.99.50.7", "192.168.77.254"),
        6: ("fd99::/32", "fd99:0:50::/48", "fd99:0:50::7", "fd77::fe"),
    }[version]
    if version == 6:
        host = keeper.host
        host.run("ip", "address", "add", "fd77::2/64", "dev", "eth0", "nodad")
    route = ["ip", f"-{version}", "route", "add", routed, "via", hop]
    keeper.host.run(*route)
    flags = ["--overlay-net", overlay]
    mesh.start_one(taker, *flags, "--overlay-addr", address)
    mesh.start_one(keeper, *flags)

    def way() -> str:
        return keeper.host.run("ip", "route", "get", address, check=False)

    warning = f"is inside {routed}, which this host has another route to"
    wait_for(lambda: warning in keeper.log(), 30, "the warning")
    assert not keeper.peers()
    assert f"via {hop} dev eth0" in way()

    keeper.host.run("ip", f"-{version}", "route", "del", routed)
    gone = time.monotonic()
    wait_for(keeper.peers, 30, "the peer")
    record_seconds("a peer once the route is gone", time.monotonic() - gone, 10)
    wait_for(lambda: "dev wgoverlay" in way(), 10, "its route")
    keeper.host.run(*route)
    wait_for(lambda: not keeper.peers() and f"via {hop} dev eth0" in way(), 30, "the first way")
