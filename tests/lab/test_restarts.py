"""Agents, hosts and whole clusters that go down and come back."""

import random
import signal
import time
from collections.abc import Mapping

import pytest

from tests.testbed.lab.daemons import MeshOf, RecordSeconds, ping
from tests.testbed.lab.gossip_lookup import alive
from tests.testbed.lab.netns import wait_for
from wesher.gossip import Record


def test_a_killed_agent_comes_back_without_flags(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(3)
    mesh.start()
    mesh.settle()
    one, victim, _ = mesh.daemons
    address, peers = victim.overlay_address(), one.peers().keys()
    incarnation = _incarnation(mesh.look(one))
    assert incarnation > 0

    victim.stop(signal.SIGKILL)
    started = time.monotonic()
    victim.start()
    wait_for(lambda: _incarnation(mesh.look(one)) > incarnation, 60, "the news")
    wait_for(lambda: alive(mesh.look(victim)) == {"node1", "node2", "node3"}, 60, "the others")
    mesh.wait_until_complete(60)

    record_seconds("back after kill -9", time.monotonic() - started, 5)
    assert victim.overlay_address() == address
    assert one.peers().keys() == peers, "an adopted interface keeps its key"
    assert ping(one, victim.host.name)
    assert ping(victim, one.host.name)


def test_a_host_that_lost_power_comes_back_without_flags(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(3)
    mesh.start()
    mesh.settle()
    one, victim, _ = mesh.daemons
    address = victim.overlay_address()

    victim.stop(signal.SIGKILL)
    victim.host.run("ip", "link", "del", victim.interface)
    started = time.monotonic()
    victim.start()
    wait_for(lambda: victim.overlay_address() == address, 60, "the address")
    mesh.wait_until_complete(60)
    answered = ping(one, victim.host.name)

    record_seconds("back after a power failure", time.monotonic() - started, 5)
    assert answered
    assert ping(victim, one.host.name)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_cluster_stopped_as_a_whole_forms_again(
    seed: int, mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    mesh = mesh_of(4)
    mesh.start()
    mesh.settle()
    addresses = [daemon.overlay_address() for daemon in mesh.daemons]

    mesh.stop()
    for daemon in random.Random(seed).sample(mesh.daemons, k=4):
        daemon.start()
    started = time.monotonic()
    mesh.wait_until_complete(60)
    record_seconds("formed again after all stopped", time.monotonic() - started, 10)

    # One reconcile sets peers first, the address a few milliseconds later.
    wait_for(
        lambda: [daemon.overlay_address() for daemon in mesh.daemons] == addresses, 60, "addresses"
    )


def test_an_orderly_stop_leaves_nothing(mesh_of: MeshOf, record_seconds: RecordSeconds) -> None:
    mesh = mesh_of(2)
    mesh.start()
    mesh.settle()
    one, other = mesh.daemons
    mesh.wait_for_hosts_lines(60)
    host = other.host

    started = time.monotonic()
    status = other.stop(signal.SIGTERM)
    record_seconds("orderly stop", time.monotonic() - started, 2)
    gone = wait_for(lambda: not one.peers() and not one.hosts_lines(), 60, "the peer to go")

    record_seconds("peer gone after an orderly stop", gone, 2)
    assert status == 0
    assert not host.succeeds("ip", "link", "show", other.interface)
    assert host.run("ip", "route", "show", "proto", "87") == ""
    assert other.hosts_lines() == {}


def test_a_handover_stop_keeps_the_traffic_flowing(mesh_of: MeshOf) -> None:
    mesh = mesh_of(2)
    mesh.start()
    mesh.settle()
    one, other = mesh.daemons

    status = other.stop(signal.SIGUSR1)

    assert status == 0
    assert ping(one, other.host.name)
    assert ping(other, one.host.name)
    assert one.peers()


def _incarnation(table: Mapping[str, Record]) -> int:
    """That of the victim, 0 in the table of somebody who did not answer."""
    return table["node2"].incarnation if "node2" in table else 0
