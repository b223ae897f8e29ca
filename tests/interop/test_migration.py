"""A mesh of Go members is replaced by agents of ours, host by host, as docs/migration.md says.

The Go members gossip and publish what the original does, but have no WireGuard: so the traffic that
must not suffer flows between the first two hosts that run ours, while the others are replaced.
"""

import json
import re
import signal
from base64 import b64encode
from collections.abc import Callable
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest

from tests.interop.golang import GoMember, GoOf
from tests.testbed.agents import new_key
from tests.testbed.lab.daemons import Daemon, Mesh, ping
from tests.testbed.lab.netns import Host, Lab, Process, wait_for
from wesher.mesh.base.address import overlay_address
from wesher.mesh.base.metadata import Metadata, MetadataFormat, encode_metadata

PATIENCE = 60.0  # seconds
HOSTS = 4
INTERVAL = 0.1  # seconds between two packets of the flow


class Old:
    """A host that still runs the original: its Go member, and what that has written."""

    def __init__(self, go_of: GoOf, host: Host, cluster_key: str, style: MetadataFormat) -> None:
        self.host = host
        self.overlay = str(overlay_address(host.name, ip_interface("10.0.0.0/8")))
        self.meta = encode_metadata(Metadata(ip_address(self.overlay), new_key()), style)
        meta = b64encode(self.meta).decode()
        self.node = {"Name": host.name, "Addr": host.address, "Meta": meta}
        self.go = go_of(
            host.name,
            host.address,
            key=cluster_key,
            timing="lan",
            meta=self.meta.hex(),
            prefix=("nsenter", "-t", str(host._pid), "-n", "--"),
        )

    def save(self, others: list["Old"], cluster_key: str, file: str) -> None:
        """Write what the original keeps across a restart."""
        state = {"ClusterKey": cluster_key, "Nodes": [other.node for other in others]}
        path = self.host.path("/var/lib/wesher")
        path.mkdir(exist_ok=True)
        (path / file).write_text(json.dumps(state))

    def stop(self) -> None:
        """Leave, as the original does."""
        self.go.do("leave")
        self.go.kill()


class Flow:
    """Packets that one host sends to another through the overlay, all the time."""

    def __init__(self, source: Daemon, target: str) -> None:
        self._output: Path = source.host.directory / "flow.out"
        argv = ["ping", "-n", "-i", str(INTERVAL), target]
        self._process: Process = source.host.spawn(argv, self._output)

    @property
    def answered(self) -> list[int]:
        """The numbers of the packets that were answered so far."""
        return [int(number) for number in re.findall(r"icmp_seq=(\d+) ", self._output.read_text())]

    def stop(self) -> int:
        """End it; returns how many packets before the last answered one were not answered."""
        self._process.signal(signal.SIGINT)
        self._process.wait(30)
        answered = set(self.answered)
        return len(set(range(1, max(answered) + 1)) - answered)


@pytest.fixture
def mesh(lab_of: Callable[[int], Lab]) -> Mesh:
    return Mesh(lab_of(HOSTS))


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("style", "file"), [("current", "wgoverlay.json"), ("v0.2", "state.json")])
def test_go_members_are_replaced_one_by_one(
    mesh: Mesh, go_of: GoOf, style: MetadataFormat, file: str
) -> None:
    old = [Old(go_of, host, mesh.key, style) for host in mesh.lab.hosts]
    for one in old:
        one.go.join(old[0].host.address)
    for one in old:
        wait_for(lambda go=one.go: len(go.members) == HOSTS, PATIENCE, "the mesh of old")
        one.save([other for other in old if other is not one], mesh.key, file)
    flow = None

    for number, (one, daemon) in enumerate(zip(old, mesh.daemons, strict=True), start=1):
        one.stop()
        daemon.start("--timing", "lan", "--metadata-format", style)
        wait_until_replaced(one, daemon, still_go=old[number:])
        if number == 2:
            wait_for(lambda: ping(mesh.seed, old[1].overlay, 1), PATIENCE, "the first traffic")
            flow = Flow(mesh.seed, old[1].overlay)
            wait_for(lambda flow=flow: flow.answered, PATIENCE, "the flow")

    mesh.wait_until_complete(PATIENCE)
    for one, daemon in zip(old, mesh.daemons, strict=True):
        others = {other.host.name: other.overlay for other in old if other is not one}
        wait_for(
            lambda d=daemon, o=others: d.hosts_lines() == o, PATIENCE, "all /etc/hosts entries"
        )
        wait_for(lambda o=one: ping(mesh.daemons[-1], o.overlay, 1), PATIENCE, "traffic everywhere")
    assert flow
    assert flow.stop() == 0


def wait_until_replaced(one: Old, daemon: Daemon, still_go: list[Old]) -> None:
    """Return once the agent has the old member's address, and all others for peers, and they it."""
    wait_for(lambda: daemon.overlay_address() == one.overlay, PATIENCE, "the old address")
    wait_for(lambda: len(daemon.peers()) == HOSTS - 1, PATIENCE, "all peers")
    for other in still_go:
        assert not other.go.heard("conflict")
        wait_for(lambda go=other.go: has_ours(go, one), PATIENCE, f"it at {other.host.name}")


def has_ours(go: GoMember, one: Old) -> bool:
    """Tell whether a Go member knows the host as before, with another WireGuard key."""
    member = go.members.get(one.host.name)
    if member is None or member["ip"] != one.host.address:
        return False
    read = [member[style] for style in ("current", "v0.2") if "error" not in member[style]]
    addresses = {each["address"].partition("/")[0] for each in read}
    return addresses == {one.overlay} and bytes.fromhex(member["meta"]) != one.meta
