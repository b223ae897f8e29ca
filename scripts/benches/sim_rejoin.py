"""What reaching out for missing members costs: half of a cluster is gone."""

from collections.abc import Mapping
from dataclasses import dataclass

from scripts.benches.sim_tables import QUICK_SIZES, Question, Table, verdict
from scripts.benches.sim_world import LATENCY
from tests.testbed.sim.hosts import PORT
from tests.testbed.sim.mesh_world import MeshParticipant, MeshWorld
from wesher.gossip import Address, StreamRequest
from wesher.mesh.base.saved import SavedMember

_SIZES = (10, 100, 1000)


@dataclass(frozen=True)
class RejoinCase:
    """A cluster of so many members, half of them gone."""

    members: int
    seconds: float


@dataclass(frozen=True)
class JoinRetry:
    """What each member that is left does in a minute."""

    tries: float
    """Streams to members that are missing: nothing but packets that no host answers."""


class _WatchedWorld(MeshWorld):
    """A world that counts the streams to hosts on which nothing runs."""

    tries = 0

    def _open_stream(self, source: MeshParticipant, request: StreamRequest) -> None:
        target = self._by_address.get(request.to)
        if target is None or not target.up:
            self.tries += 1
        super()._open_stream(source, request)


def cases(quick: bool) -> list[RejoinCase]:
    """Return what to measure."""
    seconds = 600.0 if quick else 300.0
    return [RejoinCase(members, seconds) for members in (QUICK_SIZES if quick else _SIZES)]


def measure(case: RejoinCase) -> JoinRetry:
    """Let half of a cluster be settled, and know the other half to have failed."""
    left = case.members // 2
    world = _WatchedWorld.converged(left, 1, latency=(LATENCY, LATENCY))
    gone = [
        SavedMember(f"gone{n}", Address(f"192.168.{200 + n // 250}.{n % 250 + 1}", PORT), None)
        for n in range(case.members - left)
    ]
    for node in world.nodes.values():
        node.ours._coordinator.failed.restore(gone, world.now)
    world.run(case.seconds)
    return JoinRetry(world.tries * 60 / left / case.seconds)


def tables(measured: Mapping[RejoinCase, JoinRetry]) -> list[Table]:
    """Return one table."""
    smallest = min(measured, key=lambda case: case.members)
    return [
        Table(
            "What each member that is left does in a minute while half of them are missing",
            ["members", "tries", "against the smallest cluster"],
            [_row(case, rejoin, measured[smallest]) for case, rejoin in measured.items()],
        )
    ]


def _row(case: RejoinCase, rejoin: JoinRetry, smallest: JoinRetry) -> tuple[object, ...]:
    worth = verdict(rejoin.tries, smallest.tries, "of chance: tries are drawn")
    return (case.members, rejoin.tries, worth)


QUESTION = Question(cases, measure, tables)
