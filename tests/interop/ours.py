"""A member that runs our gossip and nothing else of wesher, over the agent's own transport."""

import asyncio
import ctypes
import os
import random
import socket
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tests.interop.golang import PATIENCE, PORT, wait_for
from wesher.base.errors import ProtocolError
from wesher.base.frozen import replace
from wesher.gossip import (
    LOCAL,
    Address,
    Event,
    ExchangeFinished,
    Gossip,
    GossipSettings,
    Keyring,
    LeaveFinished,
    Member,
    Packet,
    PingFinished,
    PushPull,
    Record,
    StreamRequest,
    Timing,
    Wire,
    pack_ip,
)
from wesher.gossip.codec import encode
from wesher.gossip.context import VERSIONS
from wesher.system.sockets import bind
from wesher.system.transport import Transport

PATIENT = replace(LOCAL, stream_timeout=10)
"""The time of a stream is nothing that a test is about."""
CALM = replace(PATIENT, probe_interval=2, probe_timeout=1)
FORGETFUL = replace(PATIENT, gossip_to_the_dead=4)

_CLONE_NEWNET = 0x40000000
E = TypeVar("E", bound=Event)
T = TypeVar("T")


def wire_of(key: str) -> Wire:
    """The wire of a cluster with this key, in base64."""
    return Wire(Keyring(b64decode(key)), partial(os.urandom, 12))


class _Engine:
    """A Gossip as the transport drives it, with its packets and streams in our hands."""

    def __init__(self, gossip: Gossip, wire: Wire) -> None:
        self.gossip = gossip
        self.wire = wire
        self.deaf = False
        """Hear no UDP."""

    def receive_packet(self, data: bytes, source: Address, now: float) -> None:
        if not self.deaf:
            self.gossip.receive_packet(data, source, now)

    def receive_request(self, data: bytes, source: Address, now: float) -> bytes | None:
        return self.gossip.receive_request(data, source, now)

    def receive_reply(self, request_id: int, data: bytes, now: float) -> None:
        self.gossip.receive_reply(request_id, data, now)

    def stream_failed(self, request_id: int, error: str, now: float) -> None:
        self.gossip.stream_failed(request_id, error, now)

    def handle_timer(self, now: float) -> None:
        self.gossip.handle_timer(now)

    def packets_to_send(self) -> Iterator[Packet]:
        return self.gossip.packets_to_send()

    def streams_to_open(self) -> Iterator[StreamRequest]:
        return self.gossip.streams_to_open()

    def next_timer(self) -> float | None:
        return self.gossip.next_timer()

    def frame_size(self, head: bytes, *, reply: bool) -> int | None:
        return self.wire.frame_size(head, reply=reply)


class Reached(Protocol):
    """A member of any kind, where it is reached."""

    @property
    def ip(self) -> str: ...
    @property
    def port(self) -> int: ...


class OurMember:
    """One Gossip on real sockets, in a thread of its own (in the namespace of `lives_in`, a pid).

    It is silent until `announce`.
    """

    def __init__(
        self,
        name: str,
        ip: str,
        key: str,
        *,
        port: int = PORT,
        timing: Timing = PATIENT,
        wire: Wire | None = None,
        mapped: bool = False,
        lives_in: int | None = None,
        delegate_versions: tuple[int, int, int] = (0, 0, 0),
        **settings: Any,
    ) -> None:
        self.name = name
        self.ip = ip
        self.port = port
        self.happened: list[tuple[float, Event]] = []
        self._wire = wire or wire_of(key)
        addr = pack_ip(ip, mapped=mapped)
        self.gossip = Gossip(
            GossipSettings(name, addr, port, timing, **settings), self._wire, random.Random()
        )
        # What serf has as memberlist's application; we have none.
        self.gossip._context.versions = VERSIONS[:3] + bytes(delegate_versions)
        self.engine = _Engine(self.gossip, self._wire)
        self._timing = timing
        self._lives_in = lives_in
        self._loop = asyncio.new_event_loop()
        self._ready: Future[None] = Future()
        self._transport: Transport | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.result(PATIENCE)

    @property
    def host_port(self) -> str:
        """Where it listens, as Go writes it."""
        return str(Address(self.ip, self.port))

    @property
    def address(self) -> Address:
        return Address(self.ip, self.port)

    def _run(self) -> None:
        try:
            if self._lives_in is not None:
                _enter_network(self._lives_in)
            self._loop.run_until_complete(self._open())
        except BaseException as error:
            self._ready.set_exception(error)
            raise
        self._ready.set_result(None)
        self._loop.run_forever()
        self._loop.close()

    async def _open(self) -> None:
        self._transport = Transport(self.engine, self._timing.stream_timeout, self._drain)
        await self._transport.open(bind(ip_address(self.ip), self.port))

    def _drain(self) -> None:
        self.happened += [(time.monotonic(), event) for event in self.gossip.events()]

    def do(self, action: Callable[[Gossip, float], T]) -> T:
        """Run `action` with the gossip and the time, in its thread; returns the result."""

        async def act() -> T:
            result = action(self.gossip, self._loop.time())
            assert self._transport
            self._transport.flush()
            return result

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result(PATIENCE)

    def announce(self, meta: bytes | None = b"ours", **more: Any) -> "OurMember":
        """Become a member."""
        self.do(lambda gossip, now: gossip.announce(meta, now, **more))
        return self

    def exchange(self, to: Address, *, join: bool = True, look: bool = False) -> ExchangeFinished:
        """Push/pull with somebody, to its end."""
        number = self.do(lambda gossip, now: gossip.push_pull(to, now, join=join, look=look))
        return self.wait(ExchangeFinished, lambda event: event.exchange == number)

    def join(self, member: Reached) -> None:
        """Join the cluster of another member, or fail the test."""
        finished = self.exchange(Address(member.ip, member.port))
        assert finished.error is None, finished

    def ping(self, to: Address, node: str, *, stream: bool = False) -> float | None:
        """Ping somebody; returns the seconds it took, None for silence."""
        number = self.do(lambda gossip, now: gossip.ping(to, node, now, stream=stream))
        return self.wait(PingFinished, lambda event: event.ping == number).seconds

    def reach(self, to: Address, node: str, *, stream: bool = False) -> None:
        """Ping somebody until it answers; a slow machine may need several."""
        wait_for(
            lambda: self.ping(to, node, stream=stream) is not None, f"{to} to answer {self.name}"
        )

    def update(self, meta: bytes) -> None:
        """Publish other metadata."""
        self.do(lambda gossip, now: gossip.update_meta(meta, now))

    def leave(self) -> float:
        """Leave to the end and close the sockets; returns the seconds it took."""
        began = time.monotonic()
        self.do(lambda gossip, now: gossip.leave(now))
        self.wait(LeaveFinished)
        took = time.monotonic() - began
        self.kill()
        return took

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Do nothing at all meanwhile, as a machine that swaps."""
        thawing = threading.Event()
        self._loop.call_soon_threadsafe(thawing.wait, PATIENCE)
        yield
        thawing.set()

    def send(self, data: bytes, to: Address) -> None:
        """Send a datagram of the test's own making from our socket."""
        assert self._transport
        assert self._transport._udp
        udp = self._transport._udp
        self.do(lambda _gossip, _now: udp.sendto(data, to))

    def kill(self) -> None:
        """End without a farewell; calling it again does nothing."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(PATIENCE)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE)

    async def _close(self) -> None:
        assert self._transport
        self._transport.close()
        await asyncio.sleep(0.01)  # lets cancelled streams end

    def heard(
        self, kind: type[E], matches: Callable[[E], bool] = lambda _event: True, after: int = 0
    ) -> list[E]:
        """Return the events of one kind so far."""
        return [
            event
            for _, event in self.happened[after:]
            if isinstance(event, kind) and matches(event)
        ]

    def wait(
        self,
        kind: type[E],
        matches: Callable[[E], bool] = lambda _event: True,
        after: int = 0,
        timeout: float = PATIENCE,
    ) -> E:
        """Return the first event of one kind that matches."""
        found: E = wait_for(
            lambda: next(iter(self.heard(kind, matches, after)), None),
            f"{self.name} tells of {kind.__name__}",
            timeout,
        )
        return found

    @property
    def members(self) -> dict[str, Member]:
        """Its table by name."""
        return self.do(lambda gossip, _now: {member.name: member for member in gossip.members})


def _enter_network(pid: int) -> None:
    with Path(f"/proc/{pid}/ns/net").open() as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


def look(ip: str, key: str, port: int = PORT) -> dict[str, Record]:
    """Return the table of any member, by name, changing nothing there."""
    answer = exchange_once(ip, key, PushPull(False, ()), port)
    assert isinstance(answer, PushPull), answer
    return {record.name: record for record in answer.records}


def exchange_once(ip: str, key: str, message: PushPull, port: int = PORT) -> object:
    """Send one stream message and return the answer."""
    wire = wire_of(key)
    with socket.create_connection((ip, port), PATIENCE) as stream:
        stream.sendall(wire.seal_frame(encode(message)))
        answer = b""
        while part := stream.recv(65536):
            answer += part
    try:
        return wire.open_frame(answer, reply=True)
    except ProtocolError as error:
        return error


class OursOf(Protocol):
    """Makes members of ours, silent so far and quick unless told otherwise."""

    def __call__(self, name: str, ip: str | None = None, **settings: Any) -> OurMember: ...
