"""Networks for tests that run agents on loopback addresses."""

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """Be in a network of our own, where nobody else has our ports; without root, change nothing.

    It holds for the calling thread and what that starts: threads and processes.
    """
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open("rb") as outside:
        assert libc.unshare(_NEW_NETWORK) == 0, os.strerror(ctypes.get_errno())
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
        finally:
            assert libc.setns(outside.fileno(), _NEW_NETWORK) == 0, os.strerror(ctypes.get_errno())
