"""One process of a swarm: its share of the nodes, with real sockets on loopback addresses.

Each is what an agent drives, a MeshNode under a Transport, but for the tools that would bring a
host to its Plan.
"""

import asyncio
import base64
import os
import random
import time
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_interface
from multiprocessing.connection import Connection
from typing import Any

from scripts.benches.swarm_answers import answering
from wesher.base.addresses import Address
from wesher.gossip import WAN, Keyring, Wire
from wesher.mesh.base.events import PlanChanged, Refused
from wesher.mesh.base.plan import LocalFacts
from wesher.mesh.base.saved import Saved
from wesher.mesh.base.seeds import Seed
from wesher.mesh.base.settings import NodeSettings
from wesher.mesh.node import MeshNode
from wesher.system.sockets import bind
from wesher.system.transport import Transport

PORT = 17946
NONCE_SIZE = 12  # bytes


@dataclass(frozen=True)
class Part:
    """Which nodes of a swarm a process runs; those of one swarm have consecutive addresses."""

    first: IPv4Address
    numbers: range
    nodes: int
    key: bytes
    answers: bool = False
    """Whether they answer questions of members, as agents whose tunnels all work."""


@dataclass(frozen=True)
class Spent:
    """What the nodes of a process have cost so far."""

    cpu_seconds: float
    packets: int


def run(part: Part, parent: Connection) -> None:
    """Start the nodes when told; report when each knows all, and what they spend, when asked."""
    asyncio.run(_Nodes(part, parent).run())


class _Nodes:
    """The nodes of one process."""

    def __init__(self, part: Part, parent: Connection) -> None:
        self._part = part
        self._parent = parent
        self._transports: list[Transport] = []
        self._incomplete = set(part.numbers)
        self._complete = asyncio.Event()

    async def run(self) -> None:
        """Answer the parent until it has heard enough."""
        asyncio.get_running_loop().set_exception_handler(_give_up)
        self._parent.send("ready")
        await self._asked()
        await asyncio.gather(*map(self._start, self._part.numbers))
        await self._complete.wait()
        self._parent.send(time.monotonic())
        while await self._asked():
            packets = sum(transport.traffic.packets_sent for transport in self._transports)
            self._parent.send(Spent(time.process_time(), packets))
        for transport in self._transports:
            transport.close()

    async def _asked(self) -> bool:
        """Wait for the parent's next word: whether there is more to do."""
        loop = asyncio.get_running_loop()
        spoken = asyncio.Event()
        loop.add_reader(self._parent.fileno(), spoken.set)
        await spoken.wait()
        loop.remove_reader(self._parent.fileno())
        return bool(self._parent.recv())

    async def _start(self, number: int) -> None:
        node = self._node(number)
        sockets = bind(self._part.first + number, PORT)
        key = self._part.key
        own_streams = answering(node, f"node{number}", key) if self._part.answers else _nothing
        transport = Transport(
            node,
            WAN.stream_timeout,
            lambda: self._heed(number, node),
            own_streams=own_streams,
        )
        self._transports.append(transport)
        node.start(asyncio.get_running_loop().time())
        await transport.open(sockets)

    def _node(self, number: int) -> MeshNode:
        first = self._part.first
        seeds = (Seed(str(first), PORT),) if number else ()
        settings = NodeSettings(
            name=f"node{number}",
            ip=str(first + number),
            port=PORT,
            mapped=False,
            seeds=seeds,
            overlay_net=ip_interface("10.0.0.0/8"),
            overlay_addr=None,
            public_key=base64.b64encode(os.urandom(32)).decode(),
            wireguard_port=51820,
            metadata_format="current",
            forget_after=86400,
            timing=WAN,
        )
        wire = Wire(
            Keyring(self._part.key),
            lambda: os.urandom(NONCE_SIZE),
        )
        facts = LocalFacts(loopback_bound=True)
        return MeshNode(settings, Saved(), facts, wire, random.Random())

    def _heed(self, number: int, node: MeshNode) -> None:
        """See whether the node knows everybody, as an agent would look at its new Plan."""
        for event in node.events():
            if isinstance(event, Refused):
                raise RuntimeError(event.reason)
            if isinstance(event, PlanChanged) and self._knows_all(node):
                self._incomplete.discard(number)
        if not self._incomplete:
            self._complete.set()

    def _knows_all(self, node: MeshNode) -> bool:
        plan = node.plan()
        return plan is not None and len(plan.peers) == self._part.nodes - 1


def _nothing(_frame: bytes, _source: Address) -> None:
    """Leave all streams to the node."""


def _give_up(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """End this process, which its parent notices: with one node less nobody would know all."""
    loop.default_exception_handler(context)
    os._exit(1)
