"""Whole MeshNodes on the virtual clock and network of `World`."""

from dataclasses import dataclass, field, replace
from ipaddress import ip_interface
from random import Random

from tests.sim.world import PORT, Node, World
from tests.unit.mesh.builders import key
from wesher.gossip import Keyring, StreamRequest, Wire
from wesher.mesh.events import Departed, Notice, Refused, Resolve, Severity
from wesher.mesh.facts import LocalFacts
from wesher.mesh.node import MeshNode
from wesher.mesh.plan import Plan
from wesher.mesh.rejoin import Seed
from wesher.mesh.settings import NodeSettings, Saved

_KEY = bytes(range(32))


@dataclass(eq=False)
class MeshParticipant(Node):
    """One host: its node, if it runs, and what has been written down about it."""

    settings: NodeSettings = None
    saved: Saved = field(default_factory=Saved)
    addresses: list[str] = field(default_factory=list)
    """Every overlay address it has had, in their order."""
    checked: Plan | None = None

    @property
    def plan(self) -> Plan | None:
        return self.gossip.plan()

    @property
    def overlay_addr(self) -> str | None:
        return self.addresses[-1] if self.addresses else None

    def routes(self) -> dict[str, str]:
        """Return to whom it sends what goes to each overlay address, ourselves included."""
        plan = self.plan
        if plan is None:
            return {}
        peers = {str(ip): public for public, peer in plan.peers.items() for ip in peer.allowed_ips}
        return peers | {f"{plan.interface.address}/32": self.settings.public_key}

    def warnings(self) -> list[str]:
        notices = [event for _, event in self.events if isinstance(event, Notice)]
        return [n.text.format(**n.data) for n in notices if n.severity is Severity.WARNING]

    def refusal(self) -> str | None:
        return next((e.reason for _, e in self.events if isinstance(e, Refused)), None)


class MeshWorld(World):
    """Hosts that run a MeshNode or nothing; a stopped one refuses streams at once.

    `names` are what a resolver knows. What a node wants saved is saved with every new Plan, and is
    what its host's next start begins with.
    """

    def __init__(self, seed: int, *, overlay_net: str = "10.0.0.0/8", **network: object) -> None:
        self._overlay_net = ip_interface(overlay_net)
        self.names: dict[str, list[str]] = {}
        super().__init__((), seed, **network)

    def start(
        self, host: str, *seeds: str, ip: str | None = None, name: str | None = None, **settings
    ) -> MeshParticipant:
        """Start a node, or start it again from what it has saved; `seeds` are hosts or names."""
        earlier = self.nodes.get(host)
        number = len(self.nodes) + 1
        if earlier:
            earlier.up = False
            ip = ip or earlier.ip
        ip = ip or f"192.168.{number // 250}.{number % 250 + 1}"
        rng = Random(f"{self.seed} {host} {self.now}")
        wire = Wire(Keyring(_KEY), lambda: rng.randbytes(12), compress_packets=self._compress)
        chosen = NodeSettings(
            name=name or host,
            ip=ip,
            port=PORT,
            mapped=False,
            seeds=tuple(Seed(self._host(seed), PORT) for seed in seeds),
            overlay_net=self._overlay_net,
            overlay_addr=None,
            public_key=key(self._rng.randrange(1, 1 << 250)),
            wireguard_port=51820,
            metadata_format="current",
            forget_after=86400,
            timing=self._timing,
        )
        chosen = replace(chosen, **settings)
        saved = earlier.saved if earlier else Saved()
        node = MeshNode(chosen, saved, LocalFacts(), wire, rng)
        participant = MeshParticipant(chosen.name, ip, node, settings=chosen, saved=saved)
        self.nodes[host] = self._by_ip[ip] = participant
        node.start(self.now)
        self._flush(participant)
        return participant

    def stop(self, *hosts: str) -> None:
        """Let nodes leave the cluster and end, all at the same moment."""
        for host in hosts:
            self.leave(host)

    def meshed(self, *hosts: str) -> bool:
        """Tell whether each of these has all the others, and nobody else, as working peers."""
        participants = [self.nodes[host] for host in hosts or self.nodes]
        if not all(node.plan and node.plan.complete for node in participants):
            return False
        wanted = {f"{node.overlay_addr}/32": node.settings.public_key for node in participants}
        return len(wanted) == len(participants) and all(
            node.routes() == wanted for node in participants
        )

    def _host(self, seed: str) -> str:
        return self.nodes[seed].ip if seed in self.nodes else seed

    def _open_stream(self, source: Node, request: StreamRequest) -> None:
        target = self._by_ip.get(request.to.ip)
        if target is not None and not target.up:
            self._later(lambda: self._refuse(source, request))
            return
        super()._open_stream(source, request)

    def _refuse(self, source: Node, request: StreamRequest) -> None:
        if source.up:
            source.gossip.stream_failed(request.id, "refused", self.now)
            self._flush(source)

    def _resolve(self, source: Node, request: Resolve) -> None:
        if source.up:
            source.gossip.resolved(request, self.names.get(request.host, ()), self.now)
            self._flush(source)

    def _flush(self, node: MeshParticipant) -> None:
        seen = len(node.events)
        super()._flush(node)
        for _, event in node.events[seen:]:
            if isinstance(event, Resolve):
                self._later(lambda request=event: self._resolve(node, request))
            elif isinstance(event, Departed | Refused):
                node.up = False

    def _check(self, node: MeshParticipant) -> None:
        """Look at every new plan, and write down what is to be saved with it."""
        plan = node.plan
        if plan is None or plan is node.checked:
            return
        node.checked = plan
        node.saved = node.gossip.saved() or node.saved
        if str(plan.interface.address) != node.overlay_addr:
            node.addresses.append(str(plan.interface.address))
        self._check_plan(node, plan)

    def _check_plan(self, node: MeshParticipant, plan: Plan) -> None:
        told = f"{node.name} at {self.now} (seed {self.seed})"
        routed = [ip.network_address for peer in plan.peers.values() for ip in peer.allowed_ips]
        assert len(routed) == len(set(routed)), f"one address, two peers: {told}"
        assert plan.interface.address not in routed, f"our own address: {told}"
        assert {entry.ip for entry in plan.hosts} <= set(routed), f"no route: {told}"
        assert node.settings.public_key not in plan.peers, f"we are a peer: {told}"
