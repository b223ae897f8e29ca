"""A cluster key is changed by configuration, in three rollouts, while other things happen."""

from collections.abc import Iterator, Sequence
from random import Random

from tests.testbed.sim.mesh_world import MeshParticipant, MeshWorld
from tests.testbed.sim.world import KEY
from wesher.mesh.base.events import MemberEvent, MemberEventKind, Notice

OLD, NEW = KEY, bytes(range(1, 33))
ROLLOUTS = ((OLD, NEW), (NEW, OLD), (NEW,))
MEMBERS = 8
GO = "go"
EXCUSED = 60.0  # seconds after a host was away in which it may be held for failed


class RecordingWorld(MeshWorld):
    """A mesh world that keeps who was held for failed, and the warnings, beyond restarts."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, loss=0.01)
        self.failures: list[tuple[float, str, str]] = []
        self.warned: list[tuple[str, str]] = []

    def _on_event(self, node: MeshParticipant, event: object) -> None:
        if isinstance(event, MemberEvent) and event.what is MemberEventKind.FAILED:
            self.failures.append((self.now, node.host, event.member))
        elif isinstance(event, Notice):
            self.warned.append((node.host, event.text.format(**event.data)))
        super()._on_event(node, event)


class Rotation:
    """One rotation in a mesh of eight; `go` adds a member like the original's, with one key."""

    def __init__(
        self,
        seed: int,
        *,
        go: str | None = None,
        troubles: bool = True,
        rollouts: Sequence[tuple[bytes, ...]] = ROLLOUTS,
    ) -> None:
        self._rng = Random(f"rotation {seed}")
        self._go = go
        self._troubles = troubles
        self._rollouts = rollouts
        self._away: list[tuple[float, str]] = []
        self.world = RecordingWorld(seed)
        self.ours = [f"node{index}" for index in range(MEMBERS)]

    def run(self) -> None:
        """Form the mesh, roll out, each time in another order, and check what is promised."""
        self._form()
        for number, ring in enumerate(self._rollouts, 1):
            self._roll_out(ring)
            if number == 2 and self._go:
                self._restart_go()
        hosts = list(self.world.nodes)
        self.world.run_until(lambda: self.world.meshed(*hosts), limit=300)
        for host in self.ours:
            if self.world.nodes[host].wire.keyring.keys != (NEW,):
                self.world.violate(f"{host} has not the new key alone")
        if false := list(self._falsely_failed()):
            self.world.violate("; ".join(false))

    def forget_one(self) -> str:
        """Form the mesh and roll out twice, both times without one host; return that."""
        self._form()
        forgotten = self._rng.choice(self.ours)
        for ring in self._rollouts[:2]:
            for host in self.ours:
                if host != forgotten:
                    self.world.configure_keys(host, *ring)
                    self._pass(0, 5)
        return forgotten

    def roll_out_around_go(self) -> None:
        """Form the mesh and roll out twice, and let the member with one key live on for long."""
        self._form()
        for ring in self._rollouts[:2]:
            self._roll_out(ring)
        self.world.run(self.world.now + 180)

    def _form(self) -> None:
        for host in self.ours:
            self.world.start(host, *self.ours[:1] * (host != self.ours[0]))
        if self._go:
            self.world.start(GO, *self.ours[:2], go=self._go)
        self.world.run_until(lambda: self.world.meshed(*self.world.nodes), limit=120)
        self._pass(5, 30)

    def _roll_out(self, ring: tuple[bytes, ...]) -> None:
        """Give all hosts these keys, one after another; who is down has them from its start."""
        order = self._rng.sample(self.ours, MEMBERS)
        trouble_at = self._rng.randrange(MEMBERS) if self._troubles else -1
        for number, host in enumerate(order):
            self.world.configure_keys(host, *ring)
            if number == trouble_at:
                self._rng.choice((self._crash, self._restart, self._partition))()
            self._pass(0, 20)
        self._pass(1, 40)

    def _crash(self) -> None:
        host = self._rng.choice(self.ours)
        self.world.crash(host)
        self._pass(1, 50)
        self._is_away(host)
        self.world.restart(host)

    def _restart(self) -> None:
        host = self._rng.choice(self.ours)
        self._is_away(host)
        self.world.restart(host)

    def _partition(self) -> None:
        side = self._rng.sample(list(self.world.nodes), MEMBERS // 2)
        self.world.part(side)
        self._pass(1, 90)
        for host in self.world.nodes:
            self._is_away(host)
        self.world.heal()

    def _restart_go(self) -> None:
        self.world.configure_keys(GO, NEW)
        self._is_away(GO)
        self.world.restart(GO)
        self._pass(5, 60)

    def _is_away(self, host: str) -> None:
        self._away.append((self.world.now, host))

    def _pass(self, least: float, most: float) -> None:
        self.world.run(self.world.now + self._rng.uniform(least, most))

    def _falsely_failed(self) -> Iterator[str]:
        """Yield who held one of ours for failed that was not away, nor had been just before."""
        for at, host, name in self.world.failures:
            if host in self.ours and self._is_false(name, at):
                yield f"{host} held {name} for failed at {at:.1f}"

    def _is_false(self, name: str, at: float) -> bool:
        return name in self.ours and not any(
            name == host and abs(at - then) < EXCUSED for then, host in self._away
        )
