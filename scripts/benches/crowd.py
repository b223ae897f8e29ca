"""Many members that exist in gossip only: a seed that tells of them, and answers for them all."""

import socket
import threading
from contextlib import suppress
from ipaddress import IPv4Address

from tests.testbed.lab.gossip_lookup import CLUSTER_PORT, wire_of
from tests.testbed.lab.inventing import record_of
from tests.testbed.lab.netns import Host
from wesher.base.errors import ProtocolError
from wesher.gossip import (
    Ack,
    Alive,
    Dead,
    IndirectPing,
    Message,
    Ping,
    PushPull,
    Record,
)
from wesher.gossip.codec import encode

_VERSIONS = bytes([1, 5, 5, 0, 0, 0])


class Crowd:
    """A seed on `host` with so many members; a context manager."""

    def __init__(self, host: Host, key: bytes, members: int) -> None:
        self._host = host
        self._wire = wire_of(key)
        self._records = tuple(self._member(number) for number in range(members))
        self._packets = host.socket(socket.SOCK_DGRAM)
        self._packets.bind((host.address, CLUSTER_PORT))
        self._streams = host.socket(socket.SOCK_STREAM)
        self._streams.bind((host.address, CLUSTER_PORT))
        self._streams.listen(16)
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=run) for run in (self._answer_packets, self._answer_streams)
        ]

    def __enter__(self) -> "Crowd":
        for end in (self._packets, self._streams):
            end.settimeout(0.2)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()
        for end in (self._packets, self._streams):
            end.close()

    def add_one(self, target: Host) -> None:
        """Tell `target` of one more member."""
        new = self._member(len(self._records))
        alive = Alive(new.incarnation, new.name, new.addr, new.port, new.meta, _VERSIONS)
        self._tell(target, alive)

    def remove_one(self, target: Host) -> None:
        """Tell `target` that the member added last has left."""
        name = self._member(len(self._records)).name
        self._tell(target, Dead(1, name, name))

    def _member(self, number: int) -> Record:
        return record_of(f"crowd{number}", number, IPv4Address(self._host.address))

    def _tell(self, target: Host, message: Message) -> None:
        packet = self._wire.seal_packet([encode(message)], checksum=True)
        self._packets.sendto(packet, (target.address, CLUSTER_PORT))

    def _answer_packets(self) -> None:
        while not self._ending.is_set():
            try:
                data, source = self._packets.recvfrom(65536)
            except TimeoutError:
                continue
            for message in self._wire.open_packet(data).messages:
                if isinstance(message, Ping | IndirectPing):
                    ack = encode(Ack(message.sequence))
                    self._packets.sendto(self._wire.seal_packet([ack], checksum=True), source)

    def _answer_streams(self) -> None:
        table = encode(PushPull(join=False, records=self._records))
        while not self._ending.is_set():
            try:
                stream, _ = self._streams.accept()
            except TimeoutError:
                continue
            # Who asks may hang up before our answer, such as a probe that UDP has answered.
            with stream, suppress(OSError):
                stream.settimeout(2)
                message = self._read_frame(stream)
                answer = encode(Ack(message.sequence)) if isinstance(message, Ping) else table
                if message is not None:
                    stream.sendall(self._wire.seal_frame(answer))

    def _read_frame(self, stream: socket.socket) -> Message | None:
        data = b""
        try:
            while (size := self._wire.frame_size(data)) is None or len(data) < size:
                if not (part := stream.recv(65536)):
                    return None
                data += part
            return self._wire.open_frame(data)
        except (OSError, ProtocolError):
            return None
