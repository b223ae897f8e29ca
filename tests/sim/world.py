"""Many participants on one virtual clock and one virtual network; the same seed, the same run."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from wesher.gossip import (
    WAN,
    Address,
    Event,
    Gossip,
    GossipSettings,
    Keyring,
    Member,
    MemberState,
    StreamRequest,
    Timing,
    Wire,
    pack_ip,
)

PORT = 7946
_KEY = bytes(range(32))


@dataclass(eq=False)
class Node:
    """One participant and what it has reported."""

    name: str
    ip: str
    gossip: Gossip
    up: bool = True
    events: list[tuple[float, Event]] = field(default_factory=list)
    seen: dict[str, Member] = field(default_factory=dict)
    wakes_at: float | None = None
    packets_sent: int = 0

    @property
    def address(self) -> Address:
        return Address(self.ip, PORT)

    def heard(self, kind: type[Event]) -> list[str]:
        """Return about whom it reported events of this kind."""
        return [event.member.name for _, event in self.events if isinstance(event, kind)]

    def live(self) -> set[str]:
        """Return whom it holds for alive or suspect, itself included."""
        return {member.name for member in self.gossip.members if member.live}


class World:
    """A virtual network: every packet takes its time, some get lost, some are delivered twice."""

    def __init__(
        self,
        names: Iterable[str],
        seed: int,
        *,
        loss: float = 0.0,
        twice: float = 0.0,
        latency: tuple[float, float] = (0.001, 0.02),
        timing: Timing = WAN,
        compress: bool = False,
    ) -> None:
        self.seed = seed
        self.now = 0.0
        self.loss = loss
        self._twice = twice
        self._latency = latency
        self._timing = timing
        self._compress = compress
        self._rng = Random(seed)
        self._serials = count()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._by_ip: dict[str, Node] = {}
        self._parts: tuple[frozenset[str], ...] = ()
        self._highest: dict[str, int] = {}
        self.nodes: dict[str, Node] = {}
        for name in names:
            self.add(name)

    # What happens to the world

    def add(self, name: str, *, ip: str | None = None, meta: bytes = b"metadata") -> Node:
        """Start a participant, also instead of one of the same name (which is as if it crashed)."""
        number = len(self._by_ip) + 1
        ip = ip or f"10.0.{number // 250}.{number % 250 + 1}"
        rng = Random(f"{self.seed} {name} {number}")
        wire = Wire(Keyring(_KEY), lambda: rng.randbytes(12), compress_packets=self._compress)
        settings = GossipSettings(name, pack_ip(ip), PORT, timing=self._timing)
        node = Node(name, ip, Gossip(settings, wire, rng))
        if name in self.nodes:
            self.nodes[name].up = False
        self.nodes[name] = self._by_ip[ip] = node
        node.gossip.announce(meta, self.now)
        self._flush(node)
        return node

    def join(self, name: str, *seeds: str) -> None:
        """Let a participant exchange tables with the seeds."""
        node = self.nodes[name]
        for seed in seeds:
            node.gossip.push_pull(self.nodes[seed].address, self.now, join=True)
        self._flush(node)

    def crash(self, name: str) -> None:
        """Stop a participant without a word."""
        self.nodes[name].up = False

    def leave(self, name: str) -> None:
        """Let a participant announce its departure."""
        node = self.nodes[name]
        node.gossip.leave(self.now)
        self._flush(node)

    def update(self, name: str, meta: bytes) -> None:
        """Let a participant publish other metadata."""
        node = self.nodes[name]
        node.gossip.update_meta(meta, self.now)
        self._flush(node)

    def part(self, *groups: Iterable[str]) -> None:
        """Cut the network between the groups; no group heals it."""
        self._parts = tuple(frozenset(group) for group in groups)

    def run(self, until: float) -> None:
        """Let time pass."""
        while self._agenda and self._agenda[0][0] <= until:
            self.now, _, action = heapq.heappop(self._agenda)
            action()
        self.now = until

    def run_until(self, reached: Callable[[], bool], limit: float) -> float:
        """Let time pass until `reached`; return how long it took."""
        start = self.now
        while not reached():
            assert self.now < start + limit, f"not reached in {limit} s (seed {self.seed})"
            self.run(self.now + 0.05)
        return self.now - start

    def agree_on(self, names: Iterable[str]) -> bool:
        """Tell whether each of `names` holds exactly `names` for live."""
        wanted = set(names)
        return all(self.nodes[name].live() == wanted for name in wanted)

    # How it happens

    def _at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (when, next(self._serials), action))

    def _later(self, action: Callable[[], None]) -> None:
        self._at(self.now + self._rng.uniform(*self._latency), action)

    def _flush(self, node: Node) -> None:
        for packet in node.gossip.packets_to_send():
            node.packets_sent += 1
            self._send(node, packet.data, packet.to)
        for request in node.gossip.streams_to_open():
            self._open_stream(node, request)
        node.events += [(self.now, event) for event in node.gossip.events()]
        self._check(node)
        wakes_at = node.gossip.next_timer()
        if wakes_at is not None and wakes_at != node.wakes_at:
            node.wakes_at = wakes_at
            self._at(wakes_at, lambda: self._wake(node, wakes_at))

    def _wake(self, node: Node, planned: float) -> None:
        if node.up and node.wakes_at == planned:
            node.wakes_at = None
            node.gossip.handle_timer(self.now)
            self._flush(node)

    def _reach(self, source: Node, ip: str) -> Node | None:
        """Return the participant at `ip` if there is one and the network leads to it."""
        target = self._by_ip.get(ip)
        if target is None or not target.up:
            return None
        for group in self._parts:
            if (source.name in group) != (target.name in group):
                return None
        return target

    def _send(self, source: Node, data: bytes, to: Address) -> None:
        copies = 2 if self._rng.random() < self._twice else 1
        for _ in range(copies):
            if self._rng.random() >= self.loss:
                self._later(lambda: self._deliver(source, data, to))

    def _deliver(self, source: Node, data: bytes, to: Address) -> None:
        target = self._reach(source, to.ip)
        if target is not None:
            target.gossip.receive_packet(data, source.address, self.now)
            self._flush(target)

    def _open_stream(self, source: Node, request: StreamRequest) -> None:
        """Carry a stream there and back; TCP repeats what gets lost, so it only takes time."""

        def serve() -> None:
            target = self._reach(source, request.to.ip)
            if target is None:
                return
            reply = target.gossip.receive_request(request.data, source.address, self.now)
            self._flush(target)
            self._later(lambda: finish(reply))

        def finish(reply: bytes | None) -> None:
            if not source.up:
                return
            if reply is None:
                source.gossip.stream_failed(request.id, "closed", self.now)
            else:
                source.gossip.receive_reply(request.id, reply, self.now)
            self._flush(source)

        self._later(serve)

    def _check(self, node: Node) -> None:
        """Look at every record that changed: these rules hold at every step."""
        members = node.gossip.members
        own = self._highest.get(node.name, 0)
        self._highest[node.name] = max(own, members.local.incarnation)
        for member in members:
            before = node.seen.get(member.name)
            if before is not member:
                self._check_change(node, before, member)
                node.seen[member.name] = member
        if len(node.seen) > len(members):
            node.seen = {member.name: member for member in members}

    def _check_change(self, node: Node, before: Member | None, after: Member) -> None:
        told = f"{node.name} at {self.now} (seed {self.seed}): {before} became {after}"
        assert after.incarnation <= self._highest[after.name], f"not by its owner: {told}"
        if before is None or before.state is MemberState.LEFT:
            return
        assert after.incarnation >= before.incarnation, f"fell: {told}"
        if before.state is MemberState.DEAD and after.live:
            assert after.incarnation > before.incarnation, f"rose from the dead: {told}"
