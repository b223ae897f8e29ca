"""Many seeds, on several processes."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

Result = TypeVar("Result")

WAITING = 4  # seeds for each process


def played(play: Callable[[int], Result], seeds: Iterable[int], jobs: int) -> Iterator[Result]:
    """Play all seeds, `jobs` at a time; the results come in the order of the seeds."""
    waiting: deque[Future[Result]] = deque()
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for seed in seeds:
            waiting.append(pool.submit(play, seed))
            if len(waiting) > WAITING * jobs:
                yield waiting.popleft().result()
        for future in waiting:
            yield future.result()


def positive(text: str) -> int:
    """Read an argument that counts something."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number
