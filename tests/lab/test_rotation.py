"""A mesh changes its cluster key while it runs, and traffic notices nothing."""

import base64
import json
import time

from tests.testbed.lab.daemons import Daemon, MeshOf, new_key, ping
from tests.testbed.lab.gossip_lookup import alive, look
from tests.testbed.lab.netns import wait_for
from tests.testbed.lab.traffic import Flow


def test_three_rollouts_by_reload_lose_no_packet_and_lock_the_old_key_out(
    mesh_of: MeshOf,
) -> None:
    mesh = mesh_of(3)
    one, two, three = mesh.daemons
    old, new = mesh.key, new_key()
    for daemon in mesh.daemons:
        _configure(daemon, old)
        join = [] if daemon is one else ["--join", one.host.address]
        daemon.start(f"--cluster-key-file={_file(daemon)}", "--timing=local", *join)
    mesh.settle()
    assert all(ping(*pair) for pair in ((one, two.host.name), (two, three.host.name)))
    peers = [set(daemon.peers()) for daemon in mesh.daemons]

    with Flow(one, two) as first, Flow(two, three, port=9001) as second:
        for order, ring in (
            ((one, two, three), (old, new)),
            ((three, one, two), (new, old)),
            ((two, three, one), (new,)),
        ):
            for daemon in order:
                _configure(daemon, *ring)
                assert _reload(daemon) == "changed at once: cluster-key\n"
            if ring == (new, old):
                wait_for(lambda: all(map(_all_speak_alike, mesh.daemons)), 20, "one key in use")
            time.sleep(1)  # several rounds of pings

    assert first.sent > 100
    assert (first.lost(), second.lost()) == ([], [])
    assert [set(daemon.peers()) for daemon in mesh.daemons] == peers
    for daemon in mesh.daemons:
        assert "failed" not in daemon.log()
        assert "WARN" not in daemon.log()
    names = {daemon.host.name for daemon in mesh.daemons}
    assert alive(look(two.host, one.host, base64.b64decode(new))) == names
    assert look(two.host, one.host, base64.b64decode(old)) == {}


def _file(daemon: Daemon) -> str:
    return str(daemon.host.directory / "keys")


def _configure(daemon: Daemon, *keys: str) -> None:
    file = daemon.host.directory / "keys"
    file.write_text("".join(f"{key}\n" for key in keys))
    file.chmod(0o600)


def _reload(daemon: Daemon) -> str:
    return daemon.host.run(*daemon.command, "reload")


def _all_speak_alike(daemon: Daemon) -> bool:
    """Tell whether all others speak with the primary key of this one."""
    status = json.loads(daemon.host.run(*daemon.command, "status", "--json"))
    spoken = {member["key_fingerprint"] for member in status["members"]}
    return spoken == {status["node"]["key_fingerprint"]}
