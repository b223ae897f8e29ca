"""UDP and TCP under a sans-I/O engine: feed it what arrives, flush what it wants sent."""

import asyncio
import errno
import os
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import Protocol

from wesher.base.errors import ProtocolError
from wesher.base.frozen import EMPTY, frozen
from wesher.gossip import MAX_INBOUND_EXCHANGES, Address, Packet, StreamRequest
from wesher.system.shut_out import ShutOut
from wesher.system.sockets import BACKLOG, Frames, Sockets

CROWDED = 64  # streams; from here on one source may hold only a few, so as to lock nobody out
MAX_STREAMS_PER_SOURCE = 8  # when crowded
NETWORK_BITS = {4: 24, 6: 64}  # prefix length: who has one address of such a network has them all
BEGIN_TIME = 2.0  # seconds until a stream has begun to say something; a join takes two round trips
ACCEPTED = 16  # of them are accepted at once: a flood must not use up our file descriptors
BURST = 32  # packets that are taken at once, before streams and timers have their turn
MAX_PACKET = 65_535  # bytes
ANSWER_TIME = 20.0  # seconds that the answer to a stream of our own may take
HEAD = 512  # bytes, more than a label and a frame's length need
REFUSED = os.strerror(errno.ECONNREFUSED).lower()
"""What a stream comes to where nothing listens."""


class Traffic:
    """Packets and streams of the gossip, with their bytes as they are on the wire, sealed."""

    def __init__(self) -> None:
        self.packets_received = 0
        self.packets_sent = 0
        self.packet_bytes_received = 0
        self.packet_bytes_sent = 0
        self.streams_accepted = 0
        self.streams_opened = 0
        self.stream_bytes_received = 0
        self.stream_bytes_sent = 0


class Engine(Protocol):
    """What the transport drives: a Gossip, or something around one."""

    def receive_packet(self, data: bytes, source: Address, now: float) -> None: ...
    def receive_request(self, data: bytes, source: Address, now: float) -> bytes | None: ...
    def receive_reply(self, request_id: int, data: bytes, now: float) -> None: ...
    def stream_failed(self, request_id: int, error: str, now: float) -> None: ...
    def handle_timer(self, now: float) -> None: ...
    def packets_to_send(self) -> Iterator[Packet]: ...
    def streams_to_open(self) -> Iterator[StreamRequest]: ...
    def next_timer(self) -> float | None: ...
    def frame_size(self, head: bytes, *, reply: bool) -> int | None: ...


@frozen
class Reply:
    """What a door says; an `unwelcome` source is kept from our streams for a while."""

    data: bytes | None
    unwelcome: bool = False


class Door(Protocol):
    """Who answers streams that are not the engine's."""

    def frame_size(self, head: bytes) -> int | None: ...
    async def answer(self, frame: bytes, source: Address) -> Reply: ...


OwnStreams = Callable[[bytes, Address], Awaitable[bytes | None] | None]
"""Gives the answer, in its own time, to a stream that is none of the engine's; None for others."""


class Transport(asyncio.DatagramProtocol):
    """One UDP socket and one TCP server on the same port, driving an engine.

    `flushed` is called after every input, once packets and streams are on their way, and
    `before_input` before it. Streams whose first byte has a door in `doors` are answered there,
    the engine never hears of them. `own_streams` sees what others brought before the engine does.
    """

    def __init__(
        self,
        engine: Engine,
        stream_timeout: float,
        flushed: Callable[[], None],
        before_input: Callable[[float], None] = lambda now: None,
        *,
        doors: Mapping[int, Door] = EMPTY,
        own_streams: OwnStreams = lambda frame, source: None,
    ) -> None:
        self._engine = engine
        self._doors = doors
        self._stream_timeout = stream_timeout
        self._flushed = flushed
        self._before_input = before_input
        self._own_streams = own_streams
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._own_address: tuple[str, int] | None = None
        self._udp: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._sources: Counter[str] = Counter()
        self._reading: dict[asyncio.Task[None], str] = {}
        """Streams whose request is not whole yet, with the network they come from, oldest first."""
        self._frames = Frames()
        self._listening: socket.socket | None = None
        self._shut_out = ShutOut()
        self._letting_back: asyncio.TimerHandle | None = None
        self.traffic = Traffic()

    async def open(self, sockets: Sockets) -> None:
        """Begin to receive on both sockets, which are closed with us; in place of any before."""
        self._close_sockets()
        self._socket = sockets.udp
        self._listening = sockets.tcp
        self._own_address = _source_of_streams(sockets.tcp)
        self._udp, _ = await self._loop.create_datagram_endpoint(lambda: self, sock=sockets.udp)
        self._server = await asyncio.start_server(self._serve, sock=sockets.tcp, backlog=ACCEPTED)
        sockets.tcp.listen(BACKLOG)  # asyncio has set it to the number above
        self.flush()

    def close(self) -> None:
        """Close the sockets at once and forget every stream; calling it again does nothing."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._close_sockets()
        for task in self._tasks:
            task.cancel()

    def _close_sockets(self) -> None:
        if self._udp:
            self._udp.abort()
            self._udp = None
        if self._server:
            self._server.close()
            self._server = None
        self._listening = None
        if self._letting_back:
            self._letting_back.cancel()
            self._letting_back = None

    def flush(self) -> None:
        """Send and open what the engine has ready, and arm the timer; call it after every input."""
        if self._udp is None:
            return
        for packet in self._engine.packets_to_send():
            self._udp.sendto(packet.data, packet.to)
            self.traffic.packets_sent += 1
            self.traffic.packet_bytes_sent += len(packet.data)
        for request in self._engine.streams_to_open():
            self._spawn(self._exchange(request))
        self._arm()
        self._flushed()

    def _arm(self) -> None:
        """Make sure the timer fires no later than the engine's deadline; too early does no harm."""
        at = self._engine.next_timer()
        if at is None or (self._timer and self._timer.when() <= at):
            return
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._tick)

    def _now(self) -> float:
        """Return the time of an input that is about to be handed over."""
        now = self._loop.time()
        self._before_input(now)
        return now

    def _tick(self) -> None:
        self._timer = None
        self._engine.handle_timer(self._now())
        self.flush()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take a packet, and those that wait behind it: asyncio hands us one in each round."""
        self._receive(data, addr)
        for waiting in self._waiting_packets():
            self._receive(*waiting)
        self.flush()

    def _waiting_packets(self) -> Iterator[tuple[bytes, tuple[str, int]]]:
        assert self._socket, "packets come after it has been opened"
        with suppress(OSError):  # there is none, or it tells what a send of ours met
            for _ in range(BURST - 1):
                yield self._socket.recvfrom(MAX_PACKET)

    def _receive(self, data: bytes, addr: tuple[str, int]) -> None:
        self.traffic.packets_received += 1
        self.traffic.packet_bytes_received += len(data)
        self._engine.receive_packet(data, _address(addr), self._now())

    def error_received(self, exc: Exception) -> None:
        """Ignore what a send met (no route, a firewall): the protocol's own timeouts notice it."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        if peer is None or not self._admits(source := _address(peer)):
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self._reading[task] = _network_of(source.ip)
        self._sources[source.ip] += 1
        try:
            async with asyncio.timeout(self._stream_timeout) as limit:
                await self._answer(reader, writer, source, task, limit)
        except (OSError, ProtocolError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # Cancelled by our close(): asyncio's streams would take that for a bug.
            writer.transport.abort()
        finally:
            writer.close()
            self._tasks.discard(task)
            self._reading.pop(task, None)
            self._sources[source.ip] -= 1
            self._sources += Counter()  # drops the sources that are at zero

    def _admits(self, source: Address) -> bool:
        """Tell whether there is room, if need be the room of one that has asked nothing yet."""
        open_streams = self._sources.total()
        if open_streams >= CROWDED and self._sources[source.ip] >= MAX_STREAMS_PER_SOURCE:
            return False
        return open_streams < MAX_INBOUND_EXCHANGES or self._evict()

    def _evict(self) -> bool:
        """End the oldest unfinished request of the network that has most; False without any."""
        if not self._reading:
            return False
        [(greediest, _)] = Counter(self._reading.values()).most_common(1)
        oldest = next(task for task, network in self._reading.items() if network == greediest)
        del self._reading[oldest]
        oldest.cancel()
        return True

    async def _answer(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        source: Address,
        task: asyncio.Task[None],
        limit: asyncio.Timeout,
    ) -> None:
        self.traffic.streams_accepted += 1
        frame = await self._read_frame(reader, source.ip, reply=False)
        self._reading.pop(task, None)
        if door := self._doors.get(frame[0]):
            said = await door.answer(frame, source)
            reply = said.data
            if said.unwelcome:
                self._keep_out(source)
        elif answer := self._own_streams(frame, source):
            limit.reschedule(self._loop.time() + ANSWER_TIME)
            reply = await answer
        else:
            reply = self._engine.receive_request(frame, source, self._now())
            self.flush()
        if reply is not None:
            self.traffic.stream_bytes_sent += len(reply)
            writer.write(reply)
            writer.close()
            await writer.wait_closed()  # it counts as open until its reader has read

    def _keep_out(self, source: Address) -> None:
        """Have the kernel drop what this source sends to our streams' socket."""
        if self._listening and self._shut_out.add(source.ip, self._listening, self._loop.time()):
            self._let_back()

    def _let_back(self) -> None:
        """Let those in again whose time is over, now and whenever it is."""
        if self._letting_back:
            self._letting_back.cancel()
            self._letting_back = None
        if self._listening and (at := self._shut_out.expire(self._listening, self._loop.time())):
            self._letting_back = self._loop.call_at(at, self._let_back)

    async def _exchange(self, request: StreamRequest) -> None:
        """Carry one request of ours and hand the engine the reply, or why there is none."""
        try:
            async with asyncio.timeout(request.timeout):
                reply = await self._ask(request)
        except (OSError, ProtocolError, asyncio.IncompleteReadError) as error:
            problem = _stream_problem(error, request.timeout)
            self._engine.stream_failed(request.id, problem, self._now())
        else:
            self._engine.receive_reply(request.id, reply, self._now())
        self.flush()

    async def _ask(self, request: StreamRequest) -> bytes:
        reader, writer = await asyncio.open_connection(
            request.to.ip, request.to.port, local_addr=self._own_address
        )
        self.traffic.streams_opened += 1
        self.traffic.stream_bytes_sent += len(request.data)
        try:
            writer.write(request.data)
            await writer.drain()
            return await self._read_frame(reader, request.to.ip, reply=True)
        finally:
            writer.close()

    async def _read_frame(self, reader: asyncio.StreamReader, source: str, *, reply: bool) -> bytes:
        begin_time = self._stream_timeout if reply else min(BEGIN_TIME, self._stream_timeout)
        frame = await self._frames.read(
            reader, source, lambda head: self._missing(head, reply), begin_time
        )
        self.traffic.stream_bytes_received += len(frame)
        return frame

    def _missing(self, frame: bytearray, reply: bool) -> int:
        head = bytes(frame[:HEAD])
        try:
            if not reply and head and (door := self._doors.get(head[0])):
                size = door.frame_size(head)
            else:
                size = self._engine.frame_size(head, reply=reply)
        except ProtocolError:
            return 0  # the engine is to see it, and may have an answer
        return 1 if size is None else size - len(frame)

    def _spawn(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._loop.call_exception_handler({"message": "stream failed", "exception": error})


def _address(raw: tuple[str, int]) -> Address:
    """Return a socket's peer as we write it: an IPv4-mapped address as IPv4."""
    ip = raw[0]
    return Address(ip[7:] if ip.startswith("::ffff:") and "." in ip else ip, raw[1])


def _network_of(ip: str) -> str:
    """Return the network that an address counts for."""
    address = ip_address(ip.partition("%")[0])
    return str(ip_network((address, NETWORK_BITS[address.version]), strict=False))


def _source_of_streams(listening: socket.socket) -> tuple[str, int] | None:
    """Return where our streams come from: the address others know us by; None for any."""
    ip = ip_address(listening.getsockname()[0])
    # A link-local one says nothing without its interface.
    return None if ip.is_unspecified or ip.is_link_local else (str(ip), 0)


def _stream_problem(error: Exception, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} s"
    if isinstance(error, asyncio.IncompleteReadError):
        return "closed without a reply"
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()  # asyncio puts words of its own around it
    return str(error)
