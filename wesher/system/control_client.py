"""Ask a running agent: the client's side of the control socket, and what both sides agree on.

Light on purpose: every command starts with importing this. docs/control.md has the protocol.
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from wesher.base.errors import AgentError, BusyError, NoAgentError, NotRootError

VERSION = 1
FOLLOW = "monitor"
"""The one command that is answered by a stream of events."""
BUSY = "the agent is busy with other clients; try again"
STARTING = "the agent is still starting; try again in a moment"
PATIENCE = 5.0  # seconds for a whole reply
STOPPED_PATIENCE = 0.2  # seconds, of an agent that a signal has stopped
RETRY_GAP = 0.1  # seconds until a busy agent is asked again
CHUNK = 256 << 10  # bytes
MAX_NAME = 107  # bytes, sockaddr_un without its final zero
_STOPPED = ("T", "t")  # proc(5): stopped, and stopped by a debugger


def socket_path(run_dir: Path, interface: str) -> Path:
    """Return where the agent on `interface` listens."""
    return run_dir / f"{interface}.sock"


@contextlib.contextmanager
def short_name(path: Path) -> Iterator[str]:
    """Give a name for `path` that fits into a socket's address, however deep its directory is."""
    if len(os.fsencode(path)) <= MAX_NAME:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def running(run_dir: Path) -> list[str]:
    """Return the interfaces of the agents that listen in `run_dir`; AgentError without the right.

    Of several sockets, those that dead agents left do not count.
    """
    paths = sorted(run_dir.glob("*.sock"))
    if len(paths) < 2:
        return [path.stem for path in paths]
    found = []
    for path in paths:
        with contextlib.suppress(NoAgentError):
            _connect(path, time.monotonic() + PATIENCE).close()
            found.append(path.stem)
    return found


def ask(
    run_dir: Path, interface: str, command: str, *, patience: float = PATIENCE, **arguments: Any
) -> Any:
    """Return what the agent on `interface` answers, within `patience` seconds even if it is busy.

    Raises NoAgentError when there is none, AgentError in its words when it refuses or fails, and
    soon when it is stopped.
    """
    deadline = _deadline(run_dir, interface, patience)
    while True:
        try:
            request = {"command": command, **arguments}
            with contextlib.closing(_converse(run_dir, interface, request, deadline)) as lines:
                return next(lines)
        except BusyError:
            if time.monotonic() + RETRY_GAP >= deadline:
                raise
        time.sleep(RETRY_GAP)


def follow(run_dir: Path, interface: str) -> Generator[Any, None, None]:
    """Yield an event at once, then what happens, until the agent ends; raises what `ask` raises."""
    deadline = _deadline(run_dir, interface, PATIENCE)
    return _converse(run_dir, interface, {"command": FOLLOW}, deadline)


def holder(run_dir: Path, interface: str) -> int | None:
    """Return the process that holds the lock of an interface, or held it last."""
    with contextlib.suppress(OSError, ValueError):
        return int((run_dir / f"{interface}.lock").read_text("ascii", "replace"))
    return None


def is_stopped(run_dir: Path, interface: str) -> bool:
    """Tell whether the agent is one that a signal has stopped: it answers nobody."""
    pid = holder(run_dir, interface)
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in _STOPPED
    return False


def _deadline(run_dir: Path, interface: str, patience: float) -> float:
    stopped = is_stopped(run_dir, interface)
    return time.monotonic() + (min(patience, STOPPED_PATIENCE) if stopped else patience)


def _converse(
    run_dir: Path, interface: str, request: dict[str, Any], deadline: float
) -> Generator[Any, None, None]:
    """Yield the result, then, without any time limit, whatever else comes."""
    with _connect(socket_path(run_dir, interface), deadline) as connection:
        with contextlib.suppress(OSError):  # it may have told us why before it hung up
            connection.sendall(json.dumps({"version": VERSION, **request}).encode() + b"\n")
        lines = _lines(connection, deadline)
        try:
            first = next(lines, None)
        except TimeoutError:
            raise AgentError(_silent(run_dir, interface)) from None
        if first is None:
            raise AgentError(f"the agent on {interface} ended before it had answered")
        yield _result(first)
        connection.settimeout(None)
        yield from map(_parsed, lines)


def _connect(path: Path, deadline: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # A blocking connect waits while the agent has more clients than it can queue.
        connection.settimeout(max(0.01, deadline - time.monotonic()))
        with short_name(path) as name:
            connection.connect(name)
    except OSError as error:
        connection.close()
        raise _unreachable(path, error) from error
    return connection


def _unreachable(path: Path, error: OSError) -> NoAgentError | AgentError:
    if isinstance(error, FileNotFoundError | ConnectionRefusedError | NotADirectoryError):
        return NoAgentError(
            f"no agent runs on interface {path.stem} ({path}): start one with `wesher`, "
            "or with `systemctl start wesher`"
        )
    if isinstance(error, PermissionError):
        return NotRootError(f"only root may ask the agent: run this with sudo ({path})")
    if isinstance(error, TimeoutError | BlockingIOError):
        return AgentError(_silent(path.parent, path.stem))
    return AgentError(f"cannot ask the agent at {path}: {error.strerror}")


def _silent(run_dir: Path, interface: str) -> str:
    pid = holder(run_dir, interface)
    if is_stopped(run_dir, interface):
        return (
            f"the agent on {interface} (pid {pid}) is stopped by a signal: "
            f"continue it with `kill -CONT {pid}`"
        )
    told = f" (pid {pid})" if pid else ""
    return (
        f"the agent on {interface}{told} does not answer: it hangs or is overloaded; "
        "look at its log, or restart it"
    )


def _lines(connection: socket.socket, deadline: float) -> Iterator[bytes]:
    """Yield the lines that arrive; TimeoutError when the first is not there at `deadline`."""
    parts: list[bytes] = []
    complete = 0
    while True:
        if not complete:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            chunk = connection.recv(CHUNK)
        except ConnectionError:
            chunk = b""
        if not chunk:
            return
        *ended, rest = chunk.split(b"\n")
        for end in ended:
            yield b"".join((*parts, end))
            parts.clear()
            complete += 1
        parts.append(rest)


def _result(line: bytes) -> Any:
    reply = _parsed(line)
    if reply.get("ok"):
        return reply.get("result")
    reason = str(reply.get("error", "it gave no reason"))
    raise BusyError(reason) if reason == BUSY else AgentError(reason)


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        raise AgentError("the agent's answer could not be understood") from None
