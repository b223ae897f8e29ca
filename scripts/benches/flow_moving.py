"""Whether traffic to and from a node suffers while its address in the underlay changes."""

import itertools
import statistics
import time
from collections.abc import Iterable
from ipaddress import ip_address

from scripts.benches.flow import say_lost
from scripts.benches.measuring import Options, Result, say, sleep_until
from tests.testbed.lab.daemons import Mesh, ping
from tests.testbed.lab.netns import Lab, LabError, wait_for
from tests.testbed.lab.traffic import Flow
from wesher.gossip import Record, RecordState, unpack_ip

_CHANGES = 20
_INTERVAL = 6.0  # seconds between changes
_PATIENCE = 5.0  # seconds for all others to show the new address
_TIMEOUT = 60  # seconds
_OTHERS = 3
_FIRST = 100  # last number of the first new address: no host of the lab has it


def measure(options: Options) -> Result:
    """Number the packets to and from a node whose address changes twenty times.

    Every change should be shown by all, nobody suspected or failed, no silence above 3 s.
    """
    with Lab(1 + _OTHERS) as lab:
        mesh = Mesh(lab, command=options.command)
        mesh.start()
        mesh.wait_until_complete(_TIMEOUT)
        mesh.wait_for_hosts_lines(_TIMEOUT)
        changes = _Changes(mesh)
        other, mover = changes.others[0], changes.mover
        wait_for(lambda: ping(other, mover.host.name, 1), _TIMEOUT, "a handshake")
        with Flow(other, mover) as there, Flow(mover, other) as back:
            changes.run()
        result = changes.result()
    for flow in (there, back):
        say_lost(flow)
    silences = [
        max(_silence(flow.arrived.values(), began, began + _INTERVAL) for flow in (there, back))
        for began in changes.began
    ]
    return {
        "changes": len(changes.began),
        **result,
        "sent": there.sent + back.sent,
        "lost": len(there.lost()) + len(back.lost()),
        "silence_median_seconds": round(statistics.median(silences), 2),
        "silence_worst_seconds": round(max(silences), 2),
    }


class _Changes:
    """A mesh in which the address of one node changes, and what the others show of it."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        *self.others, self.mover = mesh.daemons
        self.began: list[float] = []
        self._shown: list[float] = []
        self._states: set[tuple[str, int]] = set()

    def run(self) -> None:
        """Change the address and watch what the others show, again and again."""
        next_at = time.monotonic() + 2
        for number in range(_CHANGES):
            sleep_until(next_at)
            next_at += _INTERVAL
            self._change(f"192.168.77.{_FIRST + number}")
            while time.monotonic() < next_at - 0.5:
                self._look()
                time.sleep(0.2)

    def result(self) -> Result:
        """Return what was seen; a member that was suspected was so at one of five looks a second.

        `failed` counts also what the agents tell in their logs.
        """
        told = sum(" failed" in daemon.log() for daemon in self._mesh.daemons)
        states = [state for _, state in self._states]
        return {
            "shown": len(self._shown),
            "shown_median_seconds": round(statistics.median(self._shown), 2),
            "shown_worst_seconds": round(max(self._shown), 2),
            "suspected": states.count(RecordState.SUSPECT),
            "failed": states.count(RecordState.DEAD) + told,
        }

    def _change(self, address: str) -> None:
        """Give the node another address, as a DHCP server would, and wait until all show it."""
        host = self.mover.host
        self.began.append(time.monotonic())
        host.run("ip", "-4", "address", "flush", "dev", "eth0")
        host.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
        changed = time.monotonic()
        try:
            wait_for(lambda: self._all_show(address), _PATIENCE, f"{address} to be shown")
        except LabError as error:
            say(str(error))
            return
        self._shown.append(time.monotonic() - changed)
        say(f"{address}: shown by all after {self._shown[-1]:.2f} s")

    def _all_show(self, address: str) -> bool:
        tables = self._look()
        records = [table.get(self.mover.host.name) for table in tables]
        return all(
            one and ip_address(unpack_ip(one.addr)) == ip_address(address) for one in records
        )

    def _look(self) -> list[dict[str, Record]]:
        tables = [self._mesh.look(daemon) for daemon in self.others]
        for table in tables:
            self._states |= {(record.name, record.state) for record in table.values()}
        return tables


def _silence(arrived: Iterable[float], since: float, until: float) -> float:
    """Return the longest time without a packet, in seconds."""
    instants = [since, *sorted(at for at in arrived if since <= at < until), until]
    return max(after - before for before, after in itertools.pairwise(instants))
