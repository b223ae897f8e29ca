"""An office network behind a node is reached from every other node, and back."""

import signal
import time
from collections.abc import Sequence
from functools import partial

import pytest

from tests.testbed.lab.daemons import Daemon, Mesh, MeshOf, RecordSeconds
from tests.testbed.lab.netns import Host, wait_for

OFFICE = "192.168.50.0/24"
DESK = "192.168.50.7"
MASQUERADE = """
table ip office {
  chain out {
    type nat hook postrouting priority srcnat
    oifname "office0" masquerade
  }
}
"""


class Office:
    """A network behind a host with one machine in it, which knows its router."""

    def __init__(self, host: Host, version: int = 4) -> None:
        self.host = host
        net, length = ("192.168.50", 24) if version == 4 else ("fd50:", 64)
        router, desk = (f"{net}.1", f"{net}.7") if version == 4 else (f"{net}:1", f"{net}:7")
        flags = ["nodad"] if version == 6 else []
        host.run("ip", "netns", "add", "office")
        host.run("ip", "link", "add", "office0", "type", "veth", "peer", "desk0", "netns", "office")
        host.run("ip", "address", "add", f"{router}/{length}", "dev", "office0", *flags)
        host.run("ip", "link", "set", "office0", "up")
        self.run("ip", "address", "add", f"{desk}/{length}", "dev", "desk0", *flags)
        self.run("ip", "link", "set", "desk0", "up")
        self.run("ip", f"-{version}", "route", "add", "default", "via", router)
        setting = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}[version]
        host.run("sysctl", "-qw", f"{setting}=1")

    def run(self, *argv: str, check: bool = True) -> str:
        return self.host.run("ip", "netns", "exec", "office", *argv, check=check)

    def pings(self, target: str) -> bool:
        return "1 received" in self.run("ping", "-nc1", "-W1", target, check=False)


def reaches(daemon: Daemon, target: str = DESK) -> bool:
    return daemon.host.succeeds("ping", "-nc1", "-W1", target)


def says(daemon: Daemon, text: str) -> bool:
    return text in daemon.log()


def routes(daemon: Daemon) -> str:
    return daemon.host.run("ip", "route", "show", "dev", "wgoverlay")


def carrier(daemon: Daemon, network: str = OFFICE) -> str | None:
    """Return the key of the peer that the network is sent to."""
    told = daemon.host.run("wg", "show", "wgoverlay", "allowed-ips", check=False).splitlines()
    return next((line.split()[0] for line in told if network in line.split()), None)


def key(daemon: Daemon) -> str:
    return daemon.host.run("wg", "show", "wgoverlay", "public-key").strip()


def started(mesh: Mesh, flags: Sequence[Sequence[str]], *common: str) -> list[Daemon]:
    for daemon, own in zip(mesh.daemons, flags, strict=True):
        mesh.start_one(daemon, *common, *own)
    mesh.wait_until_complete(30)
    return mesh.daemons


@pytest.mark.parametrize("version", [4, 6])
def test_an_office_is_reached_from_every_node_and_back(version: int, mesh_of: MeshOf) -> None:
    mesh = mesh_of(3)
    office = Office(mesh.seed.host, version)
    network, desk = {4: (OFFICE, DESK), 6: ("fd50::/64", "fd50::7")}[version]
    overlay = ["--overlay-net", {4: "10.0.0.0/8", 6: "fd99::/64"}[version]]

    gate, *others = started(mesh, [["--route", network], [], []], *overlay)

    for other in others:
        wait_for(partial(carrier, other, network), 10, "the network")
        wait_for(partial(reaches, other, desk), 10, "the office")
        address = other.overlay_address()
        assert address
        assert office.pings(address)
    assert carrier(gate, network) is None
    if version == 6:
        return

    # Who in the office knows nothing of the mesh answers to the router, if that masquerades.
    office.run("ip", "route", "del", "default")
    assert not reaches(others[0])
    office.host.run("nft", "-f", "-", stdin=MASQUERADE)
    assert reaches(others[0])


def test_a_route_of_the_operator_is_never_touched(mesh_of: MeshOf) -> None:
    mesh = mesh_of(2)
    other = mesh.daemons[1]
    hop = "192.168.77.254"
    other.host.run("ip", "route", "add", OFFICE, "via", hop)
    started(mesh, [["--route", f"{OFFICE},192.168.60.0/24"], []])
    wait_for(lambda: carrier(other, "192.168.60.0/24"), 10, "the other network")

    assert carrier(other) is None
    assert f"{OFFICE} via {hop} dev eth0" in other.host.run("ip", "route")
    other.host.run("ip", "route", "del", OFFICE)
    wait_for(lambda: OFFICE in routes(other), 30, "the network")

    other.host.run("ip", "route", "replace", OFFICE, "via", hop)
    wait_for(lambda: carrier(other) is None, 30, "the way of before")
    other.stop()
    assert f"{OFFICE} via {hop} dev eth0" in other.host.run("ip", "route")


def test_of_two_that_announce_one_the_first_keeps_it_on_all_nodes(mesh_of: MeshOf) -> None:
    mesh = mesh_of(3)
    gate, other, late = mesh.daemons
    part = "192.168.50.128/25"
    mesh.start_one(gate, "--route", OFFICE)
    mesh.start_one(other)
    wait_for(lambda: carrier(other), 20, "the network")

    mesh.start_one(late, "--route", part)

    warning = f"announces {part}, but {OFFICE} goes to {gate.host.name}"
    for daemon in mesh.daemons:
        wait_for(partial(says, daemon, warning), 20, "the warning")
    assert carrier(other) == key(gate)
    assert carrier(other, part) is None

    gate.stop()
    wait_for(lambda: carrier(other, part) == key(late), 10, "who is left")
    mesh.start_one(gate, "--join", late.host.address, "--route", OFFICE)
    mesh.wait_until_complete(30)
    warning = f"announces {OFFICE}, but {part} goes to {late.host.name}"
    wait_for(partial(says, gate, warning), 10, "the warning")
    assert carrier(other, part) == key(late)
    assert carrier(other) is None


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_another_carrier_takes_over(
    end: signal.Signals, mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(3)
    for host in (mesh.daemons[1].host, mesh.daemons[2].host):
        Office(host)
    flags = [[], ["--route", OFFICE], ["--route", f"{OFFICE}@10"]]
    other, gate, spare = started(mesh, flags, "--timing", "lan")
    wait_for(lambda: carrier(other) == key(gate), 10, "the carrier")
    assert reaches(other)

    ended = time.monotonic()
    gate.process.signal(end)
    wait_for(lambda: carrier(other) == key(spare), 30, "the other carrier")

    limit = 1 if end is signal.SIGTERM else 15
    record_seconds(f"another carrier after {end.name}", time.monotonic() - ended, limit)
    wait_for(lambda: reaches(other), 10, "the office again")
