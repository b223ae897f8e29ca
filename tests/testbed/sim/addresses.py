"""Claims to one overlay address, each world from one seed: to be run in any number."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

from tests.testbed.sim.mesh_world import MeshParticipant, MeshWorld
from wesher.mesh.base.address import candidates, overlay_address
from wesher.mesh.base.metadata import Metadata, read_metadata
from wesher.mesh.base.trust import Trust

SETTLING = 20.0  # seconds after the last fault until nothing is shared any more
SEEN = 1.0  # seconds for which a node must have known two claims before it has to act on them
LOOK_EVERY = 0.25  # seconds
TAKEN = "belongs to another live member"  # what a host is told that fixes another's address
COLLIDING = ("node02", "host406")  # the Go hash gives both .231 in 10.0.0.0/24


@dataclass(frozen=True)
class Crowd:
    """Who joins at the same moment, and what happens then."""

    seed: int
    network: str
    members: int
    go: int = 0
    fixed: int = 0
    parted: bool = False
    """Whether the mesh is cut while they join, and heals later."""


class Joins:
    """One crowd that joins; `run` returns the moves of each member, or raises a Violation."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._rng = Random(f"addresses {crowd}")
        self.world = MeshWorld(crowd.seed, overlay_net=crowd.network, latency=(0.002, 0.05))
        self._known_since: dict[tuple[str, str, str], tuple[object, float]] = {}
        self._moved_before: dict[str, int] = {}

    @property
    def _trust(self) -> Trust:
        return "open" if self._crowd.seed % 2 else "live"

    def run(self) -> dict[str, int]:
        """Let all join, part and heal as they are to, and check what is promised."""
        self._start()
        if self._crowd.parted:
            self._watch(100 + 100 * self._rng.random())
            self._moved_before = self._moves()
            self._check_moves(self._moved_before)
            self.world.heal()
        self._watch(SETTLING)
        moves = self._moves()
        self._check_addresses()
        before = self._moved_before
        self._check_moves({host: moves[host] - before.get(host, 0) for host in moves})
        return moves

    def _moves(self) -> dict[str, int]:
        """Return how often each of ours has taken another address."""
        return {node.host: max(0, len(node.addresses) - 1) for node in self._ours()}

    def _start(self) -> None:
        names = self._names()
        self.world.start("first")
        self.world.run(1)
        go = set(self._rng.sample(names, self._crowd.go))
        fixed = set(self._rng.sample([one for one in names if one not in go], self._crowd.fixed))
        if self._crowd.parted:
            half = names[::2]
            self.world.part(["first", *half], [one for one in names if one not in half])
        for name in names:
            seeds = ["first", *names[1:2]] if name != names[1] else ["first"]
            self.world.start(
                name,
                *seeds,
                go="current" if name in go else None,
                overlay_addr=self._fixed_address() if name in fixed else None,
                trust=self._trust,
            )

    def _names(self) -> list[str]:
        names = [*COLLIDING]
        while len(names) < self._crowd.members - 1:
            name = f"n{self._rng.randrange(10**6)}"
            if name not in names:
                names.append(name)
        self._rng.shuffle(names)
        return names

    def _fixed_address(self) -> object:
        """Return an address that another member may well have by its hash."""
        return overlay_address(self._rng.choice(COLLIDING), self.world._overlay_net)

    def _ours(self) -> list[MeshParticipant]:
        return [node for node in self.world.nodes.values() if not node.go and node.up]

    def _watch(self, seconds: float) -> None:
        """Let time pass, and look again and again at who routes what to whom."""
        until = self.world.now + seconds
        while self.world.now < until:
            self.world.run(min(until, self.world.now + LOOK_EVERY))
            self._check_winners()

    def _check_winners(self) -> None:
        """All nodes that know two claims for some time give the address to the same member."""
        winners: dict[tuple[str, str], set[str]] = {}
        for node in self._ours():
            routes = node.routes()
            for address, one, other in self._context(node):
                winner = routes.get(f"{address}/32")
                rivals = {self._key_of(name): name for name in (one, other)}
                if winner in rivals and node.name not in (one, other):
                    winners.setdefault((one, other), set()).add(rivals[winner])
        for pair, found in winners.items():
            if len(found) > 1:
                self.world.violate(f"{pair} both have one address, and others disagree on it")

    def _context(self, node: MeshParticipant) -> Iterator[tuple[str, str, str]]:
        """Yield what two members claim, as far as the node has known it for long enough."""
        claims: dict[str, str] = {}
        for member in node.gossip.members:
            metadata = read_metadata(member)
            if not member.live or not isinstance(metadata, Metadata):
                continue
            address = str(metadata.overlay_addr)
            rival = claims.setdefault(address, member.name)
            if rival == member.name:
                continue
            one, other = sorted((rival, member.name))
            held = node.gossip.members.get(rival)
            assert held, f"{rival} is among the members"
            what = (address, held.meta, member.meta)
            known, since = self._known_since.get((node.name, one, other), (None, 0.0))
            if known != what:
                self._known_since[node.name, one, other] = (what, self.world.now)
            elif self.world.now - since >= SEEN:
                yield address, one, other

    def _key_of(self, name: str) -> str:
        return self.world.nodes[name].settings.public_key

    def _check_addresses(self) -> None:
        """No two movable members have one address, and nobody lacks one while one is free."""
        running = [node for node in self.world.nodes.values() if node.up]
        held = {node.overlay_addr for node in running}
        if all(str(one) in held for one in candidates("anybody", self.world._overlay_net)):
            return
        for node in self._ours():
            if rivals := self._rivals(node, running):
                self.world.violate(f"{node.host} shares {node.overlay_addr}: {rivals}")
        for node in self.world.nodes.values():
            refusal = node.refusal()
            if refusal and not (node.settings.overlay_addr and TAKEN in refusal):
                self.world.violate(f"{node.host} is refused: {refusal}")

    def _rivals(self, node: MeshParticipant, running: Iterable[MeshParticipant]) -> list[str]:
        """Return who has the address of a node that could move, and is in its mesh.

        A Go-behaving one that reached nobody when it started is in a mesh of its own, and takes
        nothing from one with an identity, unless that trusts everybody. One that was
        given the address by its operator, behind a cut, cannot move; who had it here keeps it.
        """
        if node.settings.overlay_addr is not None:
            return []
        return [
            other.host
            for other in running
            if other is not node
            and other.overlay_addr == node.overlay_addr
            and other.settings.overlay_addr is None
            and not (other.go and (other.name not in node.live() or self._trust == "live"))
        ]

    def _check_moves(self, moves: dict[str, int]) -> None:
        """Whoever collides moves once: in its part of a mesh, and where it meets another part."""
        if often := {host: times for host, times in moves.items() if times > 1}:
            self.world.violate(f"moved too often: {often}")


def crowds(seed: int) -> Crowd:
    """Draw the crowd of a seed, as the table of the promises has them."""
    rng = Random(seed)
    network = rng.choice(("10.0.0.0/24", "10.0.0.0/28", "10.0.0.0/8"))
    members = rng.randint(4, 12)
    return Crowd(
        seed,
        network,
        members,
        go=rng.choice((0, 0, 1, 2)),
        fixed=rng.choice((0, 0, 1)),
        parted=rng.random() < 0.3,
    )
