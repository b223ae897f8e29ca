import asyncio
import json
import queue
import stat
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from wesher.base.errors import AgentError, BusyError, NoAgentError, StartError
from wesher.system import control_server
from wesher.system.control_client import ask, follow, running, short_name, socket_path
from wesher.system.control_server import (
    MAX_CLIENTS,
    MAX_FOLLOWERS,
    MAX_UNREAD,
    Answer,
    Arguments,
    ControlServer,
    listen,
)

LARGE = "x" * (8 << 20)  # more than any socket holds


async def echo(request: Arguments) -> Arguments:
    return request


async def refuse(_request: Arguments) -> None:
    raise AgentError("not now")


async def large(_request: Arguments) -> str:
    return LARGE


T = TypeVar("T")
ANSWERS: dict[str, Answer] = {
    "echo": echo,
    "refuse": refuse,
    "large": large,
    "monitor": echo,
}


class Harness:
    """A server that listens for interface wg0, and its clients."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.server = ControlServer(ANSWERS)
        self._writers: list[asyncio.StreamWriter] = []

    async def ask(self, command: str, **more: Any) -> Any:
        return await in_thread(ask, self.run_dir, "wg0", command, **more)

    async def connect(
        self, request: bytes = b""
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return the streams of a client that has sent these bytes."""
        with short_name(socket_path(self.run_dir, "wg0")) as name:
            reader, writer = await asyncio.open_unix_connection(name, limit=1 << 25)
        self._writers.append(writer)
        writer.write(request)
        return reader, writer

    async def follower(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, dict[str, Any]]:
        """Return the streams of a client that follows, and what it was answered."""
        reader, writer = await self.connect(as_request("monitor"))
        return reader, writer, json.loads(await reader.readline())

    async def close(self) -> None:
        self.server.close()
        for writer in self._writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def serve(run_dir: Path, work: Callable[[Harness], Awaitable[T]]) -> T:
    """Run `work` with a bench; returns its result."""

    async def serving() -> T:
        harness = Harness(run_dir)
        await harness.server.open(run_dir, "wg0")
        try:
            async with asyncio.timeout(60):
                return await work(harness)
        finally:
            await harness.close()

    return asyncio.run(serving())


def in_thread(
    function: Callable[..., T], *arguments: object, **more: object
) -> Coroutine[Any, Any, T]:
    return asyncio.to_thread(function, *arguments, **more)


def reading(reader: asyncio.StreamReader) -> asyncio.ReadTransport:
    """Return what feeds a reader, to let it starve."""
    transport: asyncio.ReadTransport = vars(reader)["_transport"]
    return transport


def as_request(command: str, **arguments: Any) -> bytes:
    return json.dumps({"version": 1, "command": command, **arguments}).encode() + b"\n"


def test_a_question_is_answered(tmp_path: Path) -> None:
    async def work(harness: Harness) -> Any:
        return await harness.ask("echo", name="web")

    assert serve(tmp_path, work) == {"version": 1, "command": "echo", "name": "web"}


def test_an_answer_may_be_large(tmp_path: Path) -> None:
    async def work(harness: Harness) -> Any:
        return await harness.ask("large")

    assert serve(tmp_path, work) == LARGE


@pytest.mark.parametrize(("command", "reason"), [("refuse", "not now"), ("x", "no command 'x'")])
def test_a_refusal_is_an_error_in_the_agent_s_words(
    tmp_path: Path, command: str, reason: str
) -> None:
    async def work(harness: Harness) -> None:
        await harness.ask(command)

    with pytest.raises(AgentError, match=reason):
        serve(tmp_path, work)


def test_only_root_may_ask(tmp_path: Path) -> None:
    with listen(tmp_path, "wg0"):
        mode = socket_path(tmp_path, "wg0").stat().st_mode

    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_a_directory_may_be_deeper_than_a_socket_s_name(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)

    async def work(harness: Harness) -> Any:
        return await harness.ask("echo")

    assert serve(deep, work)["command"] == "echo"


def test_a_dead_agent_s_socket_is_replaced_and_anything_else_is_not(tmp_path: Path) -> None:
    listen(tmp_path, "wg0").close()
    socket_path(tmp_path, "wg1").write_text("")

    listen(tmp_path, "wg0").close()

    with pytest.raises(StartError, match=r"cannot listen on .*wg1\.sock"):
        listen(tmp_path, "wg1")


def test_who_does_not_listen_is_not_running(tmp_path: Path) -> None:
    listen(tmp_path, "wg0").close()
    listen(tmp_path, "wg1").close()

    with listen(tmp_path, "wg2"):
        assert running(tmp_path) == ["wg2"]
    with pytest.raises(NoAgentError):
        ask(tmp_path, "wg0", "echo")


def test_a_silent_agent_is_told_from_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "wg0.lock").write_text("4711\n")

    with listen(tmp_path, "wg0"), pytest.raises(AgentError, match=r"wg0 \(pid 4711\) does not"):
        ask(tmp_path, "wg0", "echo", patience=0.05)


def test_the_socket_goes_when_the_server_closes(tmp_path: Path) -> None:
    async def work(harness: Harness) -> bool:
        harness.server.close()
        return socket_path(tmp_path, "wg0").exists()

    assert serve(tmp_path, work) is False


def test_a_busy_agent_is_asked_again(tmp_path: Path) -> None:
    async def work(harness: Harness) -> Any:
        crowd = [await harness.connect() for _ in range(MAX_CLIENTS)]
        turned_away = None
        while turned_away is None:  # until the server has seen them all
            try:
                await harness.ask("echo", patience=0.01)
            except BusyError as error:
                turned_away = error
        for _, writer in crowd:
            writer.close()
        return await harness.ask("echo", patience=30)

    assert serve(tmp_path, work)["command"] == "echo"


def test_who_does_not_read_is_hung_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_server, "PATIENCE", 0.1)

    async def work(harness: Harness) -> bytes:
        reader, _ = await harness.connect(as_request("large"))
        reading(reader).pause_reading()
        await asyncio.sleep(0.5)
        reading(reader).resume_reading()
        return await reader.read()

    assert len(serve(tmp_path, work)) < len(LARGE)


def test_followers_hear_of_everything_until_the_end(tmp_path: Path) -> None:
    async def work(harness: Harness) -> tuple[list[list[dict[str, str]]], list[bytes]]:
        clients = [await harness.follower() for _ in range(2)]
        harness.server.publish({"event": "one"})
        harness.server.publish({"event": "two"})
        heard = [[json.loads(await reader.readline()) for _ in "12"] for reader, *_ in clients]
        harness.server.close()
        return heard, [await reader.read() for reader, *_ in clients]

    heard, ends = serve(tmp_path, work)

    assert heard == [[{"event": "one"}, {"event": "two"}]] * 2
    assert ends == [b"", b""]


def test_the_client_s_side_yields_the_answer_and_then_events(tmp_path: Path) -> None:
    async def work(harness: Harness) -> tuple[object, object]:
        def follow_to_the_end() -> None:
            with closing(follow(tmp_path, "wg0")) as events:
                yield_to.put(next(events)["command"])
                for event in events:
                    yield_to.put(event)

        yield_to: queue.Queue[object] = queue.Queue()
        client = asyncio.ensure_future(in_thread(follow_to_the_end))
        first = await in_thread(yield_to.get)
        harness.server.publish({"event": "one"})
        second = await in_thread(yield_to.get)
        harness.server.close()
        await client
        return first, second

    assert serve(tmp_path, work) == ("monitor", {"event": "one"})


def test_who_lags_far_behind_is_hung_up_on_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_server, "PATIENCE", 0.2)
    event = {"event": "x" * 10_000}

    async def work(harness: Harness) -> int:
        slow, *_ = await harness.follower()
        reading(slow).pause_reading()
        quick, *_ = await harness.follower()
        for _ in range(2 * MAX_UNREAD):
            harness.server.publish(event)
            assert json.loads(await quick.readline()) == event
        reading(slow).resume_reading()
        return len(await slow.read())

    assert serve(tmp_path, work) < MAX_UNREAD * 10_000


def test_a_burst_that_nobody_can_keep_up_with_ends_the_following(tmp_path: Path) -> None:
    async def work(harness: Harness) -> bytes:
        reader, *_ = await harness.follower()
        for _ in range(MAX_UNREAD + 1):
            harness.server.publish({"event": "x"})
        return await reader.read()

    assert serve(tmp_path, work).count(b"\n") <= MAX_UNREAD


def test_only_so_many_follow_and_who_hangs_up_makes_room(tmp_path: Path) -> None:
    async def work(harness: Harness) -> Any:
        clients = [await harness.follower() for _ in range(MAX_FOLLOWERS)]
        *_, refused = await harness.follower()
        for _, writer, _ in clients:
            writer.close()
        accepted = refused
        while not accepted["ok"]:  # until the server has noticed
            *_, accepted = await harness.follower()
        return refused

    assert f"{MAX_FOLLOWERS} others" in serve(tmp_path, work)["error"]
