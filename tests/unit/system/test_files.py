import errno
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from wesher.base.errors import StartError
from wesher.system.files import InterfaceLock, open_locked


def test_a_second_agent_is_refused_and_told_the_pid_of_the_first(tmp_path: Path) -> None:
    with (
        InterfaceLock(tmp_path / "run", "wg0"),
        pytest.raises(StartError) as caught,
    ):
        InterfaceLock(tmp_path / "run", "wg0")

    assert str(caught.value) == (
        f"another wesher (pid {os.getpid()}) runs on interface wg0: "
        "stop it first, or choose another with --interface"
    )


def test_another_interface_is_free(tmp_path: Path) -> None:
    with InterfaceLock(tmp_path, "wg0"), InterfaceLock(tmp_path, "wg1"):
        pass


def test_a_released_interface_can_be_locked_again(tmp_path: Path) -> None:
    first = InterfaceLock(tmp_path, "wg0")
    first.release()
    first.release()

    InterfaceLock(tmp_path, "wg0").release()


def test_a_holder_that_has_not_said_its_pid_yet_is_refused_all_the_same(tmp_path: Path) -> None:
    descriptor = open_locked(tmp_path / "wg0.lock")

    with pytest.raises(StartError, match=r"^another wesher runs on interface wg0: stop"):
        InterfaceLock(tmp_path, "wg0")
    os.close(descriptor)


def test_a_killed_holder_releases_the_interface(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from wesher.system.files import InterfaceLock;"
        "lock = InterfaceLock(Path(sys.argv[1]), 'wg0'); print('held', flush=True); time.sleep(60)"
    )
    argv = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StartError, match=rf"pid {holder.pid}\b"):
            InterfaceLock(tmp_path, "wg0")
        holder.kill()

    InterfaceLock(tmp_path, "wg0").release()


def test_children_do_not_inherit_the_lock(tmp_path: Path) -> None:
    with (
        InterfaceLock(tmp_path, "wg0") as lock,
        subprocess.Popen(["sleep", "60"], close_fds=False) as child,
    ):
        lock.release()
        InterfaceLock(tmp_path, "wg0").release()
        child.kill()


def test_a_lock_file_that_was_removed_while_we_waited_is_not_taken_for_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "wg0.lock"
    flock = fcntl.flock
    calls: list[int] = []

    def flock_then_lose_the_file(descriptor: int, operation: int) -> None:
        flock(descriptor, operation)
        if not calls:
            path.unlink()
        calls.append(descriptor)

    monkeypatch.setattr(fcntl, "flock", flock_then_lose_the_file)

    descriptor = open_locked(path)

    assert len(calls) == 2
    assert os.path.samestat(path.stat(), os.fstat(descriptor))
    os.close(descriptor)


def test_waiting_for_a_lock_has_an_end(tmp_path: Path) -> None:
    descriptor = open_locked(tmp_path / "x")
    started = time.monotonic()

    with pytest.raises(BlockingIOError):
        open_locked(tmp_path / "x", wait=0.1)

    assert 0.1 <= time.monotonic() - started < 5
    os.close(descriptor)


def test_the_lock_file_is_ours_alone_and_holds_the_pid(tmp_path: Path) -> None:
    with InterfaceLock(tmp_path / "run", "wg0"):
        path = tmp_path / "run" / "wg0.lock"

        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_link_in_the_place_of_the_lock_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "wg0.lock").symlink_to(victim)

    with pytest.raises(StartError, match="cannot lock"):
        InterfaceLock(tmp_path, "wg0")

    assert victim.read_text() == "precious"


def test_a_run_directory_that_cannot_be_made_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")

    with pytest.raises(StartError, match="cannot lock"):
        InterfaceLock(tmp_path / "run", "wg0")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_lock_that_is_no_file_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "wg0.lock")

    with pytest.raises(StartError, match=r"cannot lock .*(not a regular file|Is a directory)"):
        InterfaceLock(tmp_path, "wg0")


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "No space left on device; make room there"),
        (errno.EDQUOT, "Disk quota exceeded; make room there"),
        (errno.EFBIG, "File too large; raise the limit on file sizes"),
    ],
)
def test_a_run_directory_that_takes_no_pid_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pwrite", refuse)
    with pytest.raises(StartError, match=f"cannot lock .*{advice}"):
        InterfaceLock(tmp_path, "wg0")
    monkeypatch.undo()

    InterfaceLock(tmp_path, "wg0").release()


def test_parents_of_the_run_directory_are_not_for_everybody_to_write(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        InterfaceLock(tmp_path / "a" / "run", "wg0").release()
    finally:
        os.umask(before)

    assert (tmp_path / "a").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "a" / "run").stat().st_mode & 0o7777 == 0o755
