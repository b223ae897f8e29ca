"""Whether traffic between two nodes suffers while others come and go."""

import time

from scripts.benches.measuring import Options, Result, say, sleep_until
from tests.testbed.lab.daemons import Daemon, Mesh
from tests.testbed.lab.netns import Lab, LabError, wait_for
from tests.testbed.lab.traffic import Flow

_RATE = 100  # packets per second
_GUESTS = 5
_INTERVAL = 5.0  # seconds between changes
_PORT = 9000
_SHOWN = 10  # lost packets that are named


def measure(options: Options) -> Result:
    """Number the packets of a one-way flow while five nodes join and then leave again."""
    with Lab(2 + _GUESTS) as lab:
        mesh = Mesh(lab, command=options.command)
        one, other, *guests = mesh.daemons
        for daemon in (one, other):
            mesh.start_one(daemon)
        mesh.wait_until_complete(60, (one, other))
        with Flow(one, other) as flow:
            next_change = time.monotonic() + 2
            joins = leaves = 0
            for count, guest in enumerate(guests, start=2):
                sleep_until(next_change)
                next_change += _INTERVAL
                mesh.start_one(guest)
                joins += _sees(one, other, count, f"{guest.host.name} joined")
            for count, guest in zip(range(_GUESTS, 0, -1), guests, strict=True):
                sleep_until(next_change)
                next_change += _INTERVAL
                guest.stop()
                leaves += _sees(one, other, count, f"{guest.host.name} left")
            sleep_until(next_change)
        say_lost(flow)
        return {
            "sent": flow.sent,
            "lost": len(flow.lost()),
            "joins_seen": joins,
            "leaves_seen": leaves,
        }


def _sees(one: Daemon, other: Daemon, peers: int, change: str) -> bool:
    """Whether both ends of the flow have that many peers before the next change."""

    def seen() -> bool:
        return all(len(daemon.peers()) == peers for daemon in (one, other))

    try:
        seconds = wait_for(seen, _INTERVAL - 0.2, f"{peers} peers")
    except LabError:
        say(f"{change}: not seen by wg")
        return False
    say(f"{change}: seen by wg after {seconds:.2f} s")
    return True


def say_lost(flow: Flow) -> None:
    """Show which packets never arrived, if any."""
    if lost := flow.lost():
        first = ", ".join(f"{number / _RATE:.2f}" for number in lost[:_SHOWN])
        say(f"lost {len(lost)} packets, the first of them {first} s after the first one")
