"""Hosts with two networks, and hosts whose address changes while the agent runs."""

import itertools
import json
import os
import time
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.testbed.lab.daemons import WESHER, Daemon, Mesh, MeshOf, RecordSeconds, ping
from tests.testbed.lab.netns import Host, wait_for
from wesher.gossip import Record, unpack_ip

QUIET = float(os.environ.get("LAB_QUIET", "10"))
"""Seconds in which nobody may be suspected: `scripts/soak networks` takes two minutes."""


def seen(mesh: Mesh, asked: Daemon, name: str) -> Record | None:
    """The record that a daemon holds of a member, None while it has none."""
    return mesh.look(asked).get(name)


def is_at(record: Record | None, *addresses: str) -> bool:
    return record is not None and ip_address(unpack_ip(record.addr)) in [
        ip_address(address) for address in addresses
    ]


def wait_until_at(mesh: Mesh, asked: Daemon, address: str) -> None:
    wait_for(lambda: is_at(seen(mesh, asked, "node2"), address), 20, "the new address")


def add_wifi(host: Host, version: int) -> None:
    """Give the host a second network, on which nobody else is."""
    host.run("ip", "link", "add", "wlan0", "type", "veth", "peer", "name", "wlan1")
    host.run("ip", "link", "set", "wlan1", "up")
    host.run("ip", "link", "set", "wlan0", "up")
    address = "192.168.5.2/24" if version == 4 else "fd05::2/64"
    host.run("ip", "address", "add", address, "dev", "wlan0", *nodad(version))


def nodad(version: int) -> list[str]:
    return ["nodad"] if version == 6 else []


def cable(host: Host, version: int) -> str:
    return f"192.168.77.{host.number}" if version == 4 else f"fd77::{host.number}"


def set_default(host: Host, version: int, default: str) -> None:
    hop = {
        ("wlan0", 4): "192.168.5.1",
        ("wlan0", 6): "fd05::1",
        ("eth0", 4): "192.168.77.254",
        ("eth0", 6): "fd77::fe",
    }[default, version]
    host.run("ip", f"-{version}", "route", "replace", "default", "via", hop)


def ready(mesh: Mesh, default: str, version: int) -> None:
    """Start the seed, and give the other host its networks as `default` has them."""
    seed, other = mesh.daemons
    other.host.run("ip", "route", "del", "default")
    if version == 6:
        seed.host.run("ip", "address", "add", "fd77::1/64", "dev", "eth0", "nodad")
    if default == "late":
        other.host.run("ip", "-4", "address", "flush", "dev", "eth0")
    else:
        if version == 6:
            other.host.run("ip", "address", "add", "fd77::2/64", "dev", "eth0", "nodad")
        add_wifi(other.host, version)
    if default in ("wlan0", "eth0"):
        set_default(other.host, version, default)
    seed.start("--cluster-key", mesh.key, *bound_to(version))
    wait_for(lambda: mesh.look(seed), 30, "the seed")


def bound_to(version: int) -> list[str]:
    return ["--bind-addr", "::"] if version == 6 else []


def join(mesh: Mesh, default: str, version: int) -> float:
    """Start the other agent; return the seconds to the mesh after what it needs is there."""
    seed, other = mesh.daemons
    at = cable(seed.host, version)
    other.start("--cluster-key", mesh.key, "--join", at, *bound_to(version))
    if default == "late":
        wait_for(lambda: "waiting up to" in other.log(), 30, "the agent to wait")
        add = ["address", "add", f"{cable(other.host, version)}/{24 if version == 4 else 64}"]
        other.host.run("ip", *add, "dev", "eth0", *nodad(version))
    seconds = wait_for(lambda: len(seed.peers()) == 1 == len(other.peers()), 30, "the mesh")
    if default == "late":
        add_wifi(other.host, version)
        set_default(other.host, version, "wlan0")
    return seconds


def test_a_host_with_two_networks_is_reached_where_its_seed_is(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    """Eight worlds, so that the quiet time passes once for all of them."""
    meshes = {}
    for default, version in itertools.product(["wlan0", "eth0", "none", "late"], [4, 6]):
        mesh = meshes[default, version] = mesh_of(2)
        ready(mesh, default, version)
        seconds = join(mesh, default, version)
        record_seconds(f"two networks, default {default}, IPv{version}", seconds, 2)

    told = {case: [follow(daemon) for daemon in mesh.daemons] for case, mesh in meshes.items()}
    until = time.monotonic() + QUIET
    while time.monotonic() < until:
        for case, mesh in meshes.items():
            record = seen(mesh, mesh.seed, "node2")
            # None when our question was lost; the monitors tell of everything.
            assert record is None or is_at(record, cable(mesh.daemons[1].host, case[1])), case
        time.sleep(0.5)
    for case, mesh in meshes.items():
        assert ping(mesh.seed, "node2"), case
        assert [events_of(one) for one in told[case]] == [["following"]] * 2, case


def follow(daemon: Daemon) -> Path:
    """Have `wesher monitor` write down what happens from now on; return where."""
    output = daemon.host.directory / "events"
    daemon.host.spawn([*WESHER, "monitor", "--json"], output)
    wait_for(lambda: output.stat().st_size, 30, "the monitor")
    return output


def events_of(output: Path) -> list[str]:
    return [json.loads(line)["event"] for line in output.read_text().splitlines()]


def test_a_start_tells_its_address_and_what_the_route_to_the_seed_says(mesh_of: MeshOf) -> None:
    mesh = mesh_of(2)
    seed, other = mesh.daemons
    add_wifi(other.host, 4)
    mesh.start_one(seed, "--log-level", "info")

    mesh.start_one(other, "--log-level", "info", "--advertise-addr", "192.168.5.2")

    wait_for(lambda: "the route to the seed leaves from 192.168.77.2" in other.log(), 20, "the log")
    assert "others are told to reach us at 192.168.5.2" in other.log()
    wait_for(lambda: "others are told to reach us at 192.168.77.1" in seed.log(), 20, "the seed's")
    assert "leaves from" not in seed.log()


@pytest.mark.parametrize("bound", [[], ["--bind-iface", "eth0"]])
def test_a_host_whose_address_changes_is_never_missed(
    bound: list[str], mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(3)
    mesh.start("--log-level", "info", *bound)
    mesh.settle()
    one, mover, watcher = mesh.daemons
    flow = one.host.directory / "flow"
    target = mover.overlay_address()
    assert target
    one.host.spawn(["ping", "-n", "-D", "-i", "0.1", target], flow)

    for number in (101, 102, 2, 103):
        address = f"192.168.77.{number}"
        mover.host.run("ip", "-4", "address", "flush", "dev", "eth0")
        mover.host.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
        changed = time.monotonic()
        for other in (one, watcher):
            wait_until_at(mesh, other, address)
        record_seconds("an address that changed is shown", time.monotonic() - changed, 5)
        assert ping(one, "node2")
    time.sleep(1)

    stamps = [
        float(line[1:].split("]")[0]) for line in flow.read_text().splitlines() if "ttl" in line
    ]
    worst = max(after - before for before, after in itertools.pairwise(stamps))
    record_seconds("the silence while an address changes", worst, 3)
    for other in (one, watcher):
        assert "member node2 failed" not in other.log()
        assert "another --node-name" not in other.log()
    assert mover.log().count("this host's address changed") == 4


@pytest.mark.parametrize("change", ["second", "renewed"])
def test_an_address_that_is_still_there_is_kept(change: str, mesh_of: MeshOf) -> None:
    mesh = mesh_of(2)
    mesh.start("--log-level", "info")
    mesh.settle()
    one, other = mesh.daemons

    if change == "second":
        other.host.run("ip", "address", "add", "192.168.77.99/24", "dev", "eth0")
    else:
        renewed = ["192.168.77.2/24", "dev", "eth0", "valid_lft", "3600", "preferred_lft", "1800"]
        other.host.run("ip", "address", "change", *renewed)
    time.sleep(2)

    assert is_at(seen(mesh, one, "node2"), "192.168.77.2")
    assert "address changed" not in other.log()


def test_a_host_told_to_announce_the_wrong_address_is_told_on_both_sides(mesh_of: MeshOf) -> None:
    mesh = mesh_of(2)
    seed, other = mesh.daemons
    add_wifi(other.host, 4)
    mesh.start_one(seed)

    mesh.start_one(other, "--advertise-addr", "192.168.5.2")

    wait_for(lambda: "give it --advertise-addr 192.168.77.2" in other.log(), 60, "its own warning")
    wait_for(lambda: "node2 announces 192.168.5.2, where" in seed.log(), 60, "the seed's warning")
    assert "firewall" not in other.log()


def test_a_member_that_announces_an_address_of_ours_is_named(mesh_of: MeshOf) -> None:
    mesh = mesh_of(2)
    seed, other = mesh.daemons
    for host in mesh.lab.hosts:
        add_wifi(host, 4)
    mesh.start_one(seed)

    mesh.start_one(other, "--advertise-addr", "192.168.5.2")

    wait_for(lambda: "192.168.5.2, an address of this host" in seed.log(), 30, "the warning")
