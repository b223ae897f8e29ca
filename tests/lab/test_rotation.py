"""A mesh changes its cluster key while it runs, and traffic notices nothing."""

import base64
import json
import signal
import time
from typing import Any

from tests.testbed.lab.daemons import Daemon, MeshOf, new_key, ping
from tests.testbed.lab.gossip_lookup import alive, look
from tests.testbed.lab.netns import LabError, wait_for
from tests.testbed.lab.traffic import Flow
from wesher.base.naming import fingerprint


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


def test_one_command_changes_the_key_of_all_while_one_is_down_and_locks_the_old_one_out(
    mesh_of: MeshOf,
) -> None:
    mesh = mesh_of(5)
    mesh.start("--timing=local")
    mesh.settle()
    one, two, three, _, away = mesh.daemons
    there = [daemon for daemon in mesh.daemons if daemon is not away]
    assert all(ping(*pair) for pair in ((one, two.host.name), (two, three.host.name)))
    away.stop(signal.SIGKILL)
    wait_for(lambda: _failed(one, away), 20, "the one that is down to be held for failed")

    with Flow(one, two) as first, Flow(two, three, port=9001) as second:
        _key(one, "rotate", "--grace=0")
        one.stop(signal.SIGKILL)  # the others go on without it
        wait_for(lambda: all(_uses_new(daemon, mesh.key) for daemon in there[1:]), 20, "its use")
        one.start("--timing=local")
        wait_for(lambda: _uses_new(one, mesh.key), 20, "its use by who ordered it")
        assert away.host.name in str(_change(two)["waiting"])
        away.start("--timing=local")
        wait_for(lambda: all(_is_over(daemon) for daemon in mesh.daemons), 30, "the end")
        time.sleep(1)

    assert first.sent > 50
    assert (first.lost(), second.lost()) == ([], [])
    assert len({_fingerprint(daemon) for daemon in mesh.daemons}) == 1
    assert look(two.host, one.host, base64.b64decode(mesh.key)) == {}
    wait_for(lambda: mesh.key not in away.state_file.read_text(), 10, "it to be forgotten")
    three.stop()
    three.start("--timing=local", f"--cluster-key={mesh.key}")
    wait_for(lambda: _fingerprint(three) == _fingerprint(two), 20, "the key of the state file")
    assert "this host's configuration has only" in three.log()


def _key(daemon: Daemon, *arguments: str) -> None:
    daemon.host.run(*daemon.command, "key", *arguments)


def _keys(daemon: Daemon) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(daemon.host.run(*daemon.command, "key", "status", "--json"))
    return told


def _change(daemon: Daemon) -> dict[str, Any]:
    """Return the change that a member knows; nothing while it starts."""
    try:
        return _keys(daemon)["change"] or {"step": None}
    except LabError:
        return {"step": None}


def _fingerprint(daemon: Daemon) -> str | None:
    """Return that of the primary key; None while the member starts."""
    try:
        return str(_keys(daemon)["keys"][0]["fingerprint"])
    except LabError:
        return None


def _uses_new(daemon: Daemon, old: str) -> bool:
    return _fingerprint(daemon) not in {None, fingerprint(base64.b64decode(old))}


def _is_over(daemon: Daemon) -> bool:
    return bool(_change(daemon)["step"] == "over")


def _failed(daemon: Daemon, other: Daemon) -> bool:
    status = json.loads(daemon.host.run(*daemon.command, "status", "--json"))
    states = {member["name"]: str(member["state"]) for member in status["members"]}
    return states[other.host.name] == "failed"
