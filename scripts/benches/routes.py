"""What it costs to look after a host that has a large routing table."""

import json
import sys

from scripts.benches.measuring import Options, Result, say
from tests.testbed.lab.netns import Host, Lab

_FOREIGN = 50_000
_RECONCILES = 100
_PEERS = 10

# Runs on the host: reconciles while nothing changes, and tells the CPU time of one, with its tools.
_PROGRAM = """
import asyncio, base64, json, os, resource, sys, time
from ipaddress import ip_address, ip_network
from wesher.base.addresses import Address
from wesher.mesh.base.plan import InterfaceSettings, Peer, Plan
from wesher.system.device import Device
from wesher.system.host_facts import host_facts
from wesher.system.network import KnownRoutes
from wesher.system.network import Scope
from wesher.system.wireguard import public_key_of
from wesher.agent.watch import HEARS_AFTER, Watch

known, peers, reconciles = sys.argv[1] == "known", int(sys.argv[2]), int(sys.argv[3])

def key(number):
    return public_key_of(base64.b64encode((number << 99).to_bytes(32, "big")).decode())

def peer(number):
    endpoint = Address("192.168.77.250", 51820)
    return Peer(endpoint, (ip_network(f"10.99.0.{number}"),))

def cpu():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)

async def main():
    routes = KnownRoutes(Scope("wgoverlay", ip_network("10.99.0.0/16")))
    device = await Device.open("wgoverlay", routes=routes)
    settings = InterfaceSettings(ip_address("10.99.1.1"), 51820)
    plan = Plan(settings, {key(number): peer(number) for number in range(1, peers + 1)})
    watch = None
    if known:
        watch = asyncio.create_task(Watch("wgoverlay", None, routes, lambda: None).run())
        await asyncio.sleep(HEARS_AFTER + 0.5)
    for _ in range(3):
        await device.apply(plan)
        await asyncio.sleep(0.3)
    before = cpu()
    for _ in range(reconciles):
        applied = await device.apply(plan)
        assert not applied.changed and not applied.failed
        assert len(applied.network.marked["wgoverlay"]) == peers
        host_facts(applied.network, "wgoverlay")
    print(json.dumps((cpu() - before) / reconciles * 1000))
    await device.close(10)
    if watch:
        watch.cancel()

asyncio.run(main())
"""


def measure(options: Options) -> Result:
    """Milliseconds of CPU that a reconcile takes, with its tools: without foreign routes, with."""
    with Lab(2) as lab:
        few, many = lab.hosts
        _add_routes(many)
        runs = [(_cost(few), _cost(many)) for _ in range(options.runs)]
        every_time = _cost(many, "unknown", 10)
    without, having = (sorted(values)[len(values) // 2] for values in zip(*runs, strict=True))
    return {
        "foreign_routes": _FOREIGN,
        "reconciles": _RECONCILES,
        "cpu_ms_without": round(without, 2),
        "cpu_ms_with": round(having, 2),
        "ratio": round(having / without, 3),
        "cpu_ms_reading_all": round(every_time, 1),
    }


def _add_routes(host: Host) -> None:
    lines = (
        f"route add {20 + number // 65536}.{number // 256 % 256}.{number % 256}.0/24 "
        "via 192.168.77.254\n"
        for number in range(_FOREIGN)
    )
    host.run("ip", "-batch", "-", stdin="".join(lines), timeout=60)


def _cost(host: Host, known: str = "known", reconciles: int = _RECONCILES) -> float:
    words = [sys.executable, "-", known, str(_PEERS), str(reconciles)]
    cost = float(json.loads(host.run(*words, stdin=_PROGRAM, timeout=300)))
    say(f"{host.name}, routes {known}: {cost:.1f} ms of CPU for a reconcile")
    return cost
