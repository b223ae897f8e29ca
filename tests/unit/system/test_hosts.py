import errno
import os
import stat
import threading
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given, strategies

from wesher.mesh.base.plan import HostsEntry
from wesher.system.files import open_locked
from wesher.system.hosts import HostsFile, HostsFileError, render

BANNER = b"# ! managed automatically by wesher interface wg0"
OLD_BANNER = b"# ! MANAGED AUTOMATICALLY !"


def entry(ip: str, name: str) -> HostsEntry:
    return HostsEntry(ip_address(ip), name)


NORTH = entry("10.0.0.1", "north")
SOUTH = entry("fd00::2", "south")
NORTH_LINE = b"10.0.0.1\tnorth\t" + BANNER + b"\n"
SOUTH_LINE = b"fd00::2\tsouth\t" + BANNER + b"\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "etc" / "hosts"
    path.parent.mkdir()
    path.write_bytes(b"127.0.0.1 localhost\n")
    return path


@pytest.fixture
def hosts(path: Path, tmp_path: Path) -> HostsFile:
    return HostsFile(path, "wg0", tmp_path / "run")


@pytest.mark.case(40)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", NORTH_LINE + SOUTH_LINE),
        (b"# a comment\n", b"# a comment\n" + NORTH_LINE + SOUTH_LINE),
        (b"127.0.0.1 localhost\n\n", b"127.0.0.1 localhost\n\n" + NORTH_LINE + SOUTH_LINE),
        (b"10.0.0.1 mine\n", b"10.0.0.1 mine\n" + NORTH_LINE + SOUTH_LINE),
        (b"10.0.0.9\tstale\t" + BANNER + b"\n# x\n", b"# x\n" + NORTH_LINE + SOUTH_LINE),
        (b"10.0.0.1\twas\t" + BANNER + b" \r\n# x\n", NORTH_LINE + b"# x\n" + SOUTH_LINE),
        (NORTH_LINE + b"# x\n" + NORTH_LINE, NORTH_LINE + b"# x\n" + SOUTH_LINE),
        (SOUTH_LINE + NORTH_LINE, SOUTH_LINE + NORTH_LINE),
        (NORTH_LINE + SOUTH_LINE.rstrip(), NORTH_LINE + SOUTH_LINE),
        (BANNER + b"\n", NORTH_LINE + SOUTH_LINE),
    ],
    ids=[
        "empty file",
        "comment kept",
        "foreign lines kept",
        "foreign line with our address kept",
        "stale line removed",
        "line rewritten in place",
        "second line for an address removed",
        "order kept",
        "last line without line end rewritten",
        "banner alone removed",
    ],
)
def test_our_lines_become_exactly_the_entries(before: bytes, after: bytes) -> None:
    assert render(before, "wg0", [NORTH, SOUTH]) == after


@pytest.mark.case(40)
@pytest.mark.parametrize("interface", ["wg", "wg00", "0", "xwg0"])
def test_the_banner_of_another_interface_is_foreign(interface: str) -> None:
    theirs = b"10.0.0.1\tnorth\t# ! managed automatically by wesher interface %b\n"
    before = theirs % interface.encode()

    assert render(before, "wg0", [NORTH]) == before + NORTH_LINE
    assert render(before, "wg0", []) == before


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (b"10.0.0.1\tother\t" + OLD_BANNER, False),
        (b"10.7.7.7\tnorth\t" + OLD_BANNER, False),
        (b"10.7.7.7\tsomebody north\t" + OLD_BANNER, False),
        (b"10.7.7.7\tnorthern\t" + OLD_BANNER, True),
        (b"10.0.0.1\tnorth", True),
    ],
)
def test_lines_of_v0_2_6_go_when_they_carry_our_members(line: bytes, kept: bool) -> None:
    before = b"# first\n" + line + b"\n# last\n"

    after = render(before, "wg0", [NORTH])

    rest = before if kept else b"# first\n# last\n"
    assert after == rest + NORTH_LINE


FOREIGN = [
    b"",
    b"127.0.0.1 localhost",
    b"127.0.0.1 localhost\n",
    b"127.0.0.1\tlocalhost\r\n\r\n# z\xfcrich \xff\xfe\r\n",
    b"\n\n\n",
    b"\xef\xbb\xbf127.0.0.1 localhost\n\x0b\x0c\r\x85\n",
    b"# ends in a tab\t",
    b"no\x00thing\n",
]


@pytest.mark.parametrize("content", FOREIGN)
def test_foreign_bytes_survive_our_coming_and_going_exactly(
    path: Path, hosts: HostsFile, content: bytes
) -> None:
    path.write_bytes(content)

    assert hosts.update([NORTH, SOUTH]) is True
    assert b"\n".join([NORTH_LINE[:-1], SOUTH_LINE[:-1]]) in path.read_bytes()
    assert hosts.remove_all() == 2

    assert path.read_bytes() == content


@given(
    strategies.lists(
        strategies.sampled_from(
            [b"\n", b"\r", b"#", b" ", b"\x00", b"\xff", b"10.0.0.1", BANNER[:-1]]
        )
    )
)
def test_any_foreign_content_comes_back_unchanged(pieces: list[bytes]) -> None:
    content = b"".join(pieces)

    with_ours = render(content, "wg0", [NORTH, SOUTH])

    assert render(with_ours, "wg0", [NORTH, SOUTH]) == with_ours
    assert render(with_ours, "wg0", []) == content


def test_two_names_of_one_address_share_a_line() -> None:
    content = render(b"", "wg0", [NORTH, entry("10.0.0.1", "n")])

    assert content == b"10.0.0.1\tnorth n\t" + BANNER + b"\n"


def test_nothing_is_written_when_nothing_changes(path: Path, hosts: HostsFile) -> None:
    hosts.update([NORTH])
    before = path.stat()

    assert hosts.update([NORTH]) is False

    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_mode_and_owner_stay(path: Path, hosts: HostsFile) -> None:
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 1, 2)
    before = path.stat()

    hosts.update([NORTH])

    after = path.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


def test_a_link_stays_a_link_and_its_target_is_written(tmp_path: Path, path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("etc/hosts")

    HostsFile(link, "wg0", tmp_path / "run").update([NORTH])

    assert link.is_symlink()
    assert path.read_bytes().endswith(NORTH_LINE)
    assert os.listdir(path.parent) == ["hosts"]


def test_a_missing_file_is_made(tmp_path: Path) -> None:
    hosts = HostsFile(tmp_path / "hosts", "wg0", tmp_path)
    before = os.umask(0o077)
    try:
        changed = hosts.update([NORTH])
    finally:
        os.umask(before)

    assert changed
    assert b"10." in (tmp_path / "hosts").read_bytes()
    assert stat.S_IMODE((tmp_path / "hosts").stat().st_mode) == 0o644


def test_a_file_in_a_missing_directory_is_reported(tmp_path: Path) -> None:
    hosts = HostsFile(tmp_path / "none" / "hosts", "wg0", tmp_path)

    with pytest.raises(HostsFileError, match="No such file"):
        hosts.update([NORTH])


def test_taking_our_lines_out_makes_no_file(tmp_path: Path) -> None:
    assert HostsFile(tmp_path / "hosts", "wg0", tmp_path).remove_all() == 0
    assert not (tmp_path / "hosts").exists()


def test_links_in_a_circle_are_reported(tmp_path: Path) -> None:
    (tmp_path / "hosts").symlink_to("hosts")

    with pytest.raises(HostsFileError, match="cannot update"):
        HostsFile(tmp_path / "hosts", "wg0", tmp_path / "run").update([NORTH])


@pytest.fixture
def no_rename(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make renaming fail as it does over a bind mount."""

    def refuse(path: Path, target: Path) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    monkeypatch.setattr(Path, "replace", refuse)


@pytest.mark.parametrize(
    "before",
    [
        b"127.0.0.1 localhost\n",
        NORTH_LINE + b"127.0.0.1 localhost\n" + NORTH_LINE,
        b"10.0.0.9\tstale\t" + BANNER + b"\n127.0.0.1 localhost",
    ],
)
def test_a_file_that_cannot_be_renamed_over_is_written_in_place(
    path: Path, hosts: HostsFile, no_rename: None, before: bytes
) -> None:
    path.write_bytes(before)
    inode = path.stat().st_ino

    for entries in ([NORTH], [NORTH, SOUTH], []):
        wanted = render(path.read_bytes(), "wg0", entries)
        hosts.update(entries)
        assert path.read_bytes() == wanted

    assert path.stat().st_ino == inode
    assert os.listdir(path.parent) == ["hosts"]


def test_a_full_disk_leaves_the_file_intact_even_in_place(
    path: Path, hosts: HostsFile, no_rename: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)

    with pytest.raises(HostsFileError, match="No space left"):
        hosts.update([NORTH])

    assert path.read_bytes() == b"127.0.0.1 localhost\n"
    assert os.listdir(path.parent) == ["hosts"]


def test_a_file_system_that_cannot_reserve_space_is_written_all_the_same(
    path: Path, hosts: HostsFile, no_rename: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(descriptor: int, offset: int, length: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", unsupported)

    assert hosts.update([NORTH]) is True


def test_what_a_killed_writer_left_is_removed(path: Path, hosts: HostsFile) -> None:
    (path.parent / "etchosts.wesher-0123456789ab").write_bytes(b"half")
    (path.parent / "etchosts123").write_bytes(b"of a Go wesher that may be writing now")

    hosts.update([NORTH])

    assert sorted(os.listdir(path.parent)) == ["etchosts123", "hosts"]


def test_somebody_who_keeps_the_lock_is_not_waited_for_forever(
    hosts: HostsFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wesher.system.hosts._LOCK_WAIT", 0.05)
    lock = open_locked(tmp_path / "run" / "hosts-file-lock")

    with pytest.raises(HostsFileError, match="locked"):
        hosts.update([NORTH])

    os.close(lock)
    assert hosts.update([NORTH]) is True


def test_interfaces_that_write_at_the_same_time_lose_nothing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wesher.system.hosts._LOCK_WAIT", 30)  # a slow disk is no loss
    files = [HostsFile(path, f"wg{number}", tmp_path / "run") for number in range(8)]
    threads = [threading.Thread(target=file.update, args=([NORTH, SOUTH],)) for file in files]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert path.read_bytes().count(b"\n") == 1 + 8 * 2


def test_foreign_names_are_those_no_wesher_wrote(path: Path, hosts: HostsFile) -> None:
    path.write_bytes(
        b"127.0.0.1 localhost Gate.Example\t# and Not-This\n"
        b"# 10.0.0.1 commented\n"
        b"10.0.0.2\n"
        b"10.0.0.3 z\xfcrich\r\n"
        b"10.0.0.4\told\t" + OLD_BANNER + b"\n"
        b"10.0.0.5\ttheirs\t# ! managed automatically by wesher interface wg9 \n" + NORTH_LINE
    )

    assert hosts.foreign_names() == {"localhost": 1, "gate.example": 1, "z\\xfcrich": 4}


def test_a_missing_file_has_no_foreign_names(tmp_path: Path) -> None:
    assert HostsFile(tmp_path / "none", "wg0", tmp_path).foreign_names() == {}


def test_an_update_under_way_adds_nothing_once_our_lines_were_removed(
    hosts: HostsFile, path: Path, tmp_path: Path
) -> None:
    lock = open_locked(tmp_path / "run" / "hosts-file-lock")
    update = threading.Thread(target=hosts.update, args=([NORTH],))
    removal = threading.Thread(target=hosts.remove_all)
    update.start()
    removal.start()

    os.close(lock)
    update.join()
    removal.join()

    assert path.read_bytes() == b"127.0.0.1 localhost\n"


def test_a_fifo_in_the_place_of_the_file_is_reported_at_once(path: Path, hosts: HostsFile) -> None:
    path.unlink()
    os.mkfifo(path)

    with pytest.raises(HostsFileError, match="not a regular file"):
        hosts.update([NORTH])
    assert hosts.foreign_names() == {}
