"""Members that return changed, late or twice, and members that do not return."""

import json
import os
import random
import re
import signal
import time

import pytest

from tests.testbed.lab.daemons import WESHER, Daemon, MeshOf, RecordSeconds, ping
from tests.testbed.lab.gossip_lookup import alive
from tests.testbed.lab.netns import wait_for
from tests.testbed.lab.tables import given_up, hold_alive, table_of

LONG_SLEEP = float(os.environ.get("WESHER_LAB_SLEEP", "0"))
"""Seconds that a sleeper sleeps with the usual timing; without it: less, with quick timing."""
SUSPICION = 18  # seconds that one lasts with quick timing when nobody else confirms it


def test_a_member_returns_with_another_underlay_address(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(3)
    mesh.start()
    mesh.settle()
    one, other, victim = mesh.daemons
    overlay_address, keys = victim.overlay_address(), one.peers().keys()

    victim.stop(signal.SIGKILL)
    renumber(victim, "192.168.77.103")
    victim.start()
    started = time.monotonic()
    for daemon in (one, other):
        wait_for(lambda daemon=daemon: "192.168.77.103:51820" in endpoints(daemon), 60, "the move")
    wait_for(lambda: hold_alive(mesh, mesh.daemons), 60, "all to hold all alive")

    record_seconds("returned with another underlay address", time.monotonic() - started, 10)
    assert one.peers().keys() == keys
    assert victim.overlay_address() == overlay_address
    assert ping(one, victim.host.name)
    assert ping(victim, other.host.name)


def test_a_cluster_whose_hosts_all_lost_power_forms_again(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(4)
    mesh.start()
    mesh.settle()
    addresses = [daemon.overlay_address() for daemon in mesh.daemons]
    for daemon in mesh.daemons:
        daemon.stop(signal.SIGKILL)
        daemon.host.run("ip", "link", "del", daemon.interface)

    for daemon in random.Random(1).sample(mesh.daemons, k=4):
        daemon.start()
    started = time.monotonic()
    wait_for(lambda: [one.overlay_address() for one in mesh.daemons] == addresses, 60, "addresses")
    wait_for(lambda: hold_alive(mesh, mesh.daemons), 60, "all to hold all alive")
    mesh.wait_until_complete(60)
    answered = ping(mesh.seed, "node4")

    record_seconds("formed again after all lost power", time.monotonic() - started, 10)
    assert answered


def test_of_two_newcomers_of_one_name_one_stays(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(3)
    seed, *twins = mesh.daemons
    mesh.start_one(seed)
    wait_for(seed.overlay_address, 60, "the seed")

    for twin in twins:
        mesh.start_one(twin, "--node-name", "twin")
    started = time.monotonic()
    wait_for(lambda: not all(twin.process.running for twin in twins), 60, "one to give way")
    record_seconds("one of two of the same name gave way", time.monotonic() - started, 15)

    loser, winner = sorted(twins, key=lambda twin: twin.process.running)
    assert loser.exit_status() == 1
    assert f"another live member, at {winner.host.address}:7946" in loser.log()
    wait_for(lambda: endpoints(seed) == {f"{winner.host.address}:51820"}, 60, "the other")
    wait_for(lambda: "twin" in seed.hosts_lines(), 60, "its /etc/hosts entry")
    assert winner.lives()
    assert ping(seed, "twin")


def test_a_forgotten_member_is_gone_everywhere_and_may_return(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(4)
    mesh.start("--timing", "local")
    mesh.settle()
    *others, victim = mesh.daemons
    victim.stop(signal.SIGKILL)
    wait_for(lambda: given_up(mesh, [victim], by=others), 60, "the failure to be noticed")
    assert all(len(daemon.peers()) == 3 for daemon in others), "a failed member keeps its peer"

    others[1].host.run(*WESHER, "forget", victim.host.name)
    forgotten = time.monotonic()
    mesh.wait_until_complete(60, others)
    record_seconds("forgotten everywhere", time.monotonic() - forgotten, 3)

    victim.start("--timing", "local")
    started = time.monotonic()
    wait_for(lambda: hold_alive(mesh, mesh.daemons), 60, "its return")
    mesh.wait_until_complete(60)
    record_seconds("returned after having been forgotten", time.monotonic() - started, 10)


@pytest.mark.timeout(120 + 2 * LONG_SLEEP)
def test_a_sleeper_fails_nobody_and_brings_nobody_back(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    """It falls asleep while it suspects somebody, for longer than a suspicion lasts."""
    mesh = mesh_of(3)
    mesh.start("--timing", "wan" if LONG_SLEEP else "local", "--log-level", "info")
    mesh.settle()
    one, leaves, sleeper = mesh.daemons

    mesh.lab.cut(sleeper.host)
    name = one.host.name
    wait_for(lambda: name not in alive(table_of(mesh, sleeper)), 60, "the sleeper to suspect it")
    sleeper.process.signal(signal.SIGSTOP)
    failed_before = said(sleeper, "failed")
    mesh.lab.heal(sleeper.host)
    leaves.stop()
    time.sleep(max(LONG_SLEEP, SUSPICION + 1))
    sleeper.process.signal(signal.SIGCONT)
    woken = time.monotonic()
    wait_for(lambda: hold_alive(mesh, [one, sleeper]), 60, "both to hold each other alive")
    mesh.wait_until_complete(60, [one, sleeper])

    record_seconds("all was well again after a sleep", time.monotonic() - woken, 10)
    time.sleep(LONG_SLEEP / 3)  # in which what the sleeper told would come to light
    assert hold_alive(mesh, [one, sleeper])
    assert said(sleeper, "failed") == failed_before
    findings = json.loads(sleeper.host.run(*WESHER, "doctor", "--json"))["findings"]
    assert "slept" in {finding["trouble"] for finding in findings}
    assert "agent-silent" not in {finding["trouble"] for finding in findings}


def renumber(daemon: Daemon, address: str) -> None:
    """Give a host another address on the wire."""
    commands = f"""
        address del {daemon.host.address}/24 dev eth0
        address add {address}/24 dev eth0
        route replace default via 192.168.77.254
    """
    daemon.host.run("ip", "-batch", "-", stdin=commands)
    daemon.host.address = address


def endpoints(daemon: Daemon) -> set[str]:
    """Where its peers are."""
    return {peer.endpoint for peer in daemon.peers().values()}


def said(daemon: Daemon, what: str) -> list[str]:
    """Of which members its log says so."""
    return re.findall(rf"member (\S+) {what}", daemon.log())
