"""Replace a file so that a crash, a full disk or a power cut leaves the old or the new one."""

import contextlib
import os
from pathlib import Path


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
