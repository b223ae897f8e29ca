"""Traffic between two nodes, in numbered packets, so that what is lost is known."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from tests.testbed.lab.daemons import Daemon
from tests.testbed.lab.netns import LabError

RATE = 100  # packets per second
PORT = 9000


class Flow:
    """Numbered packets from one node to another, over their overlay addresses."""

    def __init__(
        self, sender: Daemon, receiver: Daemon, *, port: int = PORT, rate: int = RATE
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
            due = started + self.sent / self._rate
            time.sleep(max(0.0, due - time.monotonic()))

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


def _overlay_address(daemon: Daemon) -> str:
    if (address := daemon.overlay_address()) is None:
        raise LabError(f"no overlay address on {daemon.host.name}")
    return address
