"""Replace a file so that a crash, a full disk or a power cut leaves the old or the new one."""

import contextlib
import errno
import os
import stat
from pathlib import Path

_ADVICE = {
    errno.EACCES: "run as root?",
    errno.EPERM: "run as root?",
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there",
    errno.EROFS: "make it writable",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
}


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
