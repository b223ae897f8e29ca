"""Run the system's tools: the only place that knows `sh` and `tenacity`."""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from io import FileIO
from typing import Any

import sh
from loguru import logger
from tenacity import (
    retry,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from wesher.base.errors import CommandError, MissingToolError, TransientCommandError
from wesher.system.event_loop import in_thread

TIMEOUT = 10.0  # seconds; 5,000 peers take a healthy `wg` half a second

_PLAIN = {"LC_ALL": "C", "WG_COLOR_MODE": "never"}
# Ours may hold the cluster key; the others would keep wireguard-go from going to the background.
_NOT_FOR_CHILDREN = ("WESHER_", "WG_PROCESS_FOREGROUND", "WG_TUN_FD", "WG_UAPI_FD", "LOG_LEVEL")
_PERMANENT = (
    "cannot find device",
    "file exists",
    "invalid",
    "is not the correct length or format",
    "no such device",
    "not permitted",
    "not supported",
    "unable to find port",
    "unable to parse",
    "unknown",
    "unrecognized",
)
_CHUNK = 65536  # bytes that are read at once from a tool that is followed
# A dump of 10,000 peers is 3 MB, the routes of a host with 50,000 foreign ones are 10 MB as JSON.
_MAX_OUTPUT = 64 * 1024 * 1024  # bytes
_FIRST_FILE = 200
"""The descriptor in the tool of the first file that it is given, above those it has before."""
MAX_FILES = 700  # so that their descriptors stay below 1,024, the usual limit
_SHOWN = 16  # arguments of a call that appear in the log: it may name a thousand peers


class ToolCalls:
    """Calls of the system's tools by name, those that failed, and repeated ones."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.retries = 0


tool_calls = ToolCalls()
"""What this process has run so far."""


def _count_retry(_state: object) -> None:
    tool_calls.retries += 1


patiently = retry(
    retry=retry_if_exception_type(TransientCommandError),
    wait=wait_random_exponential(multiplier=0.05, max=2),
    stop=stop_after_attempt(4),
    before_sleep=_count_retry,
    reraise=True,
)
"""Retry an idempotent shell-out a few times before giving up."""


def find_tool(name: str) -> str | None:
    """Return the path of `name`, searching PATH and then where root's tools live."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(name, path=f"{path}:/usr/sbin:/sbin")


def place_of(number: int) -> str:
    """Return where a tool finds the file with this number, from 0, that it is given."""
    return f"/dev/fd/{_FIRST_FILE + number}"


async def run(
    *argv: str,
    stdin: str | None = None,
    files: Sequence[str] = (),
    timeout: float = TIMEOUT,
    leaves_daemon: bool = False,
) -> str:
    """Run `argv` without a shell and return its standard output.

    Secrets go through `stdin` or `files`, MAX_FILES at most, never through `argv`, where `ps` would
    show them. The files are in memory, and only the tool has them: see `place_of`. After `timeout`
    seconds, or when the caller is cancelled, the tool is killed with everything it started.
    `leaves_daemon` is for wireguard-go: what stays behind must not hold our open files, and it
    says on standard output why it failed. That of others may hold keys and is never in an error.
    The kernel ends a tool that prints more than 64 MiB, and what it started that prints.
    Raises CommandError: MissingToolError when it is not installed, TransientCommandError when
    trying again may help.
    """
    process = _Process(argv, stdin, files, leaves_daemon=leaves_daemon)
    timer = asyncio.get_running_loop().call_later(timeout, process.kill)
    tool_calls.calls[argv[0]] += 1
    try:
        return await in_thread(process.run)
    except CommandError:
        tool_calls.failures[argv[0]] += 1
        raise
    except asyncio.CancelledError:
        process.kill()
        raise
    finally:
        timer.cancel()


async def follow(*argv: str) -> AsyncGenerator[str, None]:
    """Run a tool that does not end by itself; yield the lines it prints, as many as there are.

    What it says on standard error is among them. Close the iterator to end the tool; it ends with
    us even when we are killed, at once where util-linux is, else as soon as it has more to say.
    Raises CommandError when it could not be started.
    """
    path = find_tool(argv[0])
    if path is None:
        raise MissingToolError(argv)
    try:
        process = await asyncio.create_subprocess_exec(
            *_dying_with_us(path),
            *argv[1:],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=_environment(),
            start_new_session=True,
        )
    except OSError as error:
        raise CommandError(argv, 126, f"not started: {error}") from error
    assert process.stdout
    try:
        rest = b""
        while chunk := await process.stdout.read(_CHUNK):
            lines, newline, rest = (rest + chunk).rpartition(b"\n")
            if newline:
                yield (lines + newline).decode(errors="replace")
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _dying_with_us(path: str) -> tuple[str, ...]:
    """Return the words that start the tool at `path` so that the kernel ends it after us."""
    setpriv = find_tool("setpriv")
    # That of busybox, which is a link to it, cannot do this.
    if setpriv is None or os.path.basename(os.path.realpath(setpriv)) != "setpriv":
        return (path,)
    return (setpriv, "--pdeathsig", "KILL", path)


class _Process:
    """One call of a tool: run in a thread, perhaps killed from another."""

    def __init__(
        self, argv: Sequence[str], stdin: str | None, files: Sequence[str], *, leaves_daemon: bool
    ) -> None:
        self._argv = argv
        self._files = files
        self._leaves_daemon = leaves_daemon
        self._shown = argv if len(argv) <= _SHOWN else (*argv[:_SHOWN], "…")
        self._stdin = stdin
        # What `wg` is given is secret; what `ip` is given is what it does.
        lines = stdin.splitlines() if stdin and argv[0] == "ip" else []
        self._told = f" << {'; '.join(lines[:_SHOWN])}" if lines else ""
        self._lock = threading.Lock()
        self._group: int | None = None
        self._killed = False

    def run(self) -> str:
        """Start the tool, wait for it and return what it printed."""
        path = find_tool(self._argv[0])
        if path is None:
            raise MissingToolError(self._shown)
        started = time.monotonic()
        # Files in memory, not pipes: `sh` needs fewer threads, and a daemon that the tool leaves
        # behind holding its output does not hold us.
        try:
            with _memory(self._stdin or "") as given, _memory() as out, _memory() as err:
                status = self._status_of(path, given, out, err)
                took = time.monotonic() - started
                _log_call(f"{' '.join(self._shown)}{self._told}", status, took)
                if not self._leaves_daemon and max(_size(out), _size(err)) >= _MAX_OUTPUT:
                    raise CommandError(self._shown, status, f"more than {_MAX_OUTPUT} bytes")
                if status != 0:
                    explained = _text(err) + (_text(out) if self._leaves_daemon else "")
                    raise self._error(status, explained)
                return _text(out)
        except OSError as error:
            raise TransientCommandError(self._shown, 126, f"not started: {error}") from error

    def kill(self) -> None:
        """End the tool and its children, or see to it that they end as soon as they start."""
        with self._lock:
            self._killed = True
            if self._group is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._group, signal.SIGKILL)

    def _status_of(self, path: str, given: FileIO, out: FileIO, err: FileIO) -> int:
        try:
            process = sh.Command(path)(
                *self._argv[1:],
                _in=given,
                _out=out,
                _err=err,
                _env=_environment(),
                _bg=True,
                _bg_exc=False,
                # What a daemon writes in all its life is its own affair.
                _preexec_fn=None if self._leaves_daemon else partial(_prepare, self._files),
                # Python's own never get across; looking for others costs a tenth of the call.
                _close_fds=self._leaves_daemon,
                _new_session=True,
                _tty_out=False,
            )
            return self._wait(process)
        except sh.ErrorReturnCode as error:
            return int(error.exit_code)
        except (sh.CommandNotFound, sh.ForkException) as error:
            if find_tool(self._argv[0]) != path:
                raise MissingToolError(self._shown) from error
            reason = str(error).strip().rpartition("\n")[2]
            raise CommandError(self._shown, 126, reason) from error

    def _wait(self, process: Any) -> int:
        with self._lock:
            self._group = process.process.pgid
            killed = self._killed
        if killed:
            self.kill()
        try:
            process.wait()
        finally:
            with self._lock:
                # The number may be another group's from now on.
                self._group = None
        return 0

    def _error(self, status: int, stderr: str) -> CommandError:
        if self._killed:
            return CommandError(self._shown, None, stderr)
        if any(words in stderr.lower() for words in _PERMANENT):
            return CommandError(self._shown, status, stderr)
        return TransientCommandError(self._shown, status, stderr)


def _prepare(files: Sequence[str]) -> None:
    """Do this in the tool's process, before it is the tool."""
    _limit_output()
    if files:
        _allow_descriptors(_FIRST_FILE + len(files))
    for number, text in enumerate(files):
        # Not in ours: there they would take our descriptors, and tools of other threads get them.
        file = os.memfd_create("wesher")
        os.write(file, text.encode())
        os.dup2(file, _FIRST_FILE + number)
        os.close(file)


def _limit_output() -> None:
    """Have the kernel end it when it prints too much, into our memory."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it, and children inherit that
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = _MAX_OUTPUT if most == resource.RLIM_INFINITY else min(_MAX_OUTPUT, most)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def _allow_descriptors(count: int) -> None:
    """Let the tool have so many, as far as the hard limit goes; ours is for what we open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        most = count if hard == resource.RLIM_INFINITY else min(hard, count)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _environment() -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(_NOT_FOR_CHILDREN)
    }
    return kept | _PLAIN


def _memory(text: str = "") -> FileIO:
    file = FileIO(os.memfd_create("wesher"), "r+")
    if text:
        file.write(text.encode())
        file.seek(0)
    return file


def _size(file: FileIO) -> int:
    return os.fstat(file.fileno()).st_size


def _text(file: FileIO) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _log_call(command: str, status: int, seconds: float) -> None:
    logger.debug(
        "ran {command} in {milliseconds} ms, status {status}",
        command=command,
        milliseconds=round(seconds * 1000),
        status=status,
    )
