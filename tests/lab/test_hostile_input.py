"""A running node under hostile input, from a stranger and from somebody who has the key."""

import base64
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator

import pytest

from tests.testbed.lab.attacker import Attacker
from tests.testbed.lab.daemons import Daemon, Mesh, MeshOf, RecordSeconds, ping
from tests.testbed.lab.gossip_lookup import CLUSTER_PORT
from tests.testbed.lab.netns import wait_for
from wesher.gossip import Keyring, PushPull, Record, RecordState, Wire
from wesher.gossip.codec import encode

_PACKETS = 100_000
_STREAMS = 1_000
_FAMILIAR = 10_000
"""After so many packets everything has been needed once; from there on memory should not grow."""
_SLOW = 60  # connections held open at once; each occupies a reader of the victim
_BACKLOG = 60_000  # bytes waiting in the victim's socket before we wait for it


@pytest.mark.timeout(400)
def test_hostile_input_neither_disturbs_nor_fattens_a_node(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    seed = int(os.environ.get("HOSTILE_SEED") or 1)
    mesh = mesh_of(4)
    victim, *peers = mesh.daemons[:3]
    for daemon in (victim, *peers):
        mesh.start_one(daemon)
    mesh.wait_until_complete(60, [victim, *peers])
    attacker = Attacker(seed, base64.b64decode(mesh.key), victim.host.name)
    watch = _Watch(mesh, victim, peers)
    lost_before = _queue(victim)[1]

    started = time.monotonic()
    with watch:
        streams = _Streams(mesh, victim)
        waiting = attacker.streams(_STREAMS)
        for number in _send_packets(mesh, victim, attacker):
            if number == _FAMILIAR:
                before = victim.process.resident_mb()
            if number % (_PACKETS // _STREAMS) == 0:
                streams.send(next(waiting))
        streams.close()
        time.sleep(3)
    took = time.monotonic() - started

    lost = _queue(victim)[1] - lost_before
    grown = victim.process.resident_mb() - before
    lines = len(victim.log().splitlines())
    story = f"HOSTILE_SEED={seed}: memory grew by {grown:.1f} MB, {lines} lines logged, {lost} lost"
    record_seconds(f"100,000 packets, 1,000 streams, {story}", took, 240)
    assert watch.complaints == []
    assert watch.looks > 20
    assert grown < 5
    assert lines < 20, victim.log()  # of each kind of trouble three, and how many more
    assert lost < _PACKETS / 100
    assert victim.lives()
    assert "ghost0" in mesh.look(victim), "what was not damaged was heard"


class _Streams:
    """Connections that stay open after what was sent, some of them dribbling, oldest closed."""

    def __init__(self, mesh: Mesh, victim: Daemon) -> None:
        self._source = mesh.lab.hosts[3]
        self._target = (victim.host.address, CLUSTER_PORT)
        self._open: deque[socket.socket] = deque()

    def send(self, data: bytes) -> None:
        stream = self._source.socket(socket.SOCK_STREAM)
        stream.settimeout(5)
        self._open.append(stream)
        try:
            stream.connect(self._target)
            stream.settimeout(0)
            stream.send(data)
        except OSError:
            pass  # refused or reset, as it should be
        if len(self._open) > _SLOW:
            self._open.popleft().close()
        self._dribble()

    def _dribble(self) -> None:
        for stream in list(self._open)[:5]:
            try:
                stream.send(b"\x00")
            except OSError:
                continue

    def close(self) -> None:
        for stream in self._open:
            stream.close()


class _Watch:
    """Looks at the peers' tables all the time and notes what they think of the victim."""

    def __init__(self, mesh: Mesh, victim: Daemon, peers: list[Daemon]) -> None:
        self.complaints: list[str] = []
        self.looks = 0
        self._mesh, self._victim, self._peers = mesh, victim, peers
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        first = self._look(peers[0])
        assert first
        self._incarnation = first.incarnation

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _look(self, peer: Daemon) -> Record | None:
        name = self._victim.host.name
        table: dict[str, Record] = {}

        def looked() -> bool:
            table.update(self._mesh.look(peer))
            return bool(table)

        wait_for(looked, 10, f"{peer.host.name} to show its table")
        return table.get(name)

    def _run(self) -> None:
        while not self._ending.wait(0.5):
            for peer in self._peers:
                record = self._look(peer)
                self.looks += 1
                if (
                    record is None
                    or record.state != RecordState.ALIVE
                    or record.incarnation != self._incarnation
                ):
                    self.complaints.append(f"{peer.host.name} has {record}")


def _send_packets(mesh: Mesh, victim: Daemon, attacker: Attacker) -> Iterator[int]:
    """Send all packets no faster than they are read, and yield their numbers."""
    with mesh.lab.hosts[3].socket(socket.SOCK_DGRAM) as sending:
        for number, packet in enumerate(attacker.packets(_PACKETS)):
            if number % 20 == 0:
                wait_for(lambda: _queue(victim)[0] < _BACKLOG, 60, "the victim to read")
            sending.sendto(packet, (victim.host.address, CLUSTER_PORT))
            yield number


def _queue(victim: Daemon) -> tuple[int, int]:
    """The bytes that wait in the victim's UDP socket, and how many packets it lost."""
    port = f":{CLUSTER_PORT:04X}"
    with open(f"/proc/{victim.process.pid}/net/udp", encoding="ascii") as table:
        rows = [line.split() for line in table]
    row = next(row for row in rows if row[1].endswith(port))
    return int(row[4].split(":")[1], 16), int(row[-1])


def test_running_out_of_descriptors_ends_nothing(mesh_of: MeshOf) -> None:
    mesh = mesh_of(2)
    target, source = mesh.daemons
    target.command = ["sh", "-c", 'ulimit -Sn 40; exec "$@"', "sh", *target.command]
    mesh.start()
    mesh.settle()
    streams = [source.host.socket(socket.SOCK_STREAM) for _ in range(60)]

    for stream in streams:
        stream.setblocking(False)
        stream.connect_ex((target.host.address, CLUSTER_PORT))
    wait_for(lambda: "Too many open files" in target.log(), 60, "the warning")
    for stream in streams:
        stream.close()
    wait_for(lambda: len(mesh.look(target)) == 2, 60, "an answer")

    assert target.process.running
    assert target.log().count("Too many open files") == 1


def test_a_table_of_thousands_of_ghosts_is_borne(
    mesh_of: MeshOf, record_seconds: RecordSeconds
) -> None:
    """From somebody who has the key; their names are meant for the operator's terminal."""
    mesh = mesh_of(3)
    victim, other, attacker = mesh.daemons
    for daemon in (victim, other):
        mesh.start_one(daemon)
    mesh.wait_until_complete(60, [victim, other])
    wait_for(lambda: ping(other, victim.host.name, 1), 60, "an answer")
    before = victim.process.resident_mb()

    started = time.monotonic()
    with attacker.host.socket(socket.SOCK_STREAM) as stream:
        stream.settimeout(60)
        stream.connect((victim.host.address, CLUSTER_PORT))
        stream.sendall(table_of_ghosts(base64.b64decode(mesh.key), 20_000))
        wait_for(lambda: "table of members is full" in victim.log(), 60, "the ghosts' arrival")
    answered = ping(other, victim.host.name)

    record_seconds("bore a table of 20,000 ghosts", time.monotonic() - started, 10)
    assert answered
    assert set(mesh.look(victim)) == {victim.host.name, other.host.name}, "who never answered"
    assert victim.process.resident_mb() - before < 250
    lines = victim.log().splitlines()
    assert 0 < len(lines) < 10, lines[:20]
    assert all(line.isprintable() for line in lines)
    assert len(victim.peers()) == 1


def table_of_ghosts(key: bytes, count: int) -> bytes:
    """A join that brings so many members, whose names would clear the screen."""
    wire = Wire(Keyring(key), lambda: os.urandom(12))
    ip, versions = bytes([192, 168, 77, 200]), bytes([1, 5, 2, 0, 0, 0])
    names = (f"\x1b[2J\n{number}\x00{'é' * 40}" for number in range(count))
    ghosts = (Record(name, ip, 7946, b"\x1b[2J", 1, RecordState.ALIVE, versions) for name in names)
    return wire.seal_frame(encode(PushPull(join=True, records=tuple(ghosts))))
