"""Somebody without the key sends again, to everybody, all that he has recorded."""

from collections.abc import Callable, Iterable
from hashlib import blake2s
from itertools import cycle, islice
from typing import Unpack

import pytest

from tests.testbed.sim.mesh_world import MeshWorld
from tests.testbed.sim.world import Conditions
from wesher.gossip import Address

NAMES = [f"node{number}" for number in range(6)]
VICTIM = NAMES[2]
STEP = 0.05  # seconds between two bursts
BURST = 50  # packets


Delivered = tuple[Address, bytes, Address]


class Recorded(MeshWorld):
    """A world whose delivered packets are written down."""

    def __init__(self, seed: int, **conditions: Unpack[Conditions]) -> None:
        self.packets: list[Delivered] = []
        super().__init__(seed, **conditions)

    def _deliver(self, source: Address, data: bytes, to: Address) -> None:
        self.packets.append((source, data, to))
        super()._deliver(source, data, to)

    def send_again(self, packets: Iterable[Delivered]) -> None:
        for packet in packets:
            super()._deliver(*packet)


def seconds_to_notice(seed: int, *, replayed: bool, first_sequence: Callable[[str], int]) -> float:
    """Record two minutes, start all but the victim anew, crash it; return when all have noticed.

    The recording is of the lives before, whose pings were numbered from `first_sequence(life)`.
    """
    world = Recorded(seed, latency=(0.001, 0.05))
    for name in NAMES:
        world.start(name, *NAMES[:1], first_sequence=first_sequence(f"{name} 1"))
    world.run(world.now + 120)
    recording, world.packets = [one for one in world.packets if one[0] != one[2]], []
    others = [name for name in NAMES if name != VICTIM]
    for name in others:
        world.crash(name)
        key = world.nodes[name].settings.public_key
        first = first_sequence(f"{name} 2")
        world.start(name, VICTIM, public_key=key, first_sequence=first)
    world.run(world.now + 10)
    assert all(VICTIM in world.nodes[name].live() for name in others)
    began = world.now
    world.crash(VICTIM)
    again = cycle(recording)
    while any(VICTIM in world.nodes[name].live() for name in others):
        assert world.now - began < 300
        world.run(world.now + STEP)
        if replayed:
            world.send_again(islice(again, BURST))
    return world.now - began


@pytest.mark.parametrize("seed", range(3))
def test_recorded_packets_hide_no_crash(seed: int) -> None:
    def first(life: str) -> int:
        return hash_of(f"{seed} {life}")

    alone = seconds_to_notice(seed, replayed=False, first_sequence=first)
    beside = seconds_to_notice(seed, replayed=True, first_sequence=first)

    print(f"a crash was noticed after {alone:.1f} s, beside a replay after {beside:.1f} s")
    assert beside <= 1.5 * alone


def hash_of(text: str) -> int:
    return int.from_bytes(blake2s(text.encode(), digest_size=4).digest())
