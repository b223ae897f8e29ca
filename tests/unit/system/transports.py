"""A transport on loopback under an engine that is told, or makes up, what there is to do."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

from tests.unit.mesh.node_harness import Harness
from wesher.base.errors import ProtocolError
from wesher.gossip import Address, Packet, PushPull, StreamRequest
from wesher.mesh.base.plan import IPAddress
from wesher.mesh.node import MeshNode
from wesher.system.sockets import bind
from wesher.system.transport import Engine, Reply, Transport

LOOPBACK = ip_address("127.0.0.1")
HEAD = struct.Struct(">I")


def frame(body: bytes) -> bytes:
    """A stream as `Recorder` wants it: its length in four bytes, then the body."""
    return HEAD.pack(len(body)) + body


class Recorder:
    """An engine that records what it is given, and asks for what a test puts into it."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.packets: list[Packet] = []
        self.requests: list[StreamRequest] = []
        self.deadline: float | None = None
        self.woken_at: list[float] = []
        self.reply: bytes | None = frame(b"reply")

    def receive_packet(self, data: bytes, source: Address, now: float) -> None:
        self.heard.append(("packet", data, source.ip))

    def receive_request(self, data: bytes, source: Address, now: float) -> bytes | None:
        self.heard.append(("request", bytes(data), source.ip))
        return self.reply

    def receive_reply(self, request_id: int, data: bytes, now: float) -> None:
        self.heard.append(("reply", request_id, data))

    def stream_failed(self, request_id: int, error: str, now: float) -> None:
        self.heard.append(("failed", request_id, error))

    def handle_timer(self, now: float) -> None:
        self.woken_at.append(now)
        self.deadline = None

    def packets_to_send(self) -> Iterator[Packet]:
        while self.packets:
            yield self.packets.pop(0)

    def streams_to_open(self) -> Iterator[StreamRequest]:
        while self.requests:
            yield self.requests.pop(0)

    def next_timer(self) -> float | None:
        return self.deadline

    def frame_size(self, head: bytes, *, reply: bool) -> int | None:
        if head[:1] == b"!":
            raise ProtocolError("no frame begins like that")
        if len(head) < 4:
            return None
        length: int = HEAD.unpack_from(head)[0]
        return 4 + length


class RecordingDoor:
    """Answers streams of its own, of four bytes, in its own time."""

    FIRST_BYTE = ord("D")

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, str]] = []

    def frame_size(self, head: bytes) -> int | None:
        if head[:2] == b"D!":
            raise ProtocolError("no frame begins like that")
        return 4

    async def answer(self, frame: bytes, source: Address) -> Reply:
        self.heard.append((frame, source.ip))
        await asyncio.sleep(0.01)
        return Reply(None if frame == b"D..." else b"door: " + frame, frame == b"Dbad")


class Host:
    """An open transport, and what a test needs of it; `engine` records unless another is driven."""

    def __init__(self, engine: Engine | None, ip: IPAddress, timeout: float) -> None:
        self.engine = Recorder()
        self.flushes = 0
        self.ip, self.port = str(ip), free_port(ip)
        self.sockets = bind(ip, self.port)
        self.writers: list[asyncio.StreamWriter] = []
        self.door = RecordingDoor()
        self.own: dict[bytes, Awaitable[bytes | None]] = {}
        """What the answers to streams of our own come to, by their frames."""
        self.transport = Transport(
            engine or self.engine,
            timeout,
            self._flushed,
            doors={self.door.FIRST_BYTE: self.door},
            own_streams=lambda frame, source: self.own.get(frame),
        )
        self.bugs: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, bug: self.bugs.append(bug))

    def _flushed(self) -> None:
        self.flushes += 1

    async def connect(
        self, source: str | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        local = (source, 0) if source else None
        reader, writer = await asyncio.open_connection(self.ip, self.port, local_addr=local)
        self.writers.append(writer)
        return reader, writer

    async def ask(self, data: bytes, source: str | None = None) -> bytes:
        """Send `data` and return all that comes back until the other side closes."""
        reader, writer = await self.connect(source)
        writer.write(data)
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.transport.abort()

    async def heard(self, count: int) -> list[tuple[Any, ...]]:
        """Return what the engine was given, once that is `count` things."""
        async with asyncio.timeout(10):
            while len(self.engine.heard) < count:
                await asyncio.sleep(0.01)
        return self.engine.heard


def free_port(ip: IPAddress) -> int:
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((str(ip), 0))
        port: int = probe.getsockname()[1]
    return port


@asynccontextmanager
async def opened(
    engine: Engine | None = None, ip: IPAddress = LOOPBACK, timeout: float = 5.0
) -> AsyncIterator[Host]:
    host = Host(engine, ip, timeout)
    await host.transport.open(host.sockets)
    try:
        yield host
    finally:
        host.transport.close()
        host.sockets.close()
        for writer in host.writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)  # asyncio closes sockets a turn later


@asynccontextmanager
async def stranger(sent: bytes | None = None) -> AsyncIterator[Address]:
    """Listen as somebody who sends `sent` and closes, or keeps silent; gives its address."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if sent is not None:
            writer.write(sent)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Address(*server.sockets[0].getsockname())
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)


def node_host() -> tuple[Harness, MeshNode]:
    """Return a bench whose node is alone in its cluster, as an engine."""
    harness = Harness().start()
    return harness, harness.node


def ask_for(host: Host, to: Address, timeout: float = 5.0) -> None:
    """Let the engine want a stream of number 7."""
    host.engine.requests.append(StreamRequest(7, to, frame(b"request"), timeout))
    host.transport.flush()


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 30))


def open_now(host: Host) -> int:
    return host.transport._sources.total()


async def open_streams(host: Host, wait: bool = True) -> int:
    """Return how many streams of others are open; with `wait`, once there is none, or too long."""
    for _ in range(200 if wait else 1):
        if not open_now(host):
            return 0
        await asyncio.sleep(0.01)
    return open_now(host)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def gone(reader: asyncio.StreamReader) -> bool:
    """Wait for the other side to close, without having sent anything."""
    try:
        async with asyncio.timeout(5):
            return await reader.read() == b""
    except ConnectionResetError:
        return True


async def send_slowly(writer: asyncio.StreamWriter, data: bytes) -> None:
    for byte in data:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.01)


def opens_to_push_pull(harness: Harness, reply: bytes) -> bool:
    return isinstance(harness.wire.open_frame(reply, reply=True), PushPull)
