"""What others break or forbid on a host, and what the agent makes of it."""

import json
import time
from collections.abc import Callable

import pytest

from tests.testbed.lab.daemons import Daemon, Mesh, MeshOf, RecordSeconds, new_key, ping
from tests.testbed.lab.netns import Host, LabOf, wait_for

# Hosts of a lab see each other's processes, so only those of our own network.
_KILL_WIREGUARD_GO = """
for process in /proc/[0-9]*; do
    [ "$(cat $process/comm)" = wireguard-go ] || continue
    [ "$(readlink $process/ns/net)" = "$(readlink /proc/self/ns/net)" ] || continue
    kill -KILL "${process#/proc/}"
done
"""
_FOREIGN = "192.0.2.1\tprinter  # with \xe9 and no final newline"


def test_what_someone_broke_is_repaired(mesh_of: MeshOf, record_seconds: RecordSeconds) -> None:
    mesh = mesh_of(4)
    mesh.start()
    mesh.settle()
    one, without_interface, without_routes, without_lines = mesh.daemons
    hosts_file = without_lines.host.path("/etc/hosts")

    broken = time.monotonic()
    without_interface.host.run("ip", "link", "del", without_interface.interface)
    without_routes.host.run("ip", "route", "flush", "dev", without_routes.interface)
    hosts_file.write_bytes(_FOREIGN.encode("latin-1"))
    _record(record_seconds, "route repaired", broken, lambda: len(_routes(without_routes)) == 3)
    _record(record_seconds, "hosts repaired", broken, lambda: len(without_lines.hosts_lines()) == 3)
    repaired = without_interface.peers
    _record(record_seconds, "interface repaired", broken, lambda: len(repaired()) == 3)

    mesh.settle()
    wait_for(lambda: ping(without_interface, "node1", 1), 60, "an answer from node1")
    wait_for(lambda: ping(one, "node2", 1), 60, "an answer from node2")
    assert hosts_file.read_bytes().endswith(_FOREIGN.encode("latin-1"))
    for daemon in (without_interface, without_routes, without_lines):
        assert _warnings(daemon) == 1, daemon.log()


@pytest.mark.parametrize("fault", ["flush", "link down", "driver killed", "hosts file"])
def test_a_fault_is_noticed_at_once(
    mesh_of: MeshOf, record_seconds: RecordSeconds, fault: str
) -> None:
    mesh = mesh_of(2)
    mesh.start()
    mesh.settle()
    victim = mesh.daemons[1]
    wait_for(lambda: len(victim.hosts_lines()) == 1, 30, "the /etc/hosts entry")
    took = []
    for _ in range(5):
        broken = time.monotonic()
        _break(mesh, victim, fault)
        wait_for(lambda: _is_whole(victim), 30, fault)
        took.append(time.monotonic() - broken)
        time.sleep(0.5)  # a rest, as the limit is for faults that come one by one
    record_seconds(f"repaired: {fault}", sorted(took)[2], 3)


def test_a_storm_of_events_is_followed_at_leisure(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(2)
    mesh.start()
    mesh.settle()
    victim = mesh.daemons[1]
    victim.host.run("ip", "link", "add", "storm0", "type", "veth", "peer", "name", "storm1")
    batch = "".join(f"link set dev storm0 mtu {1400 + number % 2}\n" for number in range(100))
    victim.host.path("/run/storm").write_text(batch)
    used, began = victim.process.cpu_seconds(), time.monotonic()
    storm = "for n in $(seq 50); do ip -batch /run/storm; sleep 0.05; done"  # 1,000 events a second
    raging = victim.host.spawn(["sh", "-c", storm], victim.host.directory / "storm")

    took = []
    for _ in range(3):
        time.sleep(0.6)
        assert raging.running
        # wireguard-go that is outrun by a storm ends at its next packet: a fault of another kind.
        wait_for(lambda: _is_whole(victim), 30, "the interface")
        broken = time.monotonic()
        _break(mesh, victim, "flush")
        wait_for(lambda: _is_whole(victim), 30, "the routes")
        took.append(time.monotonic() - broken)
    raging.wait(60)

    record_seconds("repaired in a storm of events", sorted(took)[1], 3)
    assert victim.process.cpu_seconds() - used < 0.5 * (time.monotonic() - began)


def _break(mesh: Mesh, daemon: Daemon, fault: str) -> None:
    """Break something, and see that it is broken before the agent can have noticed."""
    name, before = daemon.interface, _index(daemon)
    match fault:
        case "flush":
            flush = f"ip route flush dev {name}; ip route show dev {name}"
            assert daemon.host.run("sh", "-c", flush) == ""
        case "link down":
            down = f"ip link set {name} down; ip -brief link show {name} up"
            assert daemon.host.run("sh", "-c", down) == ""
        case "driver killed" if not mesh.lab.kernel_wireguard:
            daemon.host.run("sh", "-c", _KILL_WIREGUARD_GO)
        case "driver killed":
            daemon.host.run("ip", "link", "del", name)
        case "hosts file":
            daemon.host.path("/etc/hosts").write_text("127.0.0.1 localhost\n")
            assert not daemon.hosts_lines()
    if fault == "driver killed":  # whose interface goes a moment later, and may be back at once
        wait_for(lambda: _index(daemon) not in (None, before), 30, "another interface")


def _index(daemon: Daemon) -> str | None:
    """Return the number of the interface, which one that was made anew does not have."""
    shown = daemon.host.run("ip", "-o", "link", "show", daemon.interface, check=False)
    return shown.partition(":")[0] or None


def _is_whole(daemon: Daemon) -> bool:
    whole = len(_routes(daemon)) == 1 and len(daemon.peers()) == 1
    return whole and bool(daemon.hosts_lines())


def test_a_bind_mounted_hosts_file_is_written_in_place(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(2)
    host = mesh.daemons[1].host
    host.run("sh", "-c", "cp /etc/hosts /run/hosts && mount --bind /run/hosts /etc/hosts")
    before = host.path("/run/hosts").read_bytes()

    started = mesh.start()
    mesh.settle()
    record_seconds("settled with a bind-mounted hosts file", time.monotonic() - started, 10)
    mesh.daemons[1].stop()

    assert host.path("/run/hosts").read_bytes() == before
    assert not list(host.path("/etc").glob("etchosts*"))


def test_a_full_disk_is_a_warning_and_spoils_no_state(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(2)
    victim = mesh.daemons[1]
    directory = "/var/lib/wesher"
    victim.host.run("mkdir", directory)
    victim.host.run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory)
    mesh.start()
    mesh.settle()

    victim.stop()
    before = victim.state_file.read_bytes()
    victim.host.run("sh", "-c", f"cat /dev/zero >{directory}/filler", check=False)
    started = time.monotonic()
    victim.start()
    mesh.wait_until_complete(60)
    record_seconds("back with its state on a full disk", time.monotonic() - started, 10)
    wait_for(lambda: "wgoverlay.json" in victim.log(), 60, "the warning")

    assert victim.state_file.read_bytes() == before
    assert json.loads(before)["ClusterKey"] == mesh.key
    assert {path.name for path in victim.state.iterdir()} == {"filler", "wgoverlay.json"}


def test_a_foreign_device_of_our_name_is_left_alone(
    lab_of: LabOf, record_seconds: RecordSeconds
) -> None:
    lab = lab_of(1)
    host = lab.hosts[0]
    kernel = ["ip", "link", "add", "wgoverlay", "type", "wireguard"]
    host.run(*(kernel if lab.kernel_wireguard else ["wireguard-go", "wgoverlay"]))
    key = host.run("wg", "genkey")
    host.run("wg", "set", "wgoverlay", "private-key", "/dev/stdin", stdin=key)
    host.run("ip", "address", "add", "198.51.100.1/32", "dev", "wgoverlay")
    before = _device(host)

    daemon = Daemon(lab, host)
    started = time.monotonic()
    daemon.start("--cluster-key", new_key())
    status = daemon.exit_status()

    record_seconds("refused a foreign device", time.monotonic() - started, 5)
    assert status == 1
    assert len(daemon.log().splitlines()) == 1
    assert "wgoverlay" in daemon.log()
    assert _device(host) == before


@pytest.mark.parametrize(("file", "same"), [("wgoverlay", True), ("state", True), ("state", False)])
def test_what_a_crash_of_the_original_left_is_taken_over_if_it_is_of_this_cluster(
    lab_of: LabOf, file: str, same: bool
) -> None:
    lab = lab_of(1)
    host, daemon = lab.hosts[0], Daemon(lab, lab.hosts[0])
    kernel = ["ip", "link", "add", "wgoverlay", "type", "wireguard"]
    host.run(*(kernel if lab.kernel_wireguard else ["wireguard-go", "wgoverlay"]))
    private_key = host.run("wg", "genkey")
    given = ["listen-port", "51820", "private-key", "/dev/stdin"]
    host.run("wg", "set", "wgoverlay", *given, stdin=private_key)
    cluster_key = new_key()
    daemon.state.mkdir(exist_ok=True)
    state = {"ClusterKey": cluster_key, "Nodes": []}
    (daemon.state / f"{file}.json").write_text(json.dumps(state))

    daemon.start("--cluster-key", cluster_key if same else new_key())

    if same:
        wait_for(daemon.overlay_address, 30, "the overlay address")
        shown = host.run("wg", "show", "wgoverlay", "private-key")
        assert shown.strip() == private_key.strip()
        assert daemon.stop() == 0
        assert not host.succeeds("ip", "link", "show", "wgoverlay")
    else:
        assert daemon.exit_status() == 1
        assert "`ip link del wgoverlay`" in daemon.log()


def test_a_second_agent_on_the_interface_is_refused(lab_of: LabOf) -> None:
    lab = lab_of(1)
    mesh = Mesh(lab)
    mesh.start()
    mesh.settle()
    wait_for(mesh.seed.overlay_address, 60, "the address")
    second = Daemon(lab, lab.hosts[0])
    second.output = second.output.with_name("second.log")

    second.start("--cluster-key", mesh.key, "--cluster-port", "7950")
    status = second.exit_status()

    assert status == 1
    assert len(second.log().splitlines()) == 1
    assert mesh.seed.lives()
    assert mesh.seed.overlay_address()


def _record(
    record_seconds: RecordSeconds, what: str, since: float, condition: Callable[[], object]
) -> None:
    wait_for(condition, 60, what)
    record_seconds(what, time.monotonic() - since, 30)


def _routes(daemon: Daemon) -> list[str]:
    return daemon.host.run("ip", "route", "show", "proto", "87").splitlines()


def _warnings(daemon: Daemon) -> int:
    return sum("WARN" in line.upper() for line in daemon.log().splitlines())


def _device(host: Host) -> list[str]:
    tables = [["wg", "show", "wgoverlay", "dump"], ["ip", "address", "show", "wgoverlay"]]
    return [host.run(*argv) for argv in tables]
