"""Reach others as gossip does, by UDP and TCP, encrypted with the cluster key; needs no agent."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress

from wesher.base.addresses import Contact, Heard
from wesher.base.errors import LimitError, ProtocolError, UndecryptableError
from wesher.base.frozen import frozen
from wesher.gossip import (
    Ack,
    Address,
    ErrorReply,
    Keyring,
    Message,
    Ping,
    PushPull,
    Record,
    RecordState,
    Wire,
    unpack_ip,
)
from wesher.gossip.codec import encode

PATIENCE = 2.5  # seconds for an answer
NONCE_SIZE = 12  # bytes
AT_ONCE = 64  # members that are asked at the same time
MAX_ACK = 4096  # bytes of a stream that should hold no more than an ack
_REPEATS = (0.0, 0.3, 0.8, 1.5)  # seconds at which a ping is sent: a packet may get lost
_CHUNK = 64 << 10  # bytes
_HEAD = 16  # bytes of a frame, more than its size needs
_LIVE = (RecordState.ALIVE, RecordState.SUSPECT)


def wire_of(*keys: bytes) -> Wire:
    """Return how members of the cluster with these keys talk."""
    return Wire(
        Keyring(*keys),
        lambda: os.urandom(NONCE_SIZE),
    )


async def contact_all(keys: Sequence[bytes], whom: Sequence[tuple[Address, str]]) -> list[Contact]:
    """Contact all at once, each by its name, or whoever is there where that is empty."""
    wire = wire_of(*keys)
    return await asyncio.gather(*(contact(wire, one, name) for one, name in whom))


async def find_others(
    keys: Sequence[bytes], name: str, addresses: Sequence[Address]
) -> list[Address]:
    """Return where live members of this name are, as the first of `addresses` with members tells.

    Only those that answer.
    """
    wire = wire_of(*keys)
    for address in addresses:
        if records := await look(wire, address):
            found = [
                Address(unpack_ip(record.addr), record.port)
                for record in records
                if record.name == name and record.state in _LIVE
            ]
            return [one for one in found if await _answers(wire, one, name)]
    return []


async def _answers(wire: Wire, address: Address, name: str) -> bool:
    made = await contact(wire, address, name)
    return Heard.ANSWER in {made.udp, made.tcp}


async def contact(wire: Wire, address: Address, name: str = "") -> Contact:
    """Ping the member of this name, or whoever is there, by UDP and TCP at once; never raises.

    Nobody answers a ping for another, so we ask as well whether anybody is there.
    """
    if not name:
        return await _contact(wire, address, "")
    made, anybody = await asyncio.gather(*(_contact(wire, address, one) for one in (name, "")))
    return Contact(_but_not(made.udp, anybody.udp), _but_not(made.tcp, anybody.tcp))


def _but_not(named: Heard, anybody: Heard) -> Heard:
    """Return what came back, given what came back to a ping for whoever is there."""
    silent = named is Heard.SILENCE and anybody is Heard.ANSWER
    return Heard.OTHER_NAME if silent else named


async def _contact(wire: Wire, address: Address, name: str) -> Contact:
    udp, tcp = await asyncio.gather(
        _ping_by_packet(wire, address, _ping(name)), _ping_by_stream(wire, address, _ping(name))
    )
    return Contact(udp, tcp)


def _ping(name: str) -> Ping:
    """Return a ping that no recorded ack answers."""
    return Ping(int.from_bytes(os.urandom(4)), name)


async def look(wire: Wire, address: Address) -> tuple[Record, ...]:
    """Return the members that somebody knows, telling nothing of ourselves; none in silence."""
    with suppress(OSError, ProtocolError, asyncio.IncompleteReadError):
        async with asyncio.timeout(PATIENCE):
            answer, _ = await _ask(wire, address, PushPull(join=False, records=()))
            return answer.records if isinstance(answer, PushPull) else ()
    return ()


@frozen(hidden=("key",))
class Asked:
    """Somebody to ask, with which of our keys; the primary one where that is None."""

    address: Address
    key: bytes | None = None


async def ask_all(
    wire: Wire,
    whom: Sequence[Asked],
    question: bytes,
    *,
    limit: int,
    patience: float,
    at_once: int = AT_ONCE,
) -> list[bytes | None]:
    """Return what each answers to a question that gossip does not know; None in silence.

    An answer may have `limit` bytes and take `patience` seconds, and no more than `at_once`
    are asked at the same time, so that neither we nor the network are overrun.
    """
    free = asyncio.Semaphore(at_once)

    async def ask(one: Asked) -> bytes | None:
        async with free:
            return await _ask_one(wire, one, question, limit, patience)

    return await asyncio.gather(*map(ask, whom))


async def _ask_one(
    wire: Wire, one: Asked, question: bytes, limit: int, patience: float
) -> bytes | None:
    with suppress(OSError, ProtocolError, asyncio.IncompleteReadError):
        async with asyncio.timeout(patience):
            frame = await _converse(wire, one.address, wire.seal_frame(question, one.key), limit)
            return wire.unseal_frame(frame, reply=True)[0]
    return None


class _Listener(asyncio.DatagramProtocol):
    """Waits for the ack of our ping."""

    def __init__(self, wire: Wire, sequence: int) -> None:
        self._wire = wire
        self._sequence = sequence
        self.answered = asyncio.Event()

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        messages = self._wire.open_packet(data).messages
        if any(isinstance(one, Ack) and one.sequence == self._sequence for one in messages):
            self.answered.set()


async def _ping_by_packet(wire: Wire, address: Address, ping: Ping) -> Heard:
    loop = asyncio.get_running_loop()
    anywhere = ("::" if ":" in address.ip else "0.0.0.0", 0)
    try:
        transport, listener = await loop.create_datagram_endpoint(
            lambda: _Listener(wire, ping.sequence), local_addr=anywhere
        )
    except OSError:  # no IPv6 here
        return Heard.SILENCE
    try:
        async with asyncio.timeout(PATIENCE):
            for at, until in zip(_REPEATS, (*_REPEATS[1:], PATIENCE), strict=True):
                packet = wire.seal_packet([encode(ping)], checksum=False)
                transport.sendto(packet, address)
                with suppress(TimeoutError):
                    async with asyncio.timeout(until - at):
                        await listener.answered.wait()
                        return Heard.ANSWER
    except TimeoutError:
        pass
    finally:
        transport.close()
    return Heard.SILENCE


async def _ping_by_stream(wire: Wire, address: Address, ping: Ping) -> Heard:
    try:
        async with asyncio.timeout(PATIENCE):
            answer, key = await _ask(wire, address, ping, MAX_ACK)
    except UndecryptableError:
        return Heard.OTHER_KEY
    except ConnectionRefusedError:
        return Heard.REFUSED
    except (OSError, ProtocolError, asyncio.IncompleteReadError):
        return Heard.SILENCE
    if isinstance(answer, ErrorReply) and key != wire.keyring.primary:
        return Heard.NOT_READ
    ours = isinstance(answer, Ack) and answer.sequence == ping.sequence
    return Heard.ANSWER if ours else Heard.SILENCE


async def _ask(
    wire: Wire, address: Address, question: Message, limit: int | None = None
) -> tuple[Message, bytes | None]:
    """Exchange one frame for another, and say which key has opened that.

    Raises OSError, ProtocolError or IncompleteReadError.
    """
    return wire.open_reply(await _converse(wire, address, wire.seal_frame(encode(question)), limit))


async def _converse(
    wire: Wire, address: Address, request: bytes, limit: int | None = None
) -> bytes:
    """Exchange one frame for another; raises OSError, or ProtocolError for what is no frame."""
    reader, writer = await asyncio.open_connection(address.ip, address.port)
    try:
        writer.write(request)
        await writer.drain()
        frame = bytearray()
        while not (size := wire.frame_size(bytes(frame[:_HEAD]), reply=True)) or len(frame) < size:
            if limit and size and size > limit:
                raise LimitError(f"an answer of {size} bytes")
            chunk = await reader.read(_CHUNK)
            if not chunk:
                break
            frame += chunk
        return bytes(frame)
    finally:
        writer.close()
