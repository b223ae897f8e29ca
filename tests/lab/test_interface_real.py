"""The device with the true `wg`, `ip` and WireGuard, on one host of a lab."""

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.testbed.lab.netns import LabOf

# Runs on the host: `device`, `plan(1, 2)`, `peer(1)` and `tell(value)` are at hand for each story.
_PRELUDE = """
import asyncio, base64, json, os, subprocess
from ipaddress import ip_address, ip_network
from wesher.base.addresses import Address
from wesher.base.errors import WesherError
from wesher.mesh.base.plan import InterfaceSettings, Peer, Plan
from wesher.system import interface
from wesher.system import host_facts
from wesher.system.device import Device
from wesher.system.network import read_network
from wesher.system.interface import clean_up
from wesher.system.wireguard import generate_private_key, public_key_of

def key(number):
    return public_key_of(base64.b64encode((number << 99).to_bytes(32, "big")).decode())

def peer(number):
    overlay = ip_network(f"10.9.{number // 256}.{number % 256}")
    return Peer(Address("192.168.77.250", 51820), (overlay,))

def plan(*numbers, address="10.1.2.3", complete=True):
    settings = InterfaceSettings(ip_address(address), 51820)
    return Plan(settings, {key(number): peer(number) for number in numbers}, complete=complete)

def shown(*argv):
    return subprocess.run(argv, capture_output=True, text=True).stdout

def peers():
    return sorted(shown("wg", "show", "wg0", "peers").split())

def routes():
    lines = shown("ip", "route", "show", "proto", "87").splitlines()
    return sorted(line.split()[0] for line in lines)

def tell(**values):
    print(json.dumps(values))

async def story():
"""


Tell = Callable[[str], dict[str, Any]]


@pytest.fixture
def tell(lab_of: LabOf) -> Tell:
    """Run a story on a host of its own and return what it tells."""
    (host,) = lab_of(1).hosts

    def run(story: str) -> dict[str, Any]:
        body = "".join(f"    {line}\n" for line in story.strip().splitlines())
        program = f"{_PRELUDE}{body}\nasyncio.run(story())\n"
        told: dict[str, Any] = json.loads(host.run(sys.executable, "-", stdin=program, timeout=60))
        return told

    return run


def test_from_nothing_to_a_mesh_and_back(tell: Tell) -> None:
    told = tell("""
device = await Device.open("wg0")
first = await device.apply(plan(complete=False))
second = await device.apply(plan(1, 2, 3))
third = await device.apply(plan(1, 2, 3))
fourth = await device.apply(plan(2, 3, 4, address="10.1.2.4"))
have = [peers() == sorted(map(key, (2, 3, 4))), routes()]
link = (await read_network()).links["wg0"]
addresses = [str(one.network) for one in link.addresses if one.lasting]
leftovers = await device.close(10)
tell(changed=[first.changed, second.changed, third.changed, fourth.changed],
     failed=[*first.failed, *second.failed, *third.failed, *fourth.failed],
     have=have, link=[link.up, link.mtu, link.alias], addresses=addresses, left=len(leftovers),
     public=device.public_key, links=sorted((await read_network()).links))
""")

    assert told["changed"] == [True, True, False, True]
    assert told["failed"] == []
    assert told["have"] == [True, ["10.9.0.2", "10.9.0.3", "10.9.0.4"]]
    assert told["link"] == [True, 1420, "wesher"]
    assert told["addresses"] == ["10.1.2.4/32"]
    assert told["left"] == 0
    assert told["links"] == ["eth0", "lo"]


def test_ipv6_overlays_work_alike(tell: Tell) -> None:
    told = tell("""
device = await Device.open("wg0")
six = {key(1): Peer(Address("2001:db8::1", 9), (ip_network("fd77::1"),))}
wanted = Plan(InterfaceSettings(ip_address("fd77::9"), 51820), six, complete=True)
changed = [(await device.apply(wanted)).changed for _ in range(2)]
changed.append((await device.apply(plan())).changed)
tell(changed=changed, six=shown("ip", "-6", "route", "show", "proto", "87"))
""")

    assert told == {"changed": [True, False, True], "six": ""}


def test_a_thousand_peers_are_set_and_unset(tell: Tell) -> None:
    told = tell("""
device = await Device.open("wg0")
applied = await device.apply(plan(*range(1, 1001)))
full = [len(peers()), len(routes())]
again = await device.apply(plan(*range(1, 1001)))
await device.apply(plan())
tell(full=full, empty=[len(peers()), len(routes())], failed=applied.failed, again=again.changed)
""")

    assert told == {"full": [1000, 1000], "empty": [0, 0], "failed": [], "again": False}


def test_key_and_peers_survive_the_agent(tell: Tell) -> None:
    program = """
device = await Device.open("wg0")
applied = await device.apply(plan(1, 2))
tell(key=device.public_key, adopted=device.adopted, changed=applied.changed)
"""
    first, second = tell(program), tell(program)

    assert (first["adopted"], first["changed"]) == (False, True)
    assert second == {"key": first["key"], "adopted": True, "changed": False}


@pytest.mark.parametrize(
    "damage",
    [
        ["ip", "link", "del", "wg0"],
        ["ip", "link", "set", "wg0", "down"],
        ["ip", "address", "flush", "dev", "wg0"],
        ["ip", "route", "flush", "dev", "wg0", "proto", "87"],
        ["wg", "set", "wg0", "private-key", "/dev/null"],
    ],
    ids=" ".join,
)
def test_what_somebody_broke_is_repaired(tell: Tell, damage: str) -> None:
    told = tell(f"""
device = await Device.open("wg0")
await device.apply(plan(1, 2))
shown(*{damage!r})
one, two = await device.apply(plan(1, 2)), await device.apply(plan(1, 2))
link = (await read_network()).links["wg0"]
tell(repaired=len(one.repaired), after=two.changed, peers=len(peers()), routes=len(routes()),
     up=link.up, addresses=[str(one.ip) for one in link.addresses if one.lasting],
     key=shown("wg", "show", "wg0", "public-key").strip() == device.public_key)
""")

    assert told.pop("repaired") > 0
    assert told == {
        "after": False,
        "peers": 2,
        "routes": 2,
        "up": True,
        "addresses": ["10.1.2.3"],
        "key": True,
    }


def test_one_bad_endpoint_does_not_block_the_others(tell: Tell) -> None:
    told = tell("""
device = await Device.open("wg0")
wanted = plan(*range(1, 20))
wanted.peers["not a key"] = peer(77)
applied = await device.apply(wanted)
tell(peers=len(peers()), failed=applied.failed)
""")

    assert told == {
        "peers": 19,
        "failed": ["peer not a key: Key is not the correct length or format: `not a key'"],
    }


def test_a_killed_wireguard_go_is_replaced_over_its_stale_socket(
    tell: Tell,
) -> None:
    told = tell("""
await interface.create_in_userspace("wg0")
device = await Device.open("wg0")
await device.apply(plan(1))
pids = [int(pid) for pid in os.listdir("/proc") if pid.isdigit()
        and "wireguard-go" in open(f"/proc/{pid}/comm").read()]
os.kill(pids[0], 9)
while "wg0" in (await read_network()).links:
    pass
stale = os.path.exists("/run/wireguard/wg0.sock")
await interface.create_in_userspace("wg0")
applied = await device.apply(plan(1))
tell(stale=stale, peers=len(peers()), failed=applied.failed)
""")

    assert told == {"stale": True, "peers": 1, "failed": []}


def test_a_name_served_in_another_namespace_is_explained(
    tell: Tell,
) -> None:
    told = tell("""
shown("unshare", "-n", "wireguard-go", "wg0")
try:
    await interface.create_in_userspace("wg0")
except WesherError as error:
    tell(error=str(error))
""")

    assert "another wireguard-go serves an interface named wg0" in told["error"]
    assert "choose another with --interface" in told["error"]


def test_a_foreign_interface_is_refused(tell: Tell) -> None:
    told = tell("""
shown("ip", "link", "add", "wg0", "type", "bridge")
try:
    await Device.open("wg0")
except WesherError as error:
    tell(error=str(error), link=(await read_network()).links["wg0"].alias)
""")

    assert "wesher did not make it" in told["error"]
    assert told["link"] is None


def test_what_a_crash_left_is_cleaned_up(tell: Tell) -> None:
    tell("""
device = await Device.open("wg0")
await device.apply(plan(1, 2))
tell()
""")

    told = tell("""
found, leftovers = await clean_up("wg0")
tell(found=found, left=len(leftovers), links=sorted((await read_network()).links), routes=routes())
""")

    assert told == {
        "found": ["interface wg0"],
        "left": 0,
        "links": ["eth0", "lo"],
        "routes": [],
    }


def test_a_borrowed_interface_is_given_back(tell: Tell) -> None:
    told = tell("""
await interface.create_in_userspace("wg0")
shown("ip", "link", "set", "wg0", "mtu", "1300", "alias", "mine")
before = (await read_network()).links["wg0"]
device = await Device.open("wg0")
await device.apply(plan(1, 2))
during = [len(peers()), len(routes())]
leftovers = await device.close(10)
tell(during=during, left=len(leftovers), peers=peers(), routes=routes(),
     key=shown("wg", "show", "wg0", "private-key").strip(),
     same=(await read_network()).links["wg0"] == before)
""")

    assert told == {
        "during": [2, 2],
        "left": 0,
        "peers": [],
        "routes": [],
        "key": "(none)",
        "same": True,
    }


def test_the_hosts_facts_are_read(tell: Tell) -> None:
    told = tell("""
network = await read_network()
found = host_facts.host_facts(network, "wg0")
tell(address=str(host_facts.default_route_address(network)),
     bound=str(host_facts.first_global_address(network, "eth0")),
     connected=sorted(map(str, found.connected)), hops=sorted(map(str, found.next_hops)),
     own=sorted(map(str, found.own_addresses)))
""")

    assert told["address"] == told["bound"] == "192.168.77.1"
    assert {"127.0.0.0/8", "192.168.77.0/24"} <= set(told["connected"])
    assert told["hops"] == ["192.168.77.254"]
    assert {"127.0.0.1", "192.168.77.1"} <= set(told["own"])
