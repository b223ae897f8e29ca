"""A world with overloaded members, as in the Lifeguard paper: blocked again and again, for seconds.

"packets" is the paper's way to be overloaded: what a member sends and receives waits for the end of
the block, its timers do not. "process" stops it altogether, so that its timers are late as well.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Self, Unpack

from tests.testbed.sim.converged import names_of
from tests.testbed.sim.hosts import Node
from tests.testbed.sim.world import Conditions, World
from wesher.gossip import Address, Member, StreamRequest
from wesher.gossip.codec import encode

WAITING = 4096  # packets that wait for a blocked member: 2 MiB of receive buffer, 512 bytes each


@dataclass(frozen=True)
class Overload:
    """How many members are blocked, for how many seconds at a time, and free in between."""

    members: int
    way: str
    blocked: tuple[float, float]
    free: tuple[float, float]


class OverloadedWorld(World):
    """Members of which some can be blocked; `buddy` off keeps accusations out of pings."""

    def __init__(
        self,
        names: Iterable[str],
        seed: int,
        *,
        buddy: bool = True,
        **conditions: Unpack[Conditions],
    ) -> None:
        self._buddy = buddy
        self._held: dict[str, list[Callable[[], None]]] = {}
        super().__init__(names, seed, **conditions)

    @classmethod
    def converged(
        cls, number: int, seed: int, *, buddy: bool = True, **conditions: Unpack[Conditions]
    ) -> Self:
        """Return a world of `number` members that know each other, and have exchanged nothing."""
        world = cls(names_of(number), seed, buddy=buddy, **conditions)
        world._introduce()
        return world

    def add(
        self, name: str, *, ip: str | None = None, meta: bytes = b"metadata", **settings: object
    ) -> Node:
        """Start a participant with the mechanisms that are on."""
        node = super().add(name, ip=ip, meta=meta, **settings)
        if not self._buddy:
            _keep_accusations_from_pings(node)
        return node

    def overload(self, overload: Overload) -> set[str]:
        """Block members again and again, soon for the first time; return who they are."""
        hosts = sorted(self.nodes)[: overload.members]
        for host in hosts:
            rng = Random(f"{self.seed} overload {host}")
            self._agenda.later(rng.random() * overload.blocked[0], self._block, host, overload, rng)
        return set(hosts)

    def _block(self, host: str, overload: Overload, rng: Random) -> None:
        if overload.way == "process":
            self.pause(host)
        else:
            self._held[host] = []
        self._agenda.later(rng.uniform(*overload.blocked), self._free, host, overload, rng)

    def _free(self, host: str, overload: Overload, rng: Random) -> None:
        if overload.way == "process":
            self.resume(host)
        else:
            for action in self._held.pop(host):
                action()
        self._agenda.later(rng.uniform(*overload.free), self._block, host, overload, rng)

    # What waits for the end of a block

    def _hold(self, host: str, action: Callable[..., None], *args: object) -> None:
        held = self._held[host]
        if len(held) < WAITING:
            held.append(partial(action, *args))

    def _send(self, source: Node, data: bytes, to: Address) -> None:
        if source.host in self._held:
            self._hold(source.host, self._send, source, data, to)
        else:
            super()._send(source, data, to)

    def _deliver(self, source: Address, data: bytes, to: Address) -> None:
        host = self._host_at(to)
        if host in self._held:
            self._hold(host, self._deliver, source, data, to)
        else:
            super()._deliver(source, data, to)

    def _open_stream(self, source: Node, request: StreamRequest) -> None:
        if source.host in self._held:
            self._hold(source.host, self._open_stream, source, request)
        else:
            super()._open_stream(source, request)

    def _serve(self, source: Node, request: StreamRequest, fault: str | None) -> None:
        host = self._host_at(request.to)
        if host in self._held:
            self._hold(host, self._serve, source, request, fault)
        else:
            super()._serve(source, request, fault)

    def _reply(
        self, target: Node, source: Node, request: StreamRequest, reply: bytes | None
    ) -> None:
        if source.host in self._held:
            self._hold(source.host, self._reply, target, source, request, reply)
        else:
            super()._reply(target, source, request, reply)


def _keep_accusations_from_pings(node: Node) -> None:
    """Let probes say nothing to a suspect but that they want an ack."""
    probes, outbox = node.gossip._probes, node.gossip._context.outbox

    def send_ping(member: Member, sequence: int) -> None:
        outbox.send_parts([encode(probes._pings.ping(sequence, member.name))], member)

    probes._send_ping = send_ping  # type: ignore[method-assign] # one mechanism less
