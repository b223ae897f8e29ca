"""What nodes hold of a neighbour that comes and goes: over thousands, see `scripts/soak memory`."""

import gc
import tracemalloc
from collections import Counter

from tests.testbed.sim.memory import restarts


def test_a_neighbour_that_comes_and_goes_leaves_nothing_more_each_time() -> None:
    tracemalloc.start()
    try:
        held = [(sample.restarts, objects()) for sample in restarts(40, cached=False)]
    finally:
        tracemalloc.stop()

    (earlier, before), (later, after) = held[len(held) // 2], held[-1]
    grown = {name: n for name, n in (after - before).items() if n > (later - earlier) / 2}
    assert grown == {}


def objects() -> Counter[str]:
    """Count our objects, by class."""
    gc.collect()
    classes = (type(one) for one in gc.get_objects())
    return Counter(one.__qualname__ for one in classes if str(one.__module__).startswith("wesher."))
