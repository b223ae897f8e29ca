"""Traffic between nodes: packets in numbers, so that what is lost is known, and the first ping."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable

from tests.testbed.lab.daemons import Daemon
from tests.testbed.lab.netns import Host, LabError, wait_for

RATE = 100  # packets per second
PORT = 9000
_PING_GAP = 0.01  # seconds between two echo requests
_ECHO = struct.Struct(">BBHHH")  # type, code, checksum, identifier, sequence number
_REQUEST, _REPLY = 8, 0
_IDENTIFIER = 0x7E57


class Flow:
    """Numbered packets from one node to another, over their overlay addresses."""

    def __init__(
        self, sender: Daemon, receiver: Daemon, *, port: int = PORT, rate: int = RATE
    ) -> None:
        self.sent = 0
        self.arrived: dict[int, float] = {}
        """When each packet came first, on the monotonic clock."""
        self._rate = rate
        self._target = (overlay_address(receiver), port)
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


class FirstPing:
    """Echo requests from a host to an address, a hundred a second, until one is answered."""

    def __init__(self, host: Host, target: str) -> None:
        self._answered_at: float | None = None
        self._target = (target, 0)
        self._socket = host.socket(socket.SOCK_RAW, protocol=socket.IPPROTO_ICMP)
        self._socket.settimeout(_PING_GAP)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "FirstPing":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._socket.close()

    def wait(self, timeout: float) -> float:
        """Return when the first reply came, on the monotonic clock; LabError when none does."""
        wait_for(lambda: self._answered_at, timeout, "a reply to a ping")
        assert self._answered_at is not None
        return self._answered_at

    def _run(self) -> None:
        number = 0
        due = time.monotonic()
        while self._answered_at is None and not self._ending.is_set():
            if time.monotonic() >= due:
                number, due = number + 1, due + _PING_GAP
                # No route or no peer at this moment: nobody answers.
                with contextlib.suppress(OSError):
                    self._socket.sendto(echo_request(number & 0xFFFF), self._target)
            with contextlib.suppress(TimeoutError):
                if _is_reply(self._socket.recv(1500)):
                    self._answered_at = time.monotonic()


def echo_request(number: int, content: bytes = b"") -> bytes:
    """Return an ICMP packet that asks for an answer with the same content (RFC 792)."""
    padded = content + bytes(len(content) % 2)
    total = sum(struct.unpack(f">{len(padded) // 2}H", padded), start=_REQUEST << 8)
    total += _IDENTIFIER + number
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    return _ECHO.pack(_REQUEST, 0, checksum, _IDENTIFIER, number) + content


def _is_reply(packet: bytes) -> bool:
    """Tell our replies from what else arrives; IPv4 comes with its header."""
    kind, _, _, identifier, _ = _ECHO.unpack_from(packet, (packet[0] & 0xF) * 4)
    return (kind, identifier) == (_REPLY, _IDENTIFIER)


def overlay_address(daemon: Daemon) -> str:
    """Return the address of an agent that has one; LabError when it has none."""
    if (address := daemon.overlay_address()) is None:
        raise LabError(f"no overlay address on {daemon.host.name}")
    return address
