"""A member behind a narrow link has a route of its own MTU; the others keep theirs."""

from tests.testbed.lab.daemons import Daemon, MeshOf
from tests.testbed.lab.netns import wait_for


def test_a_narrow_link_narrows_the_routes_of_its_own_host_only(mesh_of: MeshOf) -> None:
    mesh = mesh_of(2)
    wide, narrow = mesh.daemons
    narrow.host.run("ip", "link", "set", "eth0", "mtu", "1400")
    mesh.start_one(wide)
    mesh.start_one(narrow)

    def routes(daemon: Daemon) -> str:
        return daemon.host.run("ip", "route", "show", "proto", "87")

    wait_for(lambda: "mtu 1340" in routes(narrow), 30, "the route of its own MTU")
    wait_for(lambda: routes(wide), 10, "the route")
    assert "mtu" not in routes(wide)
    assert "mtu 1420" in narrow.host.run("ip", "link", "show", "wgoverlay")

    narrow.host.run("ip", "link", "set", "eth0", "mtu", "1500")
    wait_for(lambda: "mtu" not in routes(narrow), 10, "the usual route")
