"""Many participants on one virtual clock and one virtual network; the same seed, the same run."""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import count
from random import Random
from typing import Self

from tests.sim.agenda import Agenda
from tests.sim.converged import introduce, names_of
from tests.sim.hosts import PORT, RECEIVE_QUEUE, Node
from tests.sim.invariants import Rulebook, Watch
from tests.sim.letters import LetterWire
from tests.sim.network import Latency, Link, Network
from tests.sim.trace import Trace, Violation
from wesher.gossip import (
    WAN,
    Address,
    Event,
    Gossip,
    GossipSettings,
    Keyring,
    LeaveFinished,
    StreamRequest,
    Timing,
    Wire,
    pack_ip,
)

__all__ = ["PORT", "RECEIVE_QUEUE", "Node", "Violation", "World"]

_KEY = bytes(range(32))
_LOOK_EVERY = 0.05  # seconds between two looks whether something is reached


class World:
    """Participants that are one Gossip each, and everything that can happen to them.

    `loss`, `twice` and `reorder` are shares of all packets, `latency` is in seconds. A `trace` that
    is asked for keeps packets in its history. After every step the rules in `invariants` are
    checked; a broken one is raised as a Violation, with the seed and a short history.
    """

    def __init__(
        self,
        names: Iterable[str],
        seed: int,
        *,
        latency: Latency = (0.001, 0.02),
        loss: float = 0.0,
        twice: float = 0.0,
        reorder: float = 0.0,
        max_packet: int | None = None,
        timing: Timing = WAN,
        compress: bool = False,
        trace: bool = False,
    ) -> None:
        self.seed = seed
        self.counts: Counter[str] = Counter()
        self.nodes: dict[str, Node] = {}
        self._timing = timing
        self._compress = compress
        self._rng = Random(seed)
        self._agenda = Agenda()
        self._network = Network(self._rng, Link(latency, loss, twice, reorder, max_packet))
        self._trace = Trace(lambda: self._agenda.now, full=trace)
        self._rules = Rulebook(self.violate, self._trace.note)
        self._started = count(1)
        self._by_address: dict[Address, Node] = {}
        for name in names:
            self.add(name)

    @classmethod
    def converged(cls, number: int, seed: int, **network: object) -> Self:
        """Return a world of `number` members that know each other, and have exchanged nothing."""
        world = cls(names_of(number), seed, **network)
        introduce([node.gossip for node in world.nodes.values()], world._rng)
        return world

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        return self._agenda.now

    # Who takes part

    def add(
        self, name: str, *, ip: str | None = None, meta: bytes = b"metadata", **settings: object
    ) -> Node:
        """Start a participant, also instead of one of the same name (which is as if it crashed)."""
        number = next(self._started)
        ip = ip or f"10.0.{number // 250}.{number % 250 + 1}"
        node = Node(name, name, ip, self._agenda, self._follow_up)
        chosen = GossipSettings(name, pack_ip(ip), PORT, timing=self._timing, **settings)
        rng = Random(f"{self.seed} {name} {number}")
        node.wire = self._wire(number)
        node.engine = node.gossip = Gossip(chosen, node.wire, rng)
        self._place(node)
        node.take(lambda now: node.gossip.announce(meta, now))
        return node

    def join(self, name: str, *seeds: str) -> None:
        """Let a participant exchange tables with the seeds."""
        gossip = self.nodes[name].gossip
        for seed in seeds:
            address = self.nodes[seed].address
            self.nodes[name].take(lambda now, to=address: gossip.push_pull(to, now, join=True))

    def update(self, name: str, meta: bytes) -> None:
        """Let a participant publish other metadata."""
        node = self.nodes[name]
        node.take(lambda now: node.gossip.update_meta(meta, now))

    def leave(self, name: str) -> None:
        """Let a participant announce its departure, and end a moment later."""
        self.stop(name)

    def stop(self, *hosts: str) -> None:
        """Let participants announce their departure, all at the same moment."""
        for node in self._up(hosts):
            self._happens("leaves", node.host)
            node.take(node.engine.leave)

    def crash(self, *hosts: str) -> None:
        """Stop participants without a word; their hosts go on, and refuse streams."""
        for node in self._up(hosts):
            self._happens("crashes", node.host)
            self._end(node)

    def pause(self, *hosts: str) -> None:
        """Stop processes as SIGSTOP does: what arrives waits, up to a bound; no timer runs."""
        for node in self._up(hosts):
            self._happens("pauses", node.host)
            node.pause()

    def resume(self, *hosts: str) -> None:
        """Let paused processes go on: they come to their timers, then to what has arrived."""
        for node in self._up(hosts):
            self._trace.note(f"resume {node.host}")
            node.resume()

    def slow(self, host: str, seconds_per_packet: float | None) -> None:
        """Overload a host: every packet and timer takes so long, so that they queue; None ends."""
        self._happens("slowed", f"{host} {seconds_per_packet}")
        self.nodes[host].slow(seconds_per_packet)

    def drift(self, host: str, rate: float) -> None:
        """Let a host's clock run `rate` times as fast as time."""
        self._happens("drifts", f"{host} {rate}")
        self.nodes[host].drift(rate)

    def _up(self, hosts: Iterable[str]) -> list[Node]:
        return [node for host in hosts if (node := self.nodes[host]).up]

    # What happens to the network

    def part(self, *groups: Iterable[str]) -> None:
        """Cut the network between the groups; hosts in none of them are one more group."""
        groups = tuple(tuple(group) for group in groups)
        self._happens("partitions" if groups else "healings", " | ".join(map(" ".join, groups)))
        self._network.part(groups)

    def cut(self, sources: Iterable[str], targets: Iterable[str]) -> None:
        """Let nothing pass from `sources` to `targets`, besides what is cut already."""
        sources, targets = tuple(sources), tuple(targets)
        self._happens("cuts", f"{' '.join(sources)} -> {' '.join(targets)}")
        self._network.cut(sources, targets)

    def heal(self) -> None:
        """End all partitions and cuts."""
        self._happens("healings", "")
        self._network.heal()

    def calm(self) -> None:
        """End all that is wrong with the network."""
        self._happens("calms", "")
        self._network.calm()

    def link(self, a: str, b: str, **changes: object) -> None:
        """Change `loss`, `latency`, `twice`, `reorder` or `max_packet` between two hosts."""
        self._happens("links changed", f"{a} {b} {changes}")
        self._network.set_link(a, b, **changes)

    def streams(self, a: str, b: str, fault: str | None) -> None:
        """Let streams between two hosts "stall", "break" half-way, or be "refuse"d; None: work."""
        self._happens("streams changed", f"{a} {b} {fault}")
        self._network.set_streams(a, b, fault)

    # Time

    def run(self, until: float) -> None:
        """Let time pass."""
        self._agenda.run(until)

    def run_until(self, reached: Callable[[], bool], limit: float) -> float:
        """Let time pass until `reached`; return how long it took."""
        start = self.now
        while not reached():
            if self.now >= start + limit:
                self.violate(f"not reached in {limit} s")
            self.run(self.now + _LOOK_EVERY)
        return self.now - start

    # What came of it

    def agree_on(self, names: Iterable[str]) -> bool:
        """Tell whether each of `names` holds exactly `names` for live."""
        wanted = set(names)
        return all(self.nodes[name].live() == wanted for name in wanted)

    def settled(self, *hosts: str) -> bool:
        """Tell whether everyone agrees that `hosts`, by default all that run, are the members."""
        return next(self._differences(hosts), None) is None

    def check_settled(self, *hosts: str) -> None:
        """Raise a Violation that says what differs, unless everyone agrees."""
        different = list(self._differences(hosts))
        if different:
            self.violate("not settled: " + "; ".join(different[:10]))

    def _differences(self, hosts: Iterable[str]) -> Iterable[str]:
        members = self._expected(hosts)
        wanted = {node.name for node in members}
        tolerated = self._tolerated(wanted)
        for node in members:
            live = node.live()
            if missing := sorted(wanted - live):
                yield f"{node.host} misses {' '.join(missing)}"
            if surplus := sorted(live - wanted - tolerated):
                yield f"{node.host} holds {' '.join(surplus)} for live"

    def _expected(self, hosts: Iterable[str]) -> list[Node]:
        return [self.nodes[host] for host in hosts or self.nodes if hosts or self.nodes[host].up]

    def _tolerated(self, wanted: set[str]) -> set[str]:
        """Return the names of whom some may hold for live and others not."""
        return set()

    def history(self, last: int = 40) -> list[str]:
        """Return the newest lines of what happened."""
        return self._trace.history(last)

    def digest(self) -> str:
        """Return a hash over everything that happened."""
        return self._trace.digest()

    def violate(self, what: str) -> None:
        """Raise a Violation, with all that is needed to look into it."""
        history = "\n".join(self.history(30))
        raise Violation(f"{what}\n(seed {self.seed}, after {self.now:.4f} s)\n{history}")

    # How it happens

    def _happens(self, kind: str, what: str) -> None:
        self.counts[kind] += 1
        self._trace.note(f"{kind}: {what}")

    def _wire(self, number: int) -> Wire:
        nonces = count(number << 64)
        return LetterWire(
            Keyring(_KEY),
            lambda: next(nonces).to_bytes(12, "big"),
            compress_packets=self._compress,
            compress_streams=self._compress,
        )

    def _place(self, node: Node, *, watch_events: bool = True) -> None:
        """Put a new process on its host, in the place of an earlier one."""
        if earlier := self.nodes.get(node.host):
            self._end(earlier)
        self._happens("starts", f"{node.host} at {node.ip}")
        node.watch = Watch(node.name, node.gossip, self._rules, events=watch_events)
        self.nodes[node.host] = self._by_address[node.address] = node

    def _end(self, node: Node) -> None:
        node.end()

    def _follow_up(self, node: Node) -> None:
        """Carry out what an input has led to."""
        engine = node.engine
        for packet in engine.packets_to_send():
            self._send(node, packet.data, packet.to)
        for request in engine.streams_to_open():
            self._open_stream(node, request)
        for event in engine.events():
            node.events.append((self.now, event))
            self._on_event(node, event)
        node.watch.after_step()
        node.arm()

    def _on_event(self, node: Node, event: Event) -> None:
        if isinstance(event, LeaveFinished):
            self._end(node)

    def _send(self, source: Node, data: bytes, to: Address) -> None:
        self._count_packet(source, data)
        if problem := source.wire.inspect(data):
            self.violate(f"{source.host} sends a bad packet to {to}: {problem}")
        delays = self._network.packet(source.host, self._host_at(to), len(data))
        self._trace.detail(f"{source.host} > {to.ip} {data[-16:].hex()} {len(data)} {delays}")
        self.counts["lost"] += not delays
        for delay in delays:
            self._agenda.later(delay, self._deliver, source.address, data, to)

    def _host_at(self, address: Address) -> str:
        """Return who is there; of nobody, the address: there may be somebody on arrival."""
        target = self._by_address.get(address)
        return target.host if target else address.ip

    def _count_packet(self, source: Node, data: bytes) -> None:
        counts, size = self.counts, len(data)
        counts["packets"] += 1
        counts["bytes"] += size
        source.packets_sent += 1
        source.bytes_sent += size

    def _deliver(self, source: Address, data: bytes, to: Address) -> None:
        target = self._by_address.get(to)
        if target is None or not target.take(target.engine.receive_packet, data, source):
            self.counts["lost"] += 1

    def _open_stream(self, source: Node, request: StreamRequest) -> None:
        """Carry a stream there and back; TCP repeats what gets lost, so that takes time."""
        self._count_stream(source, request.data)
        target = self._host_at(request.to)
        fault = self._network.stream_fault(source.host, target)
        delay = self._network.connect(source.host, target)
        self._trace.detail(f"{source.host} opens a stream to {request.to.ip} {fault} {delay}")
        if delay is not None and fault != "stall":
            self._agenda.later(delay, self._connected, source, request, fault)

    def _count_stream(self, source: Node, data: bytes) -> None:
        self.counts["streams"] += 1
        self.counts["stream bytes"] += len(data)
        source.stream_bytes_sent += len(data)

    def _connected(self, source: Node, request: StreamRequest, fault: str | None) -> None:
        target = self._by_address.get(request.to)
        if target is None:
            return  # no such host: the opener will lose its patience
        if fault == "refuse" or not target.up:
            self._fail_stream(source, request, "refused")
            return
        delay = self._network.carry(source.host, target.host)
        if fault == "break" and self._rng.random() < 0.5:
            self._fail_stream(source, request, "closed without a reply")
        elif delay is not None:
            self._agenda.later(delay, self._serve, source, request, fault)

    def _serve(self, source: Node, request: StreamRequest, fault: str | None) -> None:
        target = self._by_address[request.to]

        def serve(now: float) -> None:
            reply = target.engine.receive_request(request.data, source.address, now)
            self._reply(target, source, request, None if fault == "break" else reply)

        if not target.take(serve):
            self._fail_stream(source, request, "closed without a reply")

    def _reply(
        self, target: Node, source: Node, request: StreamRequest, reply: bytes | None
    ) -> None:
        if reply is None:
            self._fail_stream(source, request, "closed without a reply")
            return
        self.counts["stream bytes"] += len(reply)
        target.stream_bytes_sent += len(reply)
        delay = self._network.carry(target.host, source.host)
        if delay is not None:
            receive = source.engine.receive_reply
            self._agenda.later(delay, source.take, receive, request.id, reply)

    def _fail_stream(self, source: Node, request: StreamRequest, why: str) -> None:
        self._trace.detail(f"{source.host}'s stream to {request.to.ip}: {why}")
        delay = self._network.usual.delay(self._rng)
        self._agenda.later(delay, source.take, source.engine.stream_failed, request.id, why)
