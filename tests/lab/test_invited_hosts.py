"""Hosts that are let in by a token, from nothing, on networks of their own."""

import base64
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.testbed.lab.daemons import WESHER, Daemon, Mesh, MeshOf
from tests.testbed.lab.netns import Host, wait_for
from wesher.base.addresses import Address
from wesher.base.errors import UndecryptableError
from wesher.base.frozen import replace
from wesher.mesh.invitations import (
    FIRST_BYTE,
    Answering,
    Asking,
    derive,
    open_request,
    prologue,
    read_reply,
    read_request,
    read_token,
    whole,
    written,
)

PATIENCE = 60.0  # seconds
PACE = ("--timing", "lan")
ETH_P_ALL = 3


@pytest.fixture
def mesh(mesh_of: MeshOf) -> Mesh:
    """One agent that has begun a mesh, and three hosts that know nothing."""
    mesh = mesh_of(4)
    mesh.seed.start(*PACE)
    wait_for(mesh.seed.overlay_address, PATIENCE, "the first host")
    return mesh


def invite(daemon: Daemon, *flags: str) -> str:
    """Return a token, as somebody types it on a member."""
    return daemon.host.run(*WESHER, "invite", *flags).split()[-1]


def told(host: Host, *arguments: str) -> str:
    """Return what `wesher join` says to a host, its exit code, and what state it then has."""
    script = 'wesher() { "$@" 2>&1; }; wesher "$@"; echo "exit $?"; ls -A /var/lib/wesher 2>&1'
    return host.run(
        "sh", "-c", script, "sh", *WESHER, "join", "--save-only", *arguments, check=False
    )


def cluster_key(daemon: Daemon) -> bytes:
    return base64.b64decode(json.loads(daemon.state_file.read_text())["ClusterKey"])


@contextmanager
def recorded(host: Host) -> Iterator[list[bytes]]:
    """Record all that passes a host's network."""
    tap = host.socket(socket.SOCK_RAW, socket.AF_PACKET, socket.htons(ETH_P_ALL))
    tap.settimeout(0.1)
    frames: list[bytes] = []
    ending = threading.Event()

    def record() -> None:
        while not ending.is_set():
            with suppress(TimeoutError):
                frames.append(tap.recv(65536))

    thread = threading.Thread(target=record)
    thread.start()
    try:
        yield frames
    finally:
        ending.set()
        thread.join()
        tap.close()


@contextmanager
def shown_by_processes() -> Iterator[set[bytes]]:
    """Collect the arguments and environments of all processes, as often as that goes."""
    seen: set[bytes] = set()
    ending = threading.Event()

    def look() -> None:
        while not ending.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    with suppress(OSError):
                        seen.add((process / name).read_bytes())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ending.set()
        thread.join()


def streams(frames: list[bytes]) -> dict[tuple[int, int], bytes]:
    """Return what passed by TCP over IPv4, by the ports it went from and to, each byte once."""
    parts: dict[tuple[int, int], dict[int, bytes]] = {}
    for frame in frames:
        if frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_TCP:
            continue
        packet = frame[14 : 14 + int.from_bytes(frame[16:18])]
        tcp = packet[(packet[0] & 15) * 4 :]
        ports = int.from_bytes(tcp[:2]), int.from_bytes(tcp[2:4])
        parts.setdefault(ports, {})[int.from_bytes(tcp[4:8])] = tcp[(tcp[12] >> 4) * 4 :]
    return {ports: b"".join(dict(sorted(found.items())).values()) for ports, found in parts.items()}


def test_an_empty_host_is_in_the_mesh_at_once_and_nobody_sees_a_key(mesh: Mesh) -> None:
    first, second = mesh.daemons[:2]
    token = invite(first)

    with recorded(second.host) as frames, shown_by_processes() as shown:
        began = time.monotonic()
        second.start("join", token, *PACE)
        wait_for(lambda: first.has_peers(1) and second.has_peers(1), PATIENCE, "the mesh")
        took = time.monotonic() - began
        key = cluster_key(second)
    print(f"from an empty host to a peer on both sides: {took:.2f} s")

    assert key == cluster_key(first)
    secret = read_token(token).secret
    seen = {
        "the network": b"".join(frames),
        "a process": b"\n".join(shown),
        "a log": (first.log() + second.log()).encode(),
    }
    for where, content in seen.items():
        assert not any(form in content for form in forms(key)), f"the cluster key was in {where}"
        assert not any(form in content for form in forms(secret)), f"the secret was in {where}"
    assert token not in first.log() + second.log()
    assert token.encode() not in seen["the network"]
    check_recording(streams(frames), key, token, invite(first))


def forms(secret: bytes) -> list[bytes]:
    return [secret, base64.b64encode(secret), secret.hex().encode()]


def check_recording(
    passed: dict[tuple[int, int], bytes], key: bytes, token: str, other: str
) -> None:
    """See what the recording of a redeeming opens with: nothing that anybody has afterwards."""
    [(ports, request)] = [
        (ports, data)
        for ports, data in passed.items()
        if data[:1] == bytes([FIRST_BYTE]) and ports[1] == 7946
    ]
    answer = passed[ports[1], ports[0]]
    size = whole(answer, reply=True)
    assert size is not None
    assert size <= len(answer)
    name, message = read_request(request)
    mine, theirs = derive(read_token(token).secret), derive(read_token(other).secret)
    assert mine[0] == name

    assert open_request(Answering(mine[1], prologue(name)), message).name == "node2"
    for psk in (mine[1], theirs[1], key):
        with pytest.raises(UndecryptableError):  # not even with the token, without the ephemeral
            read_reply(late(psk, name), answer)
    with pytest.raises(UndecryptableError):
        open_request(Answering(theirs[1], prologue(name)), message)
    for sealed in (message[32:], answer[5 + 32 : size]):
        with pytest.raises(InvalidTag):
            AESGCM(key).decrypt(bytes(12), sealed, None)


def late(psk: bytes, name: str) -> Asking:
    """Return an asking side as somebody makes it who was not there."""
    asking = Asking(psk, prologue(name), os.urandom(32))
    asking.ask(b"")
    return asking


def test_each_token_that_is_not_good_has_its_line_and_changes_nothing(mesh: Mesh) -> None:
    first, second, third, foreign = mesh.daemons
    foreign.start(*PACE)
    wait_for(foreign.overlay_address, PATIENCE, "the other mesh")
    used, over, gone = invite(first), invite(first, "--ttl", "1s"), invite(first)
    assert third.host.succeeds(*WESHER, "join", "--save-only", used)
    first.host.run(*WESHER, "invite", "revoke", "all")
    open_one, of_other = invite(first), moved(invite(foreign), first.host.address)
    time.sleep(1)  # what the agent goes by is the time of day

    refused = {
        used: ("the invitation is used up: make another with `wesher invite`", 1),
        over: ("the invitation expired ", 1),
        gone: ("the invitation was withdrawn: make another with `wesher invite`", 1),
        of_other: ("192.168.77.1:7946 knows no such invitation: it was made elsewhere", 1),
        flipped(open_one): ("the token is damaged: part of it is missing or mistyped", 2),
    }
    before = listed(first)
    for token, (line, code) in refused.items():
        said = told(second.host, token)
        assert line in said
        assert f"exit {code}" in said
        assert "No such file or directory" in said, "there is a state directory"
    assert listed(first) == before
    assert second.host.succeeds(*WESHER, "join", "--save-only", open_one), "the same host is let in"


def listed(daemon: Daemon) -> list[dict[str, object]]:
    told = json.loads(daemon.host.run(*WESHER, "invite", "list", "--json"))
    return [{**one, "state": None} for one in told["invitations"]]


def moved(token: str, ip: str) -> str:
    """Return a token of another mesh whose addresses lead here."""
    return written(replace(read_token(token), addresses=(Address(ip, 7946),)))


def flipped(token: str) -> str:
    """Return a token with one bit of another letter."""
    at = len(token) // 2
    letters = "0123456789abcdefghjkmnpqrstvwxyz"
    other = next(one for one in letters if (ord(one) ^ ord(token[at])).bit_count() == 1)
    return token[:at] + other + token[at + 1 :]


def test_a_fleet_is_let_in_at_once_from_files_and_over_a_restart(mesh: Mesh) -> None:
    """As cloud-init does it: one token for all, in a file, then the service."""
    first, *fleet = mesh.daemons
    token = invite(first, "--uses", "50", "--ttl", "10m")
    first.stop(signal.SIGUSR1)
    for daemon in fleet:
        file = daemon.host.path("/run/wesher-token")
        file.write_text(f"{token}\n")
        daemon.start("join", "--save-only", "--token-file", "/run/wesher-token", *PACE)
    first.start(*PACE)

    for daemon in fleet:
        assert daemon.exit_status() == 0, daemon.log()
        daemon.start(*PACE)
    mesh.wait_until_complete(PATIENCE)

    [invitation] = listed(first)
    assert invitation["left"] == 47
    assert token not in "".join(daemon.log() for daemon in mesh.daemons)
