"""What the service manager is told: ready, how it goes, still alive (sd_notify(3))."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

_USEC = 1_000_000


class Notifier:
    """Tells the service manager about this process; without one every call does nothing.

    It is told by datagrams that may be lost: none of these calls fails or waits.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._path = environ.get("NOTIFY_SOCKET", "")
        self._watchdog_usec = _watchdog_usec(environ)

    @property
    def watchdog_interval(self) -> float | None:
        """Seconds between two calls of `alive` that keep us from being restarted, or None."""
        # Half of what is allowed, as sd_watchdog_enabled(3) recommends.
        return self._watchdog_usec / _USEC / 2 if self._watchdog_usec else None

    def ready(self) -> None:
        """Say that the start is over."""
        self._tell("READY=1")

    def status(self, text: str) -> None:
        """Say in one line how it goes, for `systemctl status`."""
        self._tell(f"STATUS={text}")

    def alive(self) -> None:
        """Say that the event loop still turns."""
        self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._tell("STOPPING=1")

    def _tell(self, text: str) -> None:
        if not self._path:
            return
        # A leading @ stands for the zero byte of an abstract address.
        address = "\0" + self._path[1:] if self._path.startswith("@") else self._path
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(text.encode(), address)


def _watchdog_usec(environ: Mapping[str, str]) -> int:
    """Return the time that the service manager gives us, 0 when it does not watch us."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0
    text = environ.get("WATCHDOG_USEC", "")
    return int(text) if text.isascii() and text.isdigit() else 0
