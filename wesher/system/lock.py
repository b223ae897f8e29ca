"""Exclusive locks: one agent per interface, one writer of the hosts file at a time."""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from wesher.base.errors import StartError
from wesher.system import atomic_write

_POLL_INTERVAL = 0.02  # seconds
_ENDING = ".lock"


class InterfaceLock:
    """This process's exclusive hold on one interface, until `release` or its end, however it ends.

    Raises StartError when another agent holds it, naming its pid, and when the run directory cannot
    be used. The file stays behind: removing it would let two later agents lock two different files.
    """

    def __init__(self, run_dir: Path, interface: str) -> None:
        path = run_dir / f"{interface}{_ENDING}"
        try:
            self._descriptor: int | None = _hold(path)
        except BlockingIOError:
            raise StartError(
                f"another wesher{_holder(path)} runs on interface {interface}: "
                "stop it first, or choose another with --interface"
            ) from None
        except OSError as error:
            raise StartError(f"cannot lock {path}: {atomic_write.reason(error)}") from error

    def release(self) -> None:
        """Let the next agent have the interface; harmless when done twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def once_locked(run_dir: Path) -> frozenset[str]:
    """Return the interfaces that agents hold, or have held."""
    return frozenset(path.stem for path in run_dir.glob(f"*{_ENDING}"))


def open_locked(path: Path, wait: float = 0.0) -> int:
    """Return a descriptor that holds the exclusive lock on `path`; closing it releases the lock.

    Creates the file and its directory. Raises BlockingIOError when somebody else still holds the
    lock after `wait` seconds (the calling thread sleeps meanwhile), OSError for anything else.
    """
    deadline = time.monotonic() + wait
    atomic_write.make_directory(path.parent, 0o755)
    while True:
        # 0600: whoever can open the file could hold the lock.
        descriptor = atomic_write.open_regular(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
        try:
            _flock(descriptor, deadline)
            if _names(path, descriptor):
                return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _hold(path: Path) -> int:
    """Return a descriptor that holds the lock on `path`, with our pid in the file."""
    descriptor = open_locked(path)
    try:
        os.ftruncate(descriptor, 0)
        atomic_write.write_all(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _flock(descriptor: int, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(_POLL_INTERVAL)


def _names(path: Path, descriptor: int) -> bool:
    """Say whether `path` still names the locked file: it may have been removed meanwhile."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    """Return ` (pid N)` for the holder of a lock, nothing when it has not said."""
    try:
        pid = path.read_text("ascii", "replace").strip()
    except OSError:
        return ""
    return f" (pid {pid})" if pid.isdecimal() else ""
