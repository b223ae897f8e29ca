"""Several clusters on one host, and somebody else's VPN beside them."""

import shutil
import signal

import pytest

from tests.testbed.lab.daemons import WESHER, Daemon, new_key
from tests.testbed.lab.netns import Host, Lab, LabOf, Process, wait_for

FOREIGN = "vpn0"
FILE = "/etc/wesher/lab.toml"
SECOND = """
interface = "wglab"
cluster-port = 7947
wireguard-port = 51821
overlay-net = "10.77.0.0/16"
"""


@pytest.fixture
def instances(lab_of: LabOf) -> list[Daemon]:
    """Two agents on one host, each in a mesh of its own, as the two units start them."""
    lab: Lab = lab_of(1)
    [host] = lab.hosts
    host.run("mkdir", "-p", "/etc/wesher")
    host.path(FILE).write_text(SECOND)
    made = [Daemon(lab, host), Daemon(lab, host, interface="wglab")]
    for daemon, flags in zip(made, ((), ("--config", FILE)), strict=True):
        daemon.start("--cluster-key", new_key(), *flags)
        wait_for(lambda daemon=daemon: status_of(daemon), 60, f"{daemon.interface}")
        wait_for(daemon.overlay_address, 60, f"the address of {daemon.interface}")
    return made


def status_of(daemon: Daemon) -> bool:
    return daemon.host.succeeds(*WESHER, "status", "--interface", daemon.interface)


def start_foreign(host: Host) -> Process:
    """Run somebody else's wireguard-go."""
    process = host.spawn(["wireguard-go", "-f", FOREIGN], host.directory / "foreign.log")
    wait_for(lambda: host.succeeds("wg", "show", FOREIGN), 60, "the foreign device")
    return process


@pytest.mark.skipif(shutil.which("wireguard-go") is None, reason="needs wireguard-go")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_the_end_of_one_instance_leaves_the_other_and_a_foreign_device(
    instances: list[Daemon], number: signal.Signals
) -> None:
    one, other = instances
    host = one.host
    foreign = start_foreign(host)
    address = other.overlay_address()

    one.stop(number)

    assert not status_of(one)
    assert status_of(other)
    assert (other.lives(), other.overlay_address()) == (True, address)
    assert foreign.running
    assert host.succeeds("wg", "show", FOREIGN)


def test_a_cleanup_of_all_leaves_the_instance_that_runs(instances: list[Daemon]) -> None:
    one, other = instances
    host = one.host
    one.stop(signal.SIGKILL)

    cleaned = host.succeeds(*WESHER, "cleanup", "--all")

    assert not cleaned, "one of the two is held"
    assert not host.succeeds("ip", "link", "show", one.interface)
    assert status_of(other)


def test_each_unit_reloads_its_own_instance(instances: list[Daemon]) -> None:
    host = instances[0].host
    host.path(FILE).write_text(f'{SECOND}forget-after = "1h"\n')

    default = host.run(*WESHER, "reload")
    lab = host.run(*WESHER, "reload", "--config", FILE)

    assert default == "nothing has changed\n"
    assert lab == "changed at once: forget-after\n"
