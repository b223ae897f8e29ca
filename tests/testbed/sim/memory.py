"""Does what a node remembers end growing? One neighbour comes and goes, again and again.

scripts/soak memory --restarts 2000
"""

import argparse
import gc
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.sim.mesh_world import MeshWorld
from wesher.gossip import codec
from wesher.mesh.base import metadata
from wesher.mesh.planning import planner, validation

ROOT = Path(__file__).parents[3]
LASTING = 10.0  # seconds that the neighbour stays, and that it is away
SAMPLES = 10
SHOWN = 8  # lines of code, those that hold most of the growth
_CODE = tracemalloc.Filter(True, str(ROOT / "wesher" / "*"), all_frames=True)
_CACHES = [
    one
    for module in (codec, metadata, planner, validation)
    for one in vars(module).values()
    if hasattr(one, "cache_info")
]
_FRAMES = 3  # of a call: what an address or a date is made of belongs to whose line asked for it


@dataclass(frozen=True, slots=True)
class Sample:
    """What is held after so many restarts."""

    restarts: int
    snapshot: tracemalloc.Snapshot

    @property
    def size(self) -> int:
        """In bytes, of what the code of wesher has made."""
        return sum(trace.size for trace in self.snapshot.traces)


def main() -> int:
    given = _parse()
    tracemalloc.start(_FRAMES)
    samples = []
    print("restarts   held by two nodes that stay", flush=True)
    for sample in restarts(given.restarts, renamed=given.renamed, cached=not given.uncached):
        samples.append(sample)
        print(f"{sample.restarts:8}   {sample.size / 1024:8.1f} KiB", flush=True)
    middle, last = samples[len(samples) // 2 - 1], samples[-1]
    print(f"grown from {middle.restarts} to {last.restarts} restarts, by line:")
    for line in last.snapshot.compare_to(middle.snapshot, "lineno")[:SHOWN]:
        frame = line.traceback[0]
        where = frame.filename.removeprefix(f"{ROOT}/")
        print(f"{line.size_diff / 1024:+8.1f} KiB {line.count_diff:+6} in {where}:{frame.lineno}")
    for cache in _CACHES:
        name, info = cache.__wrapped__.__qualname__, cache.cache_info()
        print(f"{name} holds {info.currsize} of at most {info.maxsize}")
    return 0


def restarts(number: int, *, renamed: bool = False, cached: bool = True) -> Iterator[Sample]:
    """Let a neighbour with a new key each time crash and leave in turn; `renamed`, as another.

    Without `cached`, what was decoded is dropped before it is looked at: it comes back when needed.
    """
    world = MeshWorld(1)
    world.start("one")
    world.start("two", "one")
    every = max(1, number // SAMPLES)
    for done in range(1, number + 1):
        name = f"guest-{done}" if renamed else "guest"
        _visit(world, name, leaves=done % 2 == 0)
        if done % every == 0:
            if not cached:
                for cache in _CACHES:
                    cache.cache_clear()
            yield Sample(done, _held())


def _visit(world: MeshWorld, name: str, *, leaves: bool) -> None:
    world.start("guest", "one", name=name)
    world.run(world.now + LASTING)
    end = world.stop if leaves else world.crash
    end("guest")
    world.run(world.now + LASTING)
    world.nodes["guest"].forget()
    for node in world.nodes.values():
        node.events.clear()


def _held() -> tracemalloc.Snapshot:
    gc.collect()
    return tracemalloc.take_snapshot().filter_traces([_CODE])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/soak memory")
    parser.add_argument("promise", choices=["memory"])
    parser.add_argument("--restarts", type=int, default=2000)
    parser.add_argument("--renamed", action="store_true", help="under another name each time")
    parser.add_argument("--uncached", action="store_true", help="leave out what was decoded")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
