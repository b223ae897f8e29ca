"""The control socket: one JSON request per connection, one JSON reply or a stream of events.

The protocol is described in docs/control.md; asking.py is the client's side.
"""

import asyncio
import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from wesher.base.errors import AgentError, StartError, WesherError
from wesher.system.control_client import BUSY, FOLLOW, VERSION, short_name, socket_path

MAX_REQUEST = 64 << 10  # bytes
PATIENCE = 2.0  # seconds for a client to ask, and again to read the reply, or one event
MAX_CLIENTS = 32  # at the same time, those that follow events among them
MAX_FOLLOWERS = 8
MAX_UNREAD = 1000  # events
BACKLOG = 128  # connections that are not accepted yet
ACCEPTED = 16  # of them are accepted at once: a flood must not hold us up

Arguments = Mapping[str, Any]
Answer = Callable[[Arguments], Awaitable[object]]
"""Answers one request; raises a WesherError with the reason when it cannot."""


def listen(run_dir: Path, interface: str) -> socket.socket:
    """Return the bound socket, for root only; one that a dead agent left is replaced.

    Only for whoever holds the interface's lock. Raises StartError when it cannot be had.
    """
    path = socket_path(run_dir, interface)
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        os.fchmod(opened.fileno(), 0o600)  # which the file is made with: nobody slips in before
        with short_name(path) as name:
            opened.bind(name)
        opened.listen(BACKLOG)
        opened.setblocking(False)
    except OSError as error:
        opened.close()
        raise StartError(f"cannot listen on {path}: {error.strerror or error}") from error
    return opened


def _remove_stale(path: Path) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()


class ControlServer:
    """Answers requests with `answers`, by command, and tells followers what is published.

    What FOLLOW is answered is the first event.
    """

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self._answers = answers
        self._server: asyncio.Server | None = None
        self._path: Path | None = None
        self._clients: set[asyncio.Task[Any]] = set()
        self._followers: set[asyncio.Queue[object]] = set()

    async def open(self, run_dir: Path, interface: str) -> None:
        """Begin to listen; raises StartError when that is impossible."""
        opened = listen(run_dir, interface)
        self._path = socket_path(run_dir, interface)
        self._server = await asyncio.start_unix_server(
            self._serve, sock=opened, backlog=ACCEPTED, limit=MAX_REQUEST
        )
        opened.listen(BACKLOG)  # asyncio has set it to the number above

    def close(self) -> None:
        """Stop to listen and hang up on every client; calling it again does nothing."""
        if self._server and self._path:
            self._path.unlink(missing_ok=True)
            self._server.close()
            self._server = None
        for task in self._clients:
            task.cancel()

    def publish(self, event: Mapping[str, object]) -> None:
        """Tell every follower, waiting for none; who lags far behind is hung up on."""
        for queue in list(self._followers):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                self._followers.discard(queue)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= MAX_CLIENTS:
            writer.write(_refusal(BUSY))
            writer.close()
            return
        task = asyncio.current_task()
        assert task
        self._clients.add(task)
        try:
            await self._converse(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            # Cancelled by our close(): asyncio's streams would take that for a bug.
            writer.transport.abort()
        finally:
            writer.close()
            self._clients.discard(task)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = _parse(await _read_request(reader))
            if request["command"] == FOLLOW:
                await self._follow(request, reader, writer)
                return
            reply = _encode({"ok": True, "result": await self._answer(request)})
        except WesherError as error:
            reply = _refusal(str(error))
        await _write(writer, reply)

    async def _answer(self, request: Arguments) -> object:
        answer = self._answers.get(request["command"])
        if answer is None:
            raise AgentError(f"the agent knows no command {request['command']!r}")
        return await answer(request)

    async def _follow(
        self, request: Arguments, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Tell one client of every event until it hangs up or lags too far behind."""
        if len(self._followers) >= MAX_FOLLOWERS:
            raise AgentError(f"{MAX_FOLLOWERS} others follow the events already")
        queue: asyncio.Queue[object] = asyncio.Queue(MAX_UNREAD)
        self._followers.add(queue)
        hangup = asyncio.ensure_future(reader.read(1))
        try:
            await _write(writer, _encode({"ok": True, "result": await self._answer(request)}))
            while queue in self._followers:
                event = asyncio.ensure_future(queue.get())
                await asyncio.wait({event, hangup}, return_when=asyncio.FIRST_COMPLETED)
                if not event.done():
                    event.cancel()
                    return
                await _write(writer, json.dumps(event.result()).encode() + b"\n")
        finally:
            hangup.cancel()
            self._followers.discard(queue)


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(PATIENCE):
            return await reader.readuntil(b"\n")
    except TimeoutError:
        raise AgentError(f"no request within {PATIENCE:g} s") from None
    except asyncio.LimitOverrunError:
        raise AgentError(f"the request is longer than {MAX_REQUEST} bytes") from None


def _parse(line: bytes) -> Arguments:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise AgentError("the request is not JSON") from None
    if not isinstance(request, dict) or not isinstance(request.get("command"), str):
        raise AgentError("the request is no JSON object with a command")
    if request.get("version") != VERSION:
        raise AgentError(f"the agent speaks version {VERSION} of its control protocol only")
    return request


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Write all of `data`; TimeoutError, an OSError, when the client is too slow to read it."""
    writer.transport.set_write_buffer_limits(high=0)
    async with asyncio.timeout(PATIENCE):
        writer.write(data)
        await writer.drain()


def _encode(reply: Mapping[str, object]) -> bytes:
    return json.dumps({"version": VERSION, **reply}).encode() + b"\n"


def _refusal(reason: str) -> bytes:
    return _encode({"ok": False, "error": reason})
