"""Keep three promises in many worlds: partitions heal by themselves, addresses never collide, and
the cluster key changes without anybody being lost.

scripts/soak partitions --seeds 1000
scripts/soak addresses --seeds 2000
scripts/soak rotation --seeds 1000
scripts/soak partitions --seed 17       play one again
"""

import argparse
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median

from tests.testbed.sim.addresses import Joins, crowds
from tests.testbed.sim.key_rotation import KeyRotation
from tests.testbed.sim.mesh_world import MeshWorld
from tests.testbed.sim.parallel import played, positive
from tests.testbed.sim.reunions import Reconnect, partitions
from tests.testbed.sim.trace import Violation
from wesher.base.frozen import replace

HISTORY = 30  # lines


@dataclass(frozen=True, slots=True)
class Kept:
    """What one world came to."""

    seed: int
    members: int
    what: str
    """Which world it was, in words."""
    seconds: float | None = None
    """Until all were together again."""
    moves: tuple[int, ...] = ()
    """How often each member took another address."""
    violation: str = ""
    history: tuple[str, ...] = ()


def main() -> int:
    given = _parse()
    play = partial(PROMISES[given.promise], members=given.members)
    seeds = range(given.first, given.first + given.seeds) if given.seed is None else [given.seed]
    kept = []
    for one in played(play, seeds, min(given.jobs, len(seeds))):
        kept.append(one)
        if one.violation or given.seed is not None:
            print("\n".join(_told(one, _command(given, one))), flush=True)
    print("\n".join(SUMMARIES[given.promise](kept)))
    return 1 if any(one.violation for one in kept) else 0


def keep_reunion(seed: int, *, members: int | None = None) -> Kept:
    """Cut the mesh of a seed, perhaps made of so many members, and let it heal."""
    world = partitions(seed)
    world = replace(world, members=members or world.members)
    reconnect = Reconnect(world)
    kept = Kept(seed, world.members, str(world))
    return _kept(reconnect.world, kept, lambda: replace(kept, seconds=reconnect.run()))


def keep_addresses(seed: int, *, members: int | None = None) -> Kept:
    """Let the crowd of a seed, perhaps of so many members, join."""
    crowd = crowds(seed)
    crowd = replace(crowd, members=members or crowd.members)
    joins = Joins(crowd)
    kept = Kept(seed, crowd.members, str(crowd))
    return _kept(joins.world, kept, lambda: replace(kept, moves=tuple(joins.run().values())))


def keep_rotation(seed: int, *, members: int | None = None) -> Kept:
    """Change the cluster key of the mesh of a seed."""
    rotation = KeyRotation(seed, members=members)
    kept = Kept(seed, rotation.size, str(rotation))
    kept = _kept(rotation.world, kept, lambda: replace(kept, seconds=rotation.run()))
    return replace(kept, what=str(rotation))


def _kept(world: MeshWorld, kept: Kept, play: Callable[[], Kept]) -> Kept:
    """Return what playing comes to, `kept` and what broke if that is not its end."""
    try:
        return play()
    except Violation as broken:
        violation = str(broken).partition("\n")[0]
        return replace(kept, violation=violation, history=tuple(world.history(HISTORY)))


def summary_of_reunions(kept: list[Kept]) -> list[str]:
    """Return a line for each size, and one for all."""
    by_size = defaultdict(list)
    for one in kept:
        by_size[one.members].append(one)
    lines = [f"{size} members: {_reunited(of_size)}" for size, of_size in sorted(by_size.items())]
    return [*lines, f"all: {_reunited(kept)}"]


def _reunited(kept: list[Kept]) -> str:
    took = [one.seconds for one in kept if one.seconds is not None]
    times = f"median {median(took):.1f} s, longest {max(took):.1f} s" if took else "never"
    violations = sum(bool(one.violation) for one in kept)
    return f"{len(kept):,} seeds, reunited: {times}; {violations} violations"


def summary_of_addresses(kept: list[Kept]) -> list[str]:
    """Return one line for all."""
    moves = Counter(times for one in kept for times in one.moves)
    moved = ", ".join(f"{count:,} moved {times} times" for times, count in sorted(moves.items()))
    violations = sum(bool(one.violation) for one in kept)
    return [f"{len(kept):,} seeds, members of ours: {moved}; {violations} violations"]


def summary_of_rotations(kept: list[Kept]) -> list[str]:
    """Return one line for all."""
    took = [one.seconds for one in kept if one.seconds is not None]
    times = f"median {median(took):.1f} s, longest {max(took):.1f} s" if took else "never"
    told = Counter(word for one in kept for word in ("two at once", "Go") if word in one.what)
    violations = sum(bool(one.violation) for one in kept)
    drawn = ", ".join(f"{count:,} with {word}" for word, count in sorted(told.items()))
    return [f"{len(kept):,} seeds ({drawn}), over: {times}; {violations} violations"]


PROMISES = {
    "partitions": keep_reunion,
    "addresses": keep_addresses,
    "rotation": keep_rotation,
}
SUMMARIES = {
    "partitions": summary_of_reunions,
    "addresses": summary_of_addresses,
    "rotation": summary_of_rotations,
}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("promise", choices=PROMISES)
    add("--seeds", type=positive, default=100, metavar="N", help="how many worlds (100)")
    add("--from", type=int, default=0, dest="first", metavar="SEED", help="the first seed (0)")
    add("--jobs", type=positive, default=os.cpu_count(), metavar="J", help="processes (all cores)")
    add("--members", type=positive, metavar="N", help="in each world (as the seed has it)")
    add("--seed", type=int, metavar="S", help="play this one only")
    return parser.parse_args()


def _told(kept: Kept, command: str) -> list[str]:
    if not kept.violation:
        return [f"seed {kept.seed}: {kept.what}"]
    return [
        f"VIOLATION, seed {kept.seed}: {kept.what}",
        f"    {kept.violation}",
        "what happened last:",
        *(f"    {line}" for line in kept.history),
        f"replay: {command}",
    ]


def _command(given: argparse.Namespace, kept: Kept) -> str:
    members = f" --members {given.members}" if given.members else ""
    return f"scripts/soak {given.promise} --seed {kept.seed}{members}"


if __name__ == "__main__":
    sys.exit(main())
