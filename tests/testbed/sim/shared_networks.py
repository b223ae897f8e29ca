"""Networks that several members announce, while members crash, leave, return and part."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from random import Random

from tests.testbed.sim.mesh_world import MeshParticipant, MeshWorld
from wesher.mesh.base.plan import IPNetwork
from wesher.mesh.base.routes import Route, Routing, overlap
from wesher.mesh.base.settings import Adjustable

MEMBERS, CARRIERS, EVENTS = 8, 5, 6
SETTLING = 120.0  # seconds without faults after which all are to agree
POOL = ("172.20.0.0/16", "172.20.4.0/22", "172.20.4.0/24", "172.20.6.0/23", "fd00:7::/48")
PLACES = tuple(map(ip_address, ("172.20.4.9", "172.20.6.9", "172.20.99.9", "fd00:7::9")))
PRIORITIES = (0, 0, 0, 1, 2)


class SharedNetworks:
    """One mesh, from one seed; `run` raises a Violation if two nodes differ in who carries what."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(f"shared networks {seed}")
        self.world = MeshWorld(seed, latency=(0.002, 0.05))
        self.hosts = [f"n{number}" for number in range(MEMBERS)]
        self._rng.shuffle(self.hosts)

    def run(self) -> None:
        """Form the mesh, let things happen one after the other, and look after each."""
        for host in self.hosts:
            self._start(host)
            self.world.run(self.world.now + self._rng.choice([0, 1, 20]))
        self._settle()
        for _ in range(EVENTS):
            self._rng.choice([self._crash, self._leave, self._restart, self._part, self._reload])()
            self._settle()

    def _start(self, host: str) -> None:
        seeds = [self.hosts[0]] if host != self.hosts[0] else [self.hosts[1]]
        carries = host in self.hosts[:CARRIERS]
        self.world.start(host, *seeds, routing=self._routing() if carries else Routing())

    def _routing(self) -> Routing:
        words = self._rng.sample(POOL, self._rng.randrange(1, 4))
        priorities = (self._rng.choice(PRIORITIES) for _ in words)
        routes = (f"{word}@{priority}" for word, priority in zip(words, priorities, strict=False))
        return Routing(tuple(map(Route.parse, routes)))

    # What happens

    def _up(self) -> list[MeshParticipant]:
        return [node for node in self.world.nodes.values() if node.up]

    def _anybody(self) -> str:
        return self._rng.choice(self._up()).host

    def _crash(self) -> None:
        host = self._anybody()
        self.world.crash(host)
        self.world.run(self.world.now + self._rng.choice([1, 40, 200]))
        self.world.restart(host)

    def _leave(self) -> None:
        host = self._anybody()
        self.world.stop(host)
        self.world.run(self.world.now + self._rng.choice([1, 40]))
        self.world.restart(host)

    def _restart(self) -> None:
        self.world.restart(self._anybody())

    def _part(self) -> None:
        some = self._rng.sample(self.hosts, self._rng.randrange(2, MEMBERS - 1))
        self.world.part(some, [host for host in self.hosts if host not in some])
        self.world.run(self.world.now + self._rng.choice([20, 300]))
        self.world.heal()

    def _reload(self) -> None:
        node = self.world.nodes[self._anybody()]
        routing = self._routing()
        wanted = Adjustable(node.ours._settings.seeds, 86400, routing=routing)
        node.take(node.ours.reconfigure, wanted)

    # What is promised

    def _settle(self) -> None:
        hosts = [node.host for node in self._up()]
        self.world.run_until(lambda: self.world.agree_on(hosts), limit=300)
        self.world.run(self.world.now + SETTLING)
        for place in PLACES:
            self._check_carrier(place)
        for node in self._up():
            for problem in _overlaps(node):
                self.world.violate(f"{node.host} {problem}")

    def _check_carrier(self, place: object) -> None:
        """All that announce nothing like it themselves send what goes there to the same member."""
        sent: dict[str, list[str]] = {}
        for node in self._up():
            ours = [one.network for one in node.ours._settings.routing.announced]
            carrier = _carrier(node, place, ours)
            if carrier != "ours":
                sent.setdefault(carrier, []).append(node.host)
        names = {node.settings.public_key: node.host for node in self._up()}
        told = {names.get(key, key): hosts for key, hosts in sent.items()}
        if len(told) > 1:
            self.world.violate(f"packets to {place} are sent to {told}")


def _carrier(node: MeshParticipant, place: object, ours: Iterable[IPNetwork]) -> str:
    """Return the key of whom a node sends there to; "ours" if it has a network that touches it."""
    plan = node.settled_plan
    for key, peer in plan.peers.items():
        if any(place in network for network in peer.allowed_ips[1:]):
            return key
    near = [ip_network(word) for word in POOL if place in ip_network(word)]
    return "ours" if any(overlap(one, other) for one in ours for other in near) else "nobody"


def _overlaps(node: MeshParticipant) -> Iterator[str]:
    peers = node.settled_plan.peers
    networks = [(key, one) for key, peer in peers.items() for one in peer.allowed_ips]
    for number, (key, one) in enumerate(networks):
        for other_key, other in networks[:number]:
            if key != other_key and overlap(one, other):
                yield f"sends {one} to one peer and {other} to another"
