"""Whole MeshNodes on the virtual clock and network of `World`."""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from ipaddress import ip_interface, ip_network
from random import Random
from typing import Self, Unpack

from tests.testbed.keys import key
from tests.testbed.sim.converged import introduce, let_rest, names_of
from tests.testbed.sim.golang import GoNode
from tests.testbed.sim.hosts import PORT, Node
from tests.testbed.sim.invariants import check_plan
from tests.testbed.sim.scheduler import Agenda
from tests.testbed.sim.world import KEY, AnyWorld, Conditions
from wesher.base.frozen import fields, replace
from wesher.mesh.base.events import (
    Departed,
    Notice,
    PlanChanged,
    Refused,
    Resolve,
    SaveKeys,
    Severity,
)
from wesher.mesh.base.identity import Identity
from wesher.mesh.base.plan import IPNetwork, LocalFacts, Plan
from wesher.mesh.base.rotation import HoldConfigured, KeysSaved
from wesher.mesh.base.saved import Saved
from wesher.mesh.base.seeds import Seed
from wesher.mesh.base.settings import NodeSettings
from wesher.mesh.node import MeshNode


class MeshParticipant(Node):
    """One host: its node, if it runs, and what has been written down about it."""

    engine: MeshNode | GoNode

    def __init__(
        self,
        host: str,
        ip: str,
        agenda: Agenda,
        *,
        settings: NodeSettings,
        saved: Saved,
        go: str | None,
    ) -> None:
        super().__init__(host, settings.name, ip, agenda)
        self.settings = settings
        self.go = go
        self.seeds: tuple[str, ...] = ()
        self.addresses: list[str] = []
        """Every overlay address it has had, in their order."""
        self.left = False
        self.saved_keys = saved.keys
        self.began_with = self._saved = saved
        self._planned: Plan | None = None
        self._incarnation = 0

    @property
    def ours(self) -> MeshNode:
        """Its node, which is not one that behaves like the original."""
        assert isinstance(self.engine, MeshNode), f"{self.host} runs one of {self.go}"
        return self.engine

    @property
    def plan(self) -> Plan | None:
        return self.engine.plan()

    @property
    def settled_plan(self) -> Plan:
        """Its plan, once it has one."""
        plan = self.plan
        assert plan, f"{self.host} has no plan"
        return plan

    @property
    def overlay_addr(self) -> str | None:
        if self.go and self.plan:
            return str(self.plan.interface.address)
        return self.addresses[-1] if self.addresses else None

    @property
    def saved(self) -> Saved:
        """What is written down: with every new Plan, or by a Go node at any time."""
        if self.up and (self.go or self._planned):
            now = self.engine.saved()
            if now and self._planned and not self.go:
                address = self._planned.interface.address
                now = replace(now, overlay_addr=address, incarnation=self._incarnation)
            self._saved = now or self._saved
        return self._saved

    def departs(self) -> None:
        """Begin to leave: what is written down stays as it is."""
        self._saved = self.saved
        self.left = True

    def forget(self) -> None:
        """Lose what is written down."""
        self._saved = Saved()

    def end(self) -> None:
        """Stop for good; what is written down stays."""
        self._saved = self.saved
        super().end()

    def take_plan(self) -> str | None:
        """Act as the agent does on a new plan; say what is wrong with it."""
        plan = self.plan
        if plan is None or plan is self._planned:
            return None
        self._planned = plan
        local = self.gossip.local
        assert local, f"{self.host} plans before it is a member"
        self._incarnation = local.incarnation
        if str(plan.interface.address) != self.overlay_addr:
            self.addresses.append(str(plan.interface.address))
        return check_plan(plan, self.settings.public_key)

    @property
    def route(self) -> tuple[IPNetwork, ...]:
        """What others ought to send to it."""
        return (ip_network(self.overlay_addr or 0),)

    def routes(self) -> dict[str, str]:
        """Return to whom it sends what goes to each overlay address, ourselves included."""
        plan = self.plan
        if plan is None:
            return {}
        peers = {str(ip): public for public, peer in plan.peers.items() for ip in peer.allowed_ips}
        return peers | {f"{plan.interface.address}/32": self.settings.public_key}

    def warnings(self) -> list[str]:
        operator_log = [event for _, event in self.events if isinstance(event, Notice)]
        return [n.text.format(**n.data) for n in operator_log if n.severity is Severity.WARNING]

    def _notice_sleep(self, seconds: float) -> None:
        self.engine.slept(seconds, self.time())

    def refusal(self) -> str | None:
        return next((e.reason for _, e in self.events if isinstance(e, Refused)), None)


class MeshWorld(AnyWorld[MeshParticipant]):
    """Hosts that run a MeshNode, or a node that behaves like the original (`go`), or nothing.

    `names` are what a resolver knows. What a node wants saved is saved with every new Plan, and is
    what its host's next start begins with.
    """

    def __init__(
        self, seed: int, *, overlay_net: str = "10.0.0.0/8", **conditions: Unpack[Conditions]
    ) -> None:
        self._overlay_net = ip_interface(overlay_net)
        self.names: dict[str, list[str]] = {}
        self.keys: dict[str, tuple[bytes, ...]] = {}
        """The cluster keys that hosts are configured with, where they are not the usual one."""
        super().__init__(seed, **conditions)

    @classmethod
    def converged(cls, number: int, seed: int, **conditions: Unpack[Conditions]) -> Self:
        """Return a world of `number` nodes that know each other, and have exchanged nothing."""
        world = cls(seed, **conditions)
        nodes = [world.start(host) for host in names_of(number)]
        introduce([node.gossip for node in nodes], world._rng)
        let_rest([node.engine for node in nodes if isinstance(node.engine, MeshNode)], world.now)
        for node in nodes:
            world._follow_up(node)
        return world

    def start(
        self,
        host: str,
        *seeds: str,
        ip: str | None = None,
        name: str | None = None,
        go: str | None = None,
        **settings: object,
    ) -> MeshParticipant:
        """Start a node, or start it again from what it has saved; `seeds` are hosts or names.

        `go` is the version of memberlist to behave like, "v0.1.4" or "current". Such a node joins
        only when it starts, so nobody can promise that it finds back after a minute apart.
        """
        if earlier := self.nodes.get(host):
            self._end(earlier)
        number = next(self._started)
        ip = ip or (earlier.ip if earlier else f"192.168.{number // 250}.{number % 250 + 1}")
        saved = replace(earlier.saved, keys=earlier.saved_keys) if earlier else Saved()
        chosen = replace(self._usual_settings(name or host, ip, seeds), **settings)
        node = MeshParticipant(host, ip, self._agenda, settings=chosen, saved=saved, go=go)
        node.seeds = seeds
        rng = Random(f"{self.seed} {host} {self.now}")
        node.wire = self._wire(number, self.keys.get(host, (KEY,)))
        if go:
            node.engine = GoNode(go, chosen, saved, node.wire, rng)
        else:
            node.engine = MeshNode(chosen, saved, LocalFacts(), node.wire, rng)
        node.gossip = node.engine._gossip
        self._place(node, watch_events=not go)
        node.take(node.engine.start)
        return node

    def restart(self, host: str, keep_state: bool = True) -> MeshParticipant:
        """Start what has run on `host` anew, crashing it if it still runs.

        With its state a node that has crashed also finds its interface, and so keeps its key.
        """
        earlier = self.nodes[host]
        self._happens("restarts", host)
        self._end(earlier)
        fresh = {"ip", "seeds"}
        if earlier.left or not keep_state:
            fresh.add("public_key")
        if not keep_state:
            fresh.add("identity")
            earlier.forget()
        kept = {key: value for key, value in fields(earlier.settings).items() if key not in fresh}
        return self.start(host, *earlier.seeds, go=earlier.go, **kept)

    def configure_keys(self, host: str, *keys: bytes) -> None:
        """Give a host these cluster keys: now, if it runs one of ours, else from its next start."""
        self._happens("keys changed", f"{host} {[one[:1].hex() for one in keys]}")
        self.keys[host] = keys
        node = self.nodes[host]
        if node.up and not node.go:
            node.take(node.ours.obey, HoldConfigured(keys))

    def stop(self, *hosts: str) -> None:
        """Let nodes leave the cluster and end, all at the same moment."""
        for node in self._up(hosts):
            node.departs()
        super().stop(*hosts)

    def suspend(self, *hosts: str) -> None:
        """Let hosts sleep: they stop, nothing reaches them, and their clocks stand still."""
        for node in self._up(hosts):
            self._happens("suspensions", node.host)
            node.suspend()

    def wake(self, *hosts: str) -> None:
        """Wake hosts that sleep; their nodes hear at once for how long they slept."""
        for node in self._up(hosts):
            self._trace.note(f"wake {node.host}")
            node.wake()

    def meshed(self, *hosts: str) -> bool:
        """Tell whether each of these has all the others, and nobody else, as working peers."""
        participants = [self.nodes[host] for host in hosts or self.nodes]
        if not all(node.plan and node.plan.complete for node in participants):
            return False
        wanted = {f"{node.overlay_addr}/32": node.settings.public_key for node in participants}
        return len(wanted) == len(participants) and all(
            node.routes() == wanted for node in participants
        )

    def _usual_settings(self, name: str, ip: str, seeds: Iterable[str]) -> NodeSettings:
        return NodeSettings(
            name=name,
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
            identity=Identity(sha256(f"{self.seed} {name} {self.now}".encode()).digest()),
        )

    def _host(self, seed: str) -> str:
        """Return a name that is looked up for every attempt, or where a host without one is now."""
        known = seed in self.nodes and seed not in self.names
        return self.nodes[seed].ip if known else seed

    def _expected(self, hosts: Iterable[str]) -> list[MeshParticipant]:
        """Return those who must agree: by default ours that run; a Go node may have lost us."""
        hosts = tuple(hosts)
        return [node for node in super()._expected(hosts) if hosts or not node.go]

    def _tolerated(self, wanted: set[str]) -> set[str]:
        return {node.name for node in self.nodes.values() if node.go and node.up}

    def _differences(self, hosts: Iterable[str]) -> Iterator[str]:
        yield from super()._differences(hosts)
        members = self._expected(hosts)
        routes = {node.settings.public_key: node.route for node in members}
        if len(set(routes.values())) < len(members):
            yield "two have one overlay address, or one key"
        for node in members:
            if problem := _mistake(node, routes):
                yield f"{node.host} {problem}"

    def _disk_delay(self) -> float:
        """Return how long it takes a host to save its keys."""
        return 0.0

    def _save_keys(self, node: MeshParticipant, event: SaveKeys) -> None:
        """Keep the keys of a node for its next start, if it has lived so long."""
        if node.up:
            self.keys[node.host] = node.wire.keyring.keys
            node.saved_keys = node.ours.saved_keys()
            node.take(node.ours.obey, KeysSaved(event.number))

    def _resolve(self, source: MeshParticipant, request: Resolve) -> None:
        source.take(source.ours.resolved, request.seed, self.names.get(request.seed.host, ()))

    def _on_event(self, node: MeshParticipant, event: object) -> None:
        if isinstance(event, Resolve):
            delay = self._network.usual.delay(self._rng)
            self._agenda.later(delay, self._resolve, node, event)
        elif isinstance(event, Departed | Refused):
            self._trace.note(f"{node.host} ends: {event}")
            self._end(node)
        elif isinstance(event, SaveKeys):
            delay = self._disk_delay()
            if delay:
                self._agenda.later(delay, self._save_keys, node, event)
            else:
                self._save_keys(node, event)
        elif isinstance(event, PlanChanged) and not node.go and (problem := node.take_plan()):
            self.violate(f"{node.host}: {problem}")


def _mistake(node: MeshParticipant, routes: Mapping[str, tuple[IPNetwork, ...]]) -> str | None:
    """Say what is wrong with the plan of a node whose peers ought to have these routes, by key."""
    plan = node.plan
    if plan is None or not plan.complete:
        return "has no complete plan"
    for key_of_peer, route in routes.items():
        peer = plan.peers.get(key_of_peer)
        if peer is None and key_of_peer != node.settings.public_key:
            return f"has no peer for {route}"
        if peer and peer.allowed_ips != route:
            return f"sends {peer.allowed_ips} to the peer for {route}"
    return None
