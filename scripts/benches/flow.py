"""Whether traffic between two nodes suffers while others come and go."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from scripts.benches.measuring import Options, Result, say, sleep_until
from tests.lab.daemons import Daemon, Mesh
from tests.lab.netns import Lab, LabError, wait_for

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


class Flow:
    """Numbered packets from one node to another, over their overlay addresses."""

    def __init__(
        self, sender: Daemon, receiver: Daemon, *, port: int = _PORT, rate: int = _RATE
    ) -> None:
        self.sent = 0
        self.arrived: dict[int, float] = {}
        """When each packet came first, on the monotonic clock."""
        self._rate = rate
        self._target = (_overlay_address(receiver), port)
        self._outgoing = sender.host.socket(socket.SOCK_DGRAM)
        self._incoming = receiver.host.socket(socket.SOCK_DGRAM)
        self._incoming.bind(("0.0.0.0", port))
        self._incoming.settimeout(0.2)
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=run) for run in (self._send, self._receive)]

    def __enter__(self) -> "Flow":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for thread in self._threads:
            thread.join()
        for end in (self._outgoing, self._incoming):
            end.close()

    def stop(self) -> None:
        """Send no more; what is on its way is still taken. Leaving the context waits for that."""
        self._ending.set()

    def lost(self) -> list[int]:
        """The numbers of the packets that never arrived."""
        return [number for number in range(1, self.sent + 1) if number not in self.arrived]

    def first_after(self, instant: float) -> float | None:
        """When the first packet came since then, None if none has."""
        return min((at for at in list(self.arrived.values()) if at >= instant), default=None)

    def _send(self) -> None:
        started = time.monotonic()
        while not self._ending.is_set():
            self.sent += 1
            # No route or no peer at this moment makes it a lost packet.
            with contextlib.suppress(OSError):
                self._outgoing.sendto(self.sent.to_bytes(8), self._target)
            sleep_until(started + self.sent / self._rate)

    def _receive(self) -> None:
        """Take what comes, and until a second after the last packet was sent."""
        self._take_while(lambda: not self._ending.is_set())
        last = time.monotonic() + 1
        self._take_while(lambda: time.monotonic() < last)

    def _take_while(self, condition: Callable[[], bool]) -> None:
        while condition():
            try:
                number = int.from_bytes(self._incoming.recv(64))
            except TimeoutError:
                continue
            self.arrived.setdefault(number, time.monotonic())


def say_lost(flow: Flow) -> None:
    """Show which packets never arrived, if any."""
    if lost := flow.lost():
        first = ", ".join(f"{number / _RATE:.2f}" for number in lost[:_SHOWN])
        say(f"lost {len(lost)} packets, the first of them {first} s after the first one")


def _overlay_address(daemon: Daemon) -> str:
    if (address := daemon.overlay_address()) is None:
        raise LabError(f"no overlay address on {daemon.host.name}")
    return address
