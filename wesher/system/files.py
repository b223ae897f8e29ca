"""Files that others use, too: read without waiting, replaced whole, locked.

A crash, a full disk or a power cut leaves the old file or the new one. There is one agent per
interface, and one writer of the hosts file at a time.
"""

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from wesher.base.errors import StartError

_ADVICE = {
    errno.EACCES: "run as root?",
    errno.EPERM: "run as root?",
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there",
    errno.EROFS: "make it writable",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
}
_POLL_INTERVAL = 0.02  # seconds
_ENDING = ".lock"


def read(path: Path) -> bytes:
    """Return the content of a regular file; OSError for anything else, which might never end."""
    with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as file:
        return file.read()


def open_regular(path: Path, flags: int, mode: int = 0o600) -> int:
    """Open `path` without ever waiting, as a FIFO would have us; OSError unless it is a file."""
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY, mode)
    except OSError as error:
        if error.errno != errno.ENXIO:  # a socket, or a device that is not there
            raise
        raise _not_regular(path) from error
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise _not_regular(path)


def make_directory(path: Path, mode: int) -> None:
    """Make `path` with `mode` and its parents with 0755, whatever the umask; OSError.

    What exists stays as it is.
    """
    missing = [one for one in (path, *path.parents) if not one.exists()]
    for directory in reversed(missing):
        # Nobody else may have a moment in which to put something in.
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
            directory.chmod(mode if directory == path else 0o755)


def reason(error: OSError) -> str:
    """Return why a file could not be used, and what to do about it where that is known."""
    advice = _ADVICE.get(error.errno or 0)
    return f"{error.strerror}; {advice}" if advice else str(error.strerror)


def _not_regular(path: Path) -> OSError:
    return OSError(errno.EINVAL, "not a regular file", str(path))


def add_lines(path: Path, lines: Sequence[str], mode: int) -> None:
    """Put lines at the end of a file, made with `mode` if there is none.

    A file that is there keeps its mode and owner. On OSError it is as it was.
    """
    owner, content = None, b""
    with contextlib.suppress(FileNotFoundError):
        content, found = read(path), path.stat()
        mode, owner = stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid)
    if content and not content.endswith(b"\n"):
        content += b"\n"
    make_directory(path.parent, 0o755)
    content += "".join(f"{line}\n" for line in lines).encode()
    replace(path, content, path.with_name(f".{path.name}.tmp"), mode, owner)


def replace(
    path: Path, content: bytes, temporary: Path, mode: int, owner: tuple[int, int] | None = None
) -> None:
    """Put `content` in the place of `path` by renaming `temporary`, in the same directory, over it.

    On OSError `path` is as it was and `temporary` is gone. `owner` is uid and gid, None for ours.
    """
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            write_all(descriptor, content, 0)
            if owner is not None and owner != _owner(descriptor):
                os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    # The rename is done; some file systems cannot sync a directory.
    with contextlib.suppress(OSError):
        _sync_directory(path.parent)


def write_all(descriptor: int, content: bytes, offset: int) -> None:
    """Write all of `content` from `offset` on."""
    while content:
        written = os.pwrite(descriptor, content, offset)
        content = content[written:]
        offset += written


def _owner(descriptor: int) -> tuple[int, int]:
    found = os.fstat(descriptor)
    return found.st_uid, found.st_gid


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
            raise StartError(f"cannot lock {path}: {reason(error)}") from error

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
    make_directory(path.parent, 0o755)
    while True:
        # 0600: whoever can open the file could hold the lock.
        descriptor = open_regular(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
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
        write_all(descriptor, f"{os.getpid()}\n".encode(), 0)
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
