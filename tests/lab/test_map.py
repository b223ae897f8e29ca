"""`wesher map` in a mesh of six with a one-way block, a dead node and one as of the original."""

import json
import signal
from functools import partial
from pathlib import Path
from typing import Any

from tests.testbed.lab.daemons import WESHER, Daemon, MeshOf, ping
from tests.testbed.lab.netns import wait_for

GO_BEHAVING = str(Path(__file__).parents[2] / "scripts/benches/go-behaving")
LINKS = {"-": "itself", "+": "reached", "x": "silent", "?": "unknown"}
EXPECTED = (
    "-++++x",
    "+-x++x",
    "+x-++x",
    "+++-+x",
    "++++-?",
    "xxxx?-",
)
"""Who reaches whom, in a row for each of node1 to node6."""


def mapped(daemon: Daemon) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(
        daemon.host.run(*WESHER, "map", "--json", check=False, timeout=30)
    )
    return told


def test_the_map_is_right_cell_by_cell_and_so_is_its_verdict(mesh_of: MeshOf) -> None:
    mesh = mesh_of(6)
    one, two, three, _, go, dead = mesh.daemons
    go.command = [GO_BEHAVING]
    mesh.start("--timing", "local")
    mesh.wait_until_complete(60)
    wait_for(lambda: mapped(one)["healthy"], 30, "all to reach all")
    address = three.overlay_address()
    assert address
    assert ping(two, address)
    dead.stop(signal.SIGKILL)
    dead.host.run("ip", "link", "delete", dead.interface)
    rule = f"ip saddr {two.host.address} udp dport 51820 drop"
    three.host.run("nft", "add table inet lab")
    three.host.run("nft", "add chain inet lab in { type filter hook input priority 0 ; }")
    three.host.run("nft", f"add rule inet lab in {rule}")
    wait_for(partial(_has_failed, one), 30, "node6 to fail")

    told = mapped(one)

    assert [one["name"] for one in told["members"]] == [f"node{at}" for at in range(1, 7)]
    assert told["matrix"] == [[LINKS[sign] for sign in row] for row in EXPECTED]
    assert [one["tells"] for one in told["members"]] == ["told"] * 4 + ["go", "silent"]
    assert [one["text"] for one in told["verdict"]] == [
        "node6 is reached by nobody and does not answer, and has failed: is it down?",
        "node2 and node3 do not reach each other: what node2 sends does not arrive at node3; "
        "both reach everybody else that anybody reaches",
        "nobody else has trouble among the 9 of 15 tunnels",
        "1 of 15 tunnels are not known: node5 and node6 cannot tell",
    ]
    assert any(one["event"] == "failed" and one["member"] == "node6" for one in told["events"])


def _has_failed(daemon: Daemon) -> bool:
    members = {one["name"]: one["state"] for one in mapped(daemon)["members"]}
    return bool(members["node6"] == "failed")
