"""What carries packets and streams from host to host, counts them, and writes them down."""

from collections import Counter
from collections.abc import Hashable, Iterator
from itertools import islice
from random import Random
from typing import Generic, NoReturn

from tests.testbed.sim.hosts import N
from tests.testbed.sim.network import Link, Network
from tests.testbed.sim.scheduler import Agenda
from tests.testbed.sim.trace import Trace, Violation
from wesher.gossip import Address, StreamRequest

EPHEMERAL_PORT = 40000  # where streams come from; nobody listens there
PENDING_SHOWN = 10  # participants whose timers a violation tells


class Carrier(Generic[N]):
    """The part of a world between its hosts; every packet is looked into as it is sent."""

    def __init__(self, seed: int, link: Link, *, trace: bool) -> None:
        self.seed = seed
        self.stats: Counter[str] = Counter()
        self._rng = Random(seed)
        self._agenda = Agenda()
        self._network = Network(self._rng, link)
        self._trace = Trace(lambda: self._agenda.now, full=trace)
        self._by_address: dict[Address, N] = {}

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        return self._agenda.now

    def history(self, last: int = 40) -> list[str]:
        """Return the newest lines of what happened."""
        return self._trace.history(last)

    def digest(self) -> str:
        """Return a hash over everything that happened."""
        return self._trace.digest()

    def violate(self, what: str) -> NoReturn:
        """Raise a Violation, with all that is needed to look into it."""
        history = "\n".join([*self.history(30), *self._pending()])
        raise Violation(f"{what}\n(seed {self.seed}, after {self.now:.4f} s)\n{history}")

    def _pending(self) -> Iterator[str]:
        """Yield what each of the first few participants waits for, by its own clock."""
        for node in islice((one for one in self._by_address.values() if one.up), PENDING_SHOWN):
            waiting = node.gossip._context.timers.pending()
            told = ", ".join(f"{_timer(name)} at {when:.3f}" for when, name in waiting)
            yield f"{node.host} waits for: {told or 'nothing'}"

    def _send(self, source: N, data: bytes, to: Address) -> None:
        self._count_packet(source, data)
        if problem := source.wire.inspect(data):
            self.violate(f"{source.host} sends a bad packet to {to}: {problem}")
        delays = self._network.packet(source.host, self._host_at(to), len(data))
        self._trace.detail(f"{source.host} > {to.ip} {data[-16:].hex()} {len(data)} {delays}")
        self.stats["lost"] += not delays
        for delay in delays:
            self._agenda.later(delay, self._deliver, source.address, data, to)

    def _host_at(self, address: Address) -> str:
        """Return who is there; of nobody, the address: there may be somebody on arrival."""
        target = self._by_address.get(address)
        return target.host if target else address.ip

    def _count_packet(self, source: N, data: bytes) -> None:
        stats, size = self.stats, len(data)
        stats["packets"] += 1
        stats["bytes"] += size
        source.packets_sent += 1
        source.bytes_sent += size

    def _deliver(self, source: Address, data: bytes, to: Address) -> None:
        target = self._by_address.get(to)
        if target is None or not target.take(target.engine.receive_packet, data, source):
            self.stats["lost"] += 1

    def _open_stream(self, source: N, request: StreamRequest) -> None:
        """Carry a stream there and back; TCP repeats what gets lost, so that takes time."""
        self._count_stream(source, request.data)
        target = self._host_at(request.to)
        fault = self._network.stream_fault(source.host, target)
        delay = self._network.connect(source.host, target)
        tag = request.data[-16:].hex()
        self._trace.detail(f"{source.host} opens a stream to {request.to.ip} {tag} {fault} {delay}")
        if delay is not None and fault != "stall":
            self._agenda.later(delay, self._connected, source, request, fault)

    def _count_stream(self, source: N, data: bytes) -> None:
        self.stats["streams"] += 1
        self.stats["stream bytes"] += len(data)
        source.stream_bytes_sent += len(data)

    def _connected(self, source: N, request: StreamRequest, fault: str | None) -> None:
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

    def _serve(self, source: N, request: StreamRequest, fault: str | None) -> None:
        target = self._by_address[request.to]

        def serve(now: float) -> None:
            caller = Address(source.ip, EPHEMERAL_PORT)
            reply = target.engine.receive_request(request.data, caller, now)
            self._reply(target, source, request, None if fault == "break" else reply)

        if not target.take(serve):
            self._fail_stream(source, request, "closed without a reply")

    def _reply(self, target: N, source: N, request: StreamRequest, reply: bytes | None) -> None:
        if reply is None:
            self._fail_stream(source, request, "closed without a reply")
            return
        self.stats["stream bytes"] += len(reply)
        target.stream_bytes_sent += len(reply)
        delay = self._network.carry(target.host, source.host)
        self._trace.detail(f"{target.host} replies to {source.host} {reply[-16:].hex()} {delay}")
        if delay is not None:
            receive = source.engine.receive_reply
            self._agenda.later(delay, source.take, receive, request.id, reply)

    def _fail_stream(self, source: N, request: StreamRequest, why: str) -> None:
        self._trace.detail(f"{source.host}'s stream to {request.to.ip}: {why}")
        delay = self._network.usual.delay(self._rng)
        self._agenda.later(delay, source.take, source.engine.stream_failed, request.id, why)


def _timer(name: Hashable) -> str:
    return " ".join(map(str, name)) if isinstance(name, tuple) else str(name)
