"""Partitions and what comes after them, each from one seed: to be run in any number.

What is promised is about nodes of ours: a Go-behaving one joins at its start and never again.
"""

from dataclasses import dataclass
from random import Random

from tests.testbed.sim.mesh_world import MeshParticipant, MeshWorld

PROMISED = 30.0  # seconds from the network's return until all of ours are together again
SETTLING = 60.0  # seconds in which nobody may come back who has left


@dataclass(frozen=True)
class Partition:
    """How a mesh is cut: `sides` parts for so long; `one_way`, packets still pass one way."""

    seed: int
    members: int
    seconds: float
    sides: int = 2
    one_way: bool = False
    go: bool = False
    """Whether a third of the members behave like the original."""
    leaves: bool = True
    """Whether a member leaves on each side meanwhile."""


class Reconnect:
    """One mesh that is cut and heals; `run` returns the seconds that it took, or raises."""

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._rng = Random(f"reunion {partition}")
        self.world = MeshWorld(partition.seed, latency=(0.001, 0.05))
        self._ours: list[str] = []
        self._left: set[str] = set()

    def run(self) -> float:
        """Form the mesh, cut it, let members leave, heal it, and check what is promised."""
        self._form()
        sides = self._cut()
        before = {host: self._node(host).routes() for host in self._ours}
        leavers = self._leavers(sides)
        ends_at = self.world.now + self._partition.seconds
        for host in leavers:
            self.world.run(self.world.now + self._rng.uniform(0, 20))
            self._leave(host)
        self.world.run(ends_at)
        self._check_peers(before, "while it was cut")
        self.world.heal()
        seconds = self.world.run_until(self._is_whole, limit=PROMISED)
        ends_at = self.world.now + SETTLING
        while self.world.now < ends_at:
            self.world.run(self.world.now + 5)
            if back := self._back():
                self.world.violate(back)
        self._check_peers(before, "after it was cut")
        return seconds

    def _form(self) -> None:
        names = [f"node{index:03}" for index in range(self._partition.members)]
        strangers = set(self._rng.sample(names[1:], len(names) // 3 if self._partition.go else 0))
        self._ours = [name for name in names if name not in strangers]
        for name in names:
            go = "current" if name in strangers else None
            self.world.start(name, *names[:1] * (name != names[0]), go=go)
        self.world.run_until(self._is_whole, limit=90)
        self.world.run(self.world.now + 20)

    def _cut(self) -> list[list[str]]:
        hosts = list(self.world.nodes)
        self._rng.shuffle(hosts)
        sides = [hosts[index :: self._partition.sides] for index in range(self._partition.sides)]
        if self._partition.one_way:
            self.world.cut(sides[0], [host for side in sides[1:] for host in side])
        else:
            self.world.part(*sides)
        return sides

    def _leavers(self, sides: list[list[str]]) -> list[str]:
        if not self._partition.leaves:
            return []
        ours = [[host for host in side if host in self._ours] for side in sides]
        return [self._rng.choice(side) for side in ours if len(side) > 1]

    def _leave(self, host: str) -> None:
        self.world.stop(host)
        self._left.add(host)
        self._ours.remove(host)

    def _node(self, host: str) -> MeshParticipant:
        return self.world.nodes[host]

    def _is_whole(self) -> bool:
        """Tell whether all of ours have each other, and nobody who has left."""
        wanted = set(self._ours)
        nodes = [self._node(host) for host in self._ours]
        # Counting is quick, and while most are apart it is enough.
        return (
            all(node.gossip.members.live_remotes >= len(wanted) - 1 for node in nodes)
            and all(wanted <= node.live() and node.plan and node.plan.complete for node in nodes)
            and self._back() is None
        )

    def _back(self) -> str | None:
        """Say who holds one that has left for live, or has it as a peer."""
        keys = {self._node(host).settings.public_key for host in self._left}
        for host in self._ours:
            node = self._node(host)
            if self._left and (back := node.live() & self._left):
                return f"{host} holds {back} for live, who left"
            if node.plan and (back := keys & node.plan.peers.keys()):
                return f"{host} has peers who left: {back}"
        return None

    def _check_peers(self, before: dict[str, dict[str, str]], when: str) -> None:
        """A partition may take nobody's packets away."""
        gone = {self._node(host).settings.public_key for host in self._left}
        for host in self._ours:
            routes = self._node(host).routes()
            for address, key in before[host].items():
                if key not in gone and routes.get(address) != key:
                    self.world.violate(f"{host} has lost {address} {when}")


def partitions(seed: int) -> Partition:
    """Draw the partition of a seed: a minute to a day, the larger meshes a shorter time."""
    rng = Random(seed)
    members = rng.choices((6, 20, 50, 200, 500), (6000, 3000, 883, 100, 17))[0]
    hour, day = {6: (5, 1), 20: (5, 1), 50: (3, 0)}.get(members, (0, 0))
    return Partition(
        seed,
        members=members,
        seconds=rng.choices((rng.uniform(60, 300), 3600.0, 82800.0), (94, hour, day))[0],
        sides=rng.choice((2, 2, 3)),
        one_way=rng.random() < 0.2,
        go=rng.random() < 0.5,
    )
