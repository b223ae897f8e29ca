"""Our lines of the hosts file, told from everybody else's by the banner of the interface.

Banner and line are those of Go wesher (spec/memberlist.md, 8.3). The file is bytes: what is not
ours stays as it is, whatever its encoding and line ends.
"""

import errno
import os
import re
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from wesher.base.errors import WesherError
from wesher.mesh.base.plan import HostsEntry
from wesher.system import files
from wesher.system.files import open_locked

_BANNER = b"# ! managed automatically by wesher interface "
_OLD_BANNER = b"# ! MANAGED AUTOMATICALLY !"  # v0.2.6
_ANY_BANNER = re.compile(
    rb"# ! (managed automatically by wesher interface \S+|MANAGED AUTOMATICALLY !)$"
)
_OUR_BANNER = re.compile(re.escape(_BANNER) + rb"(\S+)$")
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")

_TEMPORARY = "etchosts.wesher-"
_LOCK_FILE = "hosts-file-lock"  # never the lock of an interface: those end in .lock
_LOCK_WAIT = 2.0  # seconds
_MODE = 0o644  # of a hosts file that we make, as Debian's installer does
_ATTEMPTS = 5  # when somebody else writes the file at the same moment

# A bind mount, a read-only directory, or one we may not write: writing in place may still work.
_NO_RENAME = {errno.EBUSY, errno.EXDEV, errno.EROFS, errno.EACCES, errno.EPERM}
# File systems that cannot reserve space; we then do without.
_NO_RESERVE = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}


class HostsFileError(WesherError):
    """The hosts file could not be brought up to date; the next attempt may succeed."""


class HostsFile:
    """The lines of one interface in one hosts file.

    All methods block, `update` and `remove_all` for up to 2 s while another wesher writes: call
    them in a thread.
    """

    def __init__(self, path: Path, interface: str, run_dir: Path) -> None:
        self._path = path
        self._interface = interface
        self._lock = run_dir / _LOCK_FILE
        self._given_up = False
        self._left: tuple[int, int, int] | None = None

    def update(self, entries: Sequence[HostsEntry]) -> bool:
        """Make our lines be exactly `entries`; returns whether that changed the file.

        A file that does not exist is made. Raises HostsFileError.
        """
        try:
            lock = open_locked(self._lock, _LOCK_WAIT)
            try:
                return self._update(entries)
            finally:
                os.close(lock)
        except BlockingIOError:
            raise HostsFileError(f"another wesher keeps {self._lock} locked") from None
        except OSError as error:
            raise HostsFileError(f"cannot update {self._path}: {files.reason(error)}") from error
        finally:
            self._left = _signature(self._path)

    def touched(self) -> bool:
        """Whether somebody else has changed the file since the last update."""
        return self._left is not None and _signature(self._path) != self._left

    def remove_all(self) -> int:
        """Take out all our lines, for good: an `update` that is under way adds none after this.

        Returns how many there were.
        """
        self._given_up = True
        if not self._path.exists():
            return 0
        ending, count = banner(self._interface), 0
        with suppress(OSError):
            lines = _LINE.findall(files.read(self._path))
            count = sum(line.rstrip().endswith(ending) for line in lines)
        return count if self.update(()) else 0

    def interfaces(self) -> frozenset[str]:
        """Return the names of all interfaces whose lines are in the file."""
        try:
            content = files.read(self._path)
        except OSError:
            return frozenset()
        found = (_OUR_BANNER.search(line.rstrip()) for line in _LINE.findall(content))
        return frozenset(match[1].decode("ascii", "replace") for match in found if match)

    def foreign_names(self) -> dict[str, int]:
        """Return the names, in lower case, on lines that no wesher of any interface wrote.

        Each with the number of the first such line, counted from 1.
        """
        try:
            content = files.read(self._path)
        except OSError:
            return {}
        found: dict[str, int] = {}
        for number, line in enumerate(_LINE.findall(content), 1):
            if _ANY_BANNER.search(line.rstrip()):
                continue
            for name in line.partition(b"#")[0].split()[1:]:
                found.setdefault(name.decode("ascii", "backslashreplace").lower(), number)
        return found

    def _update(self, entries: Sequence[HostsEntry]) -> bool:
        path = Path(os.path.realpath(self._path))
        _remove_leftovers(path.parent)
        if not (self._given_up or path.exists()):
            _create(path)
        for _ in range(_ATTEMPTS):
            before = path.stat()
            old = files.read(path)
            new = render(old, self._interface, () if self._given_up else entries)
            if new == old:
                return False
            if _unchanged(before, path.stat()):
                _write(path, old, new, before)
                return True
        raise HostsFileError(f"{self._path} does not stop changing")


def banner(interface: str) -> bytes:
    """Return how every line of an interface ends."""
    return _BANNER + interface.encode()


def render(content: bytes, interface: str, entries: Iterable[HostsEntry]) -> bytes:
    """Return the hosts file `content` with exactly `entries` as the lines of `interface`.

    Lines of v0.2.6 that carry one of the entries' addresses or names go too.
    """
    ending = banner(interface)
    wanted = _names_by_address(entries)
    replaced = set(wanted).union(*wanted.values())
    missing = {ip: b"%b\t%b\t%b\n" % (ip, b" ".join(names), ending) for ip, names in wanted.items()}
    kept = []
    for line in _LINE.findall(content):
        text = line.rstrip()
        if text.endswith(ending):
            kept.append(missing.pop(text.split()[0], b""))
        elif not (text.endswith(_OLD_BANNER) and replaced.intersection(text.split())):
            kept.append(line)
    # A last line without its line end stays the last one, so that it stays as it is.
    end = len(kept) - 1 if kept and kept[-1] and not kept[-1].endswith(b"\n") else len(kept)
    kept[end:end] = missing.values()
    return b"".join(kept)


def _names_by_address(entries: Iterable[HostsEntry]) -> dict[bytes, list[bytes]]:
    wanted: dict[bytes, list[bytes]] = {}
    for entry in entries:
        wanted.setdefault(str(entry.ip).encode(), []).append(entry.name.encode())
    return wanted


def _create(path: Path) -> None:
    """Make an empty file that everybody can read, whatever the umask."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    try:
        os.fchmod(descriptor, _MODE)
    finally:
        os.close(descriptor)


def _remove_leftovers(directory: Path) -> None:
    """Remove what a writer that was killed left; under the lock nobody else is writing."""
    for path in directory.glob(_TEMPORARY + "*"):
        with suppress(OSError):
            path.unlink()


def _signature(path: Path) -> tuple[int, int, int]:
    """Return what differs after any write; zeros for a file that cannot be looked at."""
    try:
        seen = path.stat()
    except OSError:
        return 0, 0, 0
    return seen.st_ino, seen.st_mtime_ns, seen.st_size


def _unchanged(before: os.stat_result, after: os.stat_result) -> bool:
    return os.path.samestat(before, after) and before.st_mtime_ns == after.st_mtime_ns


def _write(path: Path, old: bytes, new: bytes, before: os.stat_result) -> None:
    temporary = path.parent / f"{_TEMPORARY}{os.urandom(6).hex()}"
    owner = (before.st_uid, before.st_gid)
    try:
        files.replace(path, new, temporary, stat.S_IMODE(before.st_mode), owner)
    except OSError as error:
        if error.errno not in _NO_RENAME:
            raise
        _write_in_place(path, old, new)


def _write_in_place(path: Path, old: bytes, new: bytes) -> None:
    """Overwrite only what differs, after reserving the space it needs.

    Truncating first would leave an empty hosts file after a crash or on a full disk.
    """
    same = _common_prefix(old, new)
    descriptor = os.open(path, os.O_WRONLY)
    try:
        if len(new) > len(old):
            _reserve(descriptor, len(old), len(new) - len(old))
        files.write_all(descriptor, new[same:], same)
        os.ftruncate(descriptor, len(new))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _common_prefix(one: bytes, other: bytes) -> int:
    differing = (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differing, min(len(one), len(other)))


def _reserve(descriptor: int, offset: int, length: int) -> None:
    try:
        os.posix_fallocate(descriptor, offset, length)
    except OSError as error:
        if error.errno not in _NO_RESERVE:
            raise
