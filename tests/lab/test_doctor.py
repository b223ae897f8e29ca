"""Ten broken set-ups and a healthy one: the doctor names the fault and what to do about it."""

import json
import os
import shutil
import signal
import sys
import time
from typing import Any, Protocol

import pytest

from tests.testbed.lab.daemons import WESHER, Daemon, Mesh, MeshOf, RecordSeconds, new_key
from tests.testbed.lab.netns import Host, LabError, wait_for

LOADED = """
import sys
from wesher.cli import main
main(["doctor", "--json"])
print("loaded", [one for one in ("cryptography", "wesher.gossip") if one in sys.modules])
"""

LIMIT = 30  # seconds that one examination may take on a busy machine; it needs less than ten

TAKE_PORT = """
import socket, time
taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
taken.bind(("", 7946))
print("taken", flush=True)
time.sleep(600)
"""


class Examine(Protocol):
    """Runs the doctor, and returns what it told."""

    def __call__(self, daemon: Daemon, *flags: str, path: str = ...) -> dict[str, Any]: ...


@pytest.fixture
def examine(record_seconds: RecordSeconds) -> Examine:
    """Run the doctor and return what it told; its exit code must agree."""

    def examine(daemon: Daemon, *flags: str, path: str = os.environ["PATH"]) -> dict[str, Any]:
        command = ["env", f"PATH={path}", *WESHER, "doctor", *flags, "--json"]
        began = time.monotonic()
        output = daemon.host.run("sh", "-c", '"$@"; echo $?', "sh", *command, timeout=60)
        (daemon.host.directory / "doctor.out").write_text(output)  # for the watch over secrets
        text, _, code = output.rstrip().rpartition("\n")
        told: dict[str, Any] = json.loads(text)
        record_seconds(f"doctor on {daemon.host.name}", time.monotonic() - began, LIMIT)
        assert code == ("0" if told["healthy"] else "1")
        return told

    return examine


def faults(told: dict[str, Any]) -> dict[str, str]:
    """Return the texts and remedies of the faults by the name of their trouble."""
    return {
        one["trouble"]: f"{one['text']} -> {one['remedy']}"
        for one in told["findings"]
        if one["verdict"] == "fault"
    }


def drop(host: Host, *rule: str) -> None:
    """Let a host's firewall drop what arrives and matches."""
    host.run("nft", "add table inet lab")
    host.run("nft", "add chain inet lab in { type filter hook input priority 0 ; }")
    host.run("nft", f"add rule inet lab in {' '.join(rule)} drop")


@pytest.fixture
def pair(mesh_of: MeshOf) -> Mesh:
    """Two nodes of one mesh, that know each other."""
    mesh = mesh_of(2)
    mesh.start()
    mesh.wait_until_complete(60)
    return mesh


def test_a_healthy_mesh_is_said_to_be_healthy(mesh_of: MeshOf, examine: Examine) -> None:
    mesh = mesh_of(3)
    mesh.start()
    mesh.wait_until_complete(60)

    told = examine(mesh.daemons[1])

    assert [one for one in told["findings"] if one["verdict"] != "ok"] == []
    assert told["healthy"]
    assert mesh.seed.host.succeeds(*WESHER, "doctor")
    assert mesh.seed.host.run(*WESHER, "doctor").splitlines()[-1] == "healthy"


def test_with_an_agent_that_answers_neither_gossip_nor_cryptography_is_loaded(pair: Mesh) -> None:
    printed = pair.seed.host.run(sys.executable, "-c", LOADED)

    *_, last = printed.splitlines()
    assert '"healthy": true' in printed
    assert "1 other reached by UDP and by TCP" in printed
    assert last == "loaded []"


def test_no_wireguard_at_all_is_named(mesh_of: MeshOf, examine: Examine) -> None:
    [daemon] = mesh_of(1).daemons
    tools = daemon.host.directory / "tools"
    tools.mkdir()
    for tool in ("wg", "ip", "env"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    daemon.host.run("mount", "-t", "tmpfs", "tmpfs", "/sys/module")
    daemon.host.run("mount", "-t", "tmpfs", "tmpfs", "/lib/modules", check=False)

    told = examine(daemon, path=str(tools))

    assert "apt install wireguard-go" in faults(told)["no-wireguard"]
    assert not told["healthy"]


def test_dropped_gossip_udp_is_named_on_both_sides(mesh_of: MeshOf, examine: Examine) -> None:
    mesh = mesh_of(2)
    drop(mesh.daemons[1].host, "udp dport 7946")
    mesh.start()
    mesh.wait_until_complete(60)

    seed, other = map(examine, mesh.daemons)

    assert "let UDP port 7946 through" in faults(seed)["udp-blocked"]
    assert "node2 answers at 192.168.77.2:7946 by TCP but not by UDP" in faults(seed)["udp-blocked"]
    assert "let UDP port 7946 in" in faults(other)["ourselves-unreached"]


def test_dropped_gossip_tcp_is_named_on_both_sides(mesh_of: MeshOf, examine: Examine) -> None:
    mesh = mesh_of(2)
    drop(mesh.seed.host, "tcp dport 7946")
    mesh.start()
    wait_for(mesh.daemons[1].overlay_address, 30, "the node that meets nobody")

    seed, other = map(examine, mesh.daemons)

    assert "let TCP port 7946 in" in faults(seed)["ourselves-unreached"]
    assert "answers by UDP but not by TCP" in faults(other)["seed-half"]
    assert "let TCP port 7946 through" in faults(other)["seed-half"]


def test_dropped_wireguard_is_named(mesh_of: MeshOf, examine: Examine) -> None:
    mesh = mesh_of(2)
    drop(mesh.daemons[1].host, "udp dport 51820")
    mesh.start()
    mesh.wait_until_complete(60)

    told = faults(examine(mesh.seed))

    assert set(told) == {"no-handshake"}
    assert "no handshake with it at 192.168.77.2:51820" in told["no-handshake"]
    assert "let it through on both hosts" in told["no-handshake"]


def test_wireguard_that_is_dropped_later_is_named(pair: Mesh, examine: Examine) -> None:
    assert examine(pair.seed)["healthy"], "there is a session now"
    drop(pair.seed.host, "udp dport 51820")

    told = faults(examine(pair.seed))

    assert "UDP port 51820" in told["silent-tunnel"]


def test_a_wrong_key_is_named_where_it_was_given_and_the_stranger_elsewhere(
    mesh_of: MeshOf, examine: Examine
) -> None:
    seed, stranger = mesh_of(2).daemons
    seed.start("--cluster-key", new_key())
    stranger.start("--cluster-key", new_key(), "--join", seed.host.address)
    wait_for(lambda: "another cluster key" in stranger.log(), 60, "the warning")

    wrong, right = examine(stranger), examine(seed)

    assert "compare the fingerprints in `wesher status` on both hosts" in faults(wrong)["other-key"]
    assert seed.host.address in faults(wrong)["other-key"]
    assert right["healthy"]
    [warned] = [one for one in right["findings"] if one["verdict"] == "warning"]
    assert warned["trouble"] == "stranger"
    assert stranger.host.address in warned["text"]


def test_a_read_only_hosts_file_is_named(mesh_of: MeshOf, examine: Examine) -> None:
    [daemon] = mesh_of(1).daemons
    daemon.host.run("mount", "--bind", "/etc/hosts", "/etc/hosts")
    daemon.host.run("mount", "-o", "remount,bind,ro", "/etc/hosts")
    daemon.start("--cluster-key", new_key())
    wait_for(daemon.overlay_address, 30, "the agent")

    told = faults(examine(daemon))

    assert "/etc/hosts: read-only file system" in told["hosts-file"]
    assert "--no-etc-hosts" in told["hosts-file"]


def test_an_overlay_network_that_covers_the_gateway_is_named(
    mesh_of: MeshOf, examine: Examine
) -> None:
    [daemon] = mesh_of(1).daemons
    daemon.start("--cluster-key", new_key(), "--overlay-net", "192.168.0.0/16")
    wait_for(daemon.overlay_address, 30, "the agent")

    told = faults(examine(daemon))

    assert "covers this host's gateway 192.168.77.254" in told["overlay-covers"]
    assert "choose another --overlay-net" in told["overlay-covers"]


def test_an_overlay_network_inside_our_own_is_named_although_no_agent_starts(
    mesh_of: MeshOf, examine: Examine
) -> None:
    [daemon] = mesh_of(1).daemons
    flags = ("--overlay-net", "192.168.77.0/24")
    daemon.start("--cluster-key", new_key(), *flags)
    assert daemon.exit_status() == 1

    told = faults(examine(daemon, *flags))

    assert "choose another --overlay-net" in told["overlay-enclosed"]
    assert "no-agent" in told


def test_two_nodes_of_one_name_are_named(mesh_of: MeshOf, examine: Examine) -> None:
    mesh = mesh_of(2)
    seed, second = mesh.daemons
    mesh.start_one(seed, "--node-name", "twin")
    wait_for(seed.overlay_address, 30, "the first node")
    mesh.start_one(second, "--node-name", "twin")
    assert second.exit_status(30) == 1

    told = faults(examine(second, "--join", seed.host.address, "--node-name", "twin"))

    assert "the name twin belongs to another live member" in told["taken-name"]
    assert "--node-name" in told["taken-name"]
    assert seed.host.address in told["taken-name"]


def test_a_narrow_path_is_named_with_its_width(pair: Mesh, examine: Examine) -> None:
    pair.lab.run("ip", "link", "set", "host2", "mtu", "1280")

    told = faults(examine(pair.seed))

    assert set(told) == {"narrow-path"}
    assert (
        "the path to 192.168.77.2 carries 1280 bytes, WireGuard needs 1480" in told["narrow-path"]
    )
    assert "`ip link set dev wgoverlay mtu 1220`" in told["narrow-path"]
    for daemon in pair.daemons:
        daemon.host.run("ip", "link", "set", "dev", "wgoverlay", "mtu", "1220")
    assert examine(pair.seed)["healthy"], "the remedy helps"


def test_a_stopped_agent_is_named_without_waiting_for_it(
    pair: Mesh, examine: Examine, record_seconds: RecordSeconds
) -> None:
    pair.seed.process.signal(signal.SIGSTOP)

    began = time.monotonic()
    told = faults(examine(pair.seed))
    seconds = time.monotonic() - began
    pair.seed.process.signal(signal.SIGCONT)

    record_seconds("doctor with a stopped agent", seconds, 10)
    assert "is stopped by a signal" in told["agent-stopped"]
    assert "kill -CONT" in told["agent-stopped"]


def test_an_agent_that_is_gone_is_named_with_whoever_has_its_port(
    mesh_of: MeshOf, examine: Examine
) -> None:
    [daemon] = mesh_of(1).daemons
    output = daemon.host.directory / "taker.log"
    daemon.host.spawn([sys.executable, "-c", TAKE_PORT], output)
    wait_for(lambda: "taken" in output.read_text(), 30, "the port to be taken")

    told = faults(examine(daemon))

    assert "systemctl start wesher" in told["no-agent"]
    assert "UDP port 7946 is taken by python" in told["port-taken"]


def test_a_member_whose_agent_is_gone_is_told_from_a_dead_one(
    mesh_of: MeshOf, examine: Examine
) -> None:
    mesh = mesh_of(2)
    mesh.start("--timing", "local")
    mesh.wait_until_complete(60)
    other = mesh.daemons[1]
    assert examine(mesh.seed)["healthy"]
    other.stop(signal.SIGKILL)
    wait_for(lambda: _state_of(mesh.seed, "node2") == "failed", 60, "the other to fail")

    told = faults(examine(mesh.seed))

    assert "node2 is reached through WireGuard, but not by gossip" in told["only-tunnel"]


def _state_of(daemon: Daemon, name: str) -> str | None:
    try:
        status = json.loads(daemon.host.run(*WESHER, "status", "--json"))
    except LabError:
        return None
    return next((one["state"] for one in status["members"] if one["name"] == name), None)
