"""The lab itself: what it promises to demo, bench and the tests here."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.testbed.lab.daemons import RecordSeconds
from tests.testbed.lab.interfaces import seen_peers
from tests.testbed.lab.netns import LabError, LabOf, wait_for

_ROOT = Path(__file__).resolve().parents[2]
_HOLD_A_LAB = """
import time
from tests.testbed.lab.netns import Lab
lab = Lab(1)
lab.hosts[0].run("sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 &")
print(lab.hosts[0].run("readlink", "/proc/self/ns/net"), flush=True)
time.sleep(60)
"""


def test_hosts_reach_each_other_until_a_cable_is_pulled(lab_of: LabOf) -> None:
    lab = lab_of(2)
    one, other = lab.hosts

    def reached() -> bool:
        return one.succeeds("ping", "-c", "1", "-W", "1", other.address)

    wait_for(reached, 60, "an answer")
    lab.cut(other)
    assert not reached()
    lab.heal(other)
    wait_for(reached, 60, "an answer again")


def test_hosts_have_files_and_names_of_their_own(lab_of: LabOf) -> None:
    one, other = lab_of(2).hosts

    one.run("sh", "-c", "echo 10.0.0.1 mark >/etc/hosts.new && mv /etc/hosts.new /etc/hosts")

    assert one.run("hostname").strip() == "node1"
    assert one.path("/etc/hosts").read_text() == "10.0.0.1 mark\n"
    assert "mark" not in other.path("/etc/hosts").read_text()
    assert "mark" not in Path("/etc/hosts").read_text()


def test_a_socket_lives_in_its_host(lab_of: LabOf) -> None:
    one, other = lab_of(2).hosts
    with one.socket(socket.SOCK_DGRAM) as sending, other.socket(socket.SOCK_DGRAM) as receiving:
        receiving.bind((other.address, 9))
        receiving.settimeout(0.5)

        def arrives() -> bytes | None:
            sending.sendto(b"hello", (other.address, 9))
            try:
                return receiving.recvfrom(16)[0]
            except TimeoutError:
                return None

        wait_for(lambda: arrives() == b"hello", 60, "a packet to arrive")


def test_peers_are_read_as_wg_shows_them(lab_of: LabOf) -> None:
    lab = lab_of(1)
    host = lab.hosts[0]
    if lab.kernel_wireguard:
        host.run("ip", "link", "add", "wgoverlay", "type", "wireguard")
    else:
        host.run("wireguard-go", "wgoverlay")
    key = host.run("wg", "genkey").strip()

    host.run("wg", "set", "wgoverlay", "peer", key, "endpoint", "192.168.77.9:1")
    host.run("wg", "set", "wgoverlay", "peer", key, "allowed-ips", "10.0.0.1/32,10.0.0.2/32")

    by_wg = seen_peers(host, "wgoverlay", kernel=True)
    assert seen_peers(host, "wgoverlay", kernel=lab.kernel_wireguard) == by_wg
    assert by_wg[key].endpoint == "192.168.77.9:1"
    assert by_wg[key].allowed_ips == {"10.0.0.1/32", "10.0.0.2/32"}
    assert seen_peers(host, "wgother", kernel=lab.kernel_wireguard) == {}


def test_a_process_tells_how_it_ended(lab_of: LabOf) -> None:
    host = lab_of(1).hosts[0]
    sleeping = host.spawn(["sleep", "60"], host.directory / "sleep.log")
    failing = host.spawn(["sh", "-c", "echo no; exit 3"], host.directory / "fail.log")

    sleeping.signal(signal.SIGTERM)

    assert sleeping.wait(5) == -signal.SIGTERM
    assert failing.wait(5) == 3
    assert (host.directory / "fail.log").read_text() == "no\n"


def test_a_command_that_fails_is_an_error(lab_of: LabOf) -> None:
    host = lab_of(1).hosts[0]

    with pytest.raises(LabError, match=r"on node1 failed: .*nonesuch"):
        host.run("ip", "link", "del", "nonesuch")


def test_nothing_outlives_a_lab_whose_process_is_killed() -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD_A_LAB], cwd=_ROOT, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout
        namespace = holder.stdout.readline().strip()
        assert _processes_in(namespace)

        holder.kill()

    wait_for(lambda: not _processes_in(namespace), 60, "the lab to end")


def test_thirty_hosts_are_ready_soon(lab_of: LabOf, record_seconds: RecordSeconds) -> None:
    started = time.monotonic()

    lab_of(30)

    record_seconds("thirty hosts made", time.monotonic() - started, 10)


def _processes_in(namespace: str) -> list[str]:
    found = []
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            if os.readlink(link) == namespace:
                found.append(link.parts[2])
        except OSError:
            continue
    return found
