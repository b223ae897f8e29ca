"""Many participants on one virtual clock and one virtual network; the same seed, the same run."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import count
from random import Random
from typing import Self, TypedDict, Unpack

from tests.testbed.sim.cached_packets import CheckedWire, LetterWire
from tests.testbed.sim.converged import introduce, names_of
from tests.testbed.sim.hosts import PORT, RECEIVE_QUEUE, N, Node
from tests.testbed.sim.invariants import Rulebook, Watch
from tests.testbed.sim.network import Latency, Link
from tests.testbed.sim.network_io import Carrier
from tests.testbed.sim.trace import Violation
from wesher.base.frozen import replace
from wesher.gossip import (
    WAN,
    Gossip,
    GossipSettings,
    Keyring,
    LeaveFinished,
    Timing,
    pack_ip,
)

__all__ = ["PORT", "RECEIVE_QUEUE", "AnyWorld", "Conditions", "Node", "Violation", "World"]

KEY = bytes(range(32))
_LOOK_EVERY = 0.05  # seconds between two looks whether something is reached


class Conditions(TypedDict, total=False):
    """What a world is like: shares of all packets, seconds of `latency`, and how nodes are set."""

    latency: Latency
    loss: float
    twice: float
    reorder: float
    max_packet: int | None
    timing: Timing
    trace: bool


class AnyWorld(Carrier[N]):
    """What can happen to participants of any kind, and what they must agree on.

    `loss`, `twice` and `reorder` are shares of all packets, `latency` is in seconds. A `trace` that
    is asked for keeps packets in its history. After every step the rules in `invariants` are
    checked; a broken one is raised as a Violation, with the seed and a short history.
    """

    def __init__(
        self,
        seed: int,
        *,
        latency: Latency = (0.001, 0.02),
        loss: float = 0.0,
        twice: float = 0.0,
        reorder: float = 0.0,
        max_packet: int | None = None,
        timing: Timing = WAN,
        trace: bool = False,
    ) -> None:
        super().__init__(seed, Link(latency, loss, twice, reorder, max_packet), trace=trace)
        self.nodes: dict[str, N] = {}
        self._timing = timing
        self._transitions = Rulebook(self.violate, self._trace.note)
        self._started = count(1)

    # What happens to participants

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

    def _up(self, hosts: Iterable[str]) -> list[N]:
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

    def _differences(self, hosts: Iterable[str]) -> Iterator[str]:
        members = self._expected(hosts)
        wanted = {node.name for node in members}
        tolerated = self._tolerated(wanted)
        for node in members:
            live = node.live()
            if missing := sorted(wanted - live):
                yield f"{node.host} misses {' '.join(missing)}"
            if surplus := sorted(live - wanted - tolerated):
                yield f"{node.host} holds {' '.join(surplus)} for live"

    def _expected(self, hosts: Iterable[str]) -> list[N]:
        return [self.nodes[host] for host in hosts or self.nodes if hosts or self.nodes[host].up]

    def _tolerated(self, wanted: set[str]) -> set[str]:
        """Return the names of whom some may hold for live and others not."""
        return set()

    # How it happens

    def _happens(self, kind: str, what: str) -> None:
        self.stats[kind] += 1
        self._trace.note(f"{kind}: {what}")

    def _wire(self, number: int, keys: Sequence[bytes] = (KEY,)) -> CheckedWire:
        nonces = count(number << 64)
        return LetterWire(
            Keyring(*keys),
            lambda: next(nonces).to_bytes(12, "big"),
        )

    def _place(self, node: N, *, watch_events: bool = True) -> None:
        """Put a new process on its host, in the place of an earlier one."""
        if earlier := self.nodes.get(node.host):
            self._end(earlier)
        self._happens("starts", f"{node.host} at {node.ip}")
        node.follow_up = partial(self._follow_up, node)
        node.watch = Watch(node.name, node.gossip, self._transitions, events=watch_events)
        self.nodes[node.host] = self._by_address[node.address] = node

    def _end(self, node: N) -> None:
        node.end()

    def _follow_up(self, node: N) -> None:
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

    def _on_event(self, node: N, event: object) -> None:
        if isinstance(event, LeaveFinished):
            self._end(node)


class World(AnyWorld[Node]):
    """Participants that are one Gossip each."""

    def __init__(self, names: Iterable[str], seed: int, **conditions: Unpack[Conditions]) -> None:
        super().__init__(seed, **conditions)
        for name in names:
            self.add(name)

    @classmethod
    def converged(cls, number: int, seed: int, **conditions: Unpack[Conditions]) -> Self:
        """Return a world of `number` members that know each other, and have exchanged nothing."""
        world = cls(names_of(number), seed, **conditions)
        world._introduce()
        return world

    def _introduce(self) -> None:
        introduce([node.gossip for node in self.nodes.values()], self._rng)

    def add(
        self, name: str, *, ip: str | None = None, meta: bytes = b"metadata", **settings: object
    ) -> Node:
        """Start a participant, also instead of one of the same name (which is as if it crashed)."""
        number = next(self._started)
        ip = ip or f"10.0.{number // 250}.{number % 250 + 1}"
        node = Node(name, name, ip, self._agenda)
        # Thousands are proven long ago here: asking all would be most of what is simulated.
        usual = GossipSettings(name, pack_ip(ip), PORT, timing=self._timing, max_unproven=16384)
        chosen = replace(usual, **settings)
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
            push_pull = partial(gossip.push_pull, join=True)
            self.nodes[name].take(push_pull, self.nodes[seed].address)

    def update(self, name: str, meta: bytes) -> None:
        """Let a participant publish other metadata."""
        node = self.nodes[name]
        node.take(lambda now: node.gossip.update_meta(meta, now))

    def leave(self, name: str) -> None:
        """Let a participant announce its departure, and end a moment later."""
        self.stop(name)
