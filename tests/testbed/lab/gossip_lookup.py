"""Ask a running agent what gossip knows, as any node does before it announces itself."""

import os
import socket

from tests.testbed.lab.netns import Host, LabError
from wesher.base.errors import ProtocolError
from wesher.gossip import Keyring, PushPull, Record, RecordState, Wire
from wesher.gossip.codec import encode

CLUSTER_PORT = 7946


def wire_of(key: bytes) -> Wire:
    """The wire of a cluster with this key."""
    return Wire(Keyring(key), lambda: os.urandom(12))


def look(source: Host, target: Host, key: bytes) -> dict[str, Record]:
    """Return the table of the agent on `target` by name; an empty one while it does not answer."""
    wire = wire_of(key)
    question = wire.seal_frame(encode(PushPull(join=False, records=())))
    try:
        with source.socket(socket.SOCK_STREAM) as stream:
            stream.settimeout(3)
            stream.connect((target.address, CLUSTER_PORT))
            stream.sendall(question)
            answer = wire.open_frame(_read_all(stream), reply=True)
    except (OSError, ProtocolError):
        return {}
    if not isinstance(answer, PushPull):
        raise LabError(f"{target.name} answered {answer}")
    return {record.name: record for record in answer.records}


def alive(table: dict[str, Record]) -> set[str]:
    """The names of the members that are alive."""
    return {name for name, record in table.items() if record.state == RecordState.ALIVE}


def _read_all(stream: socket.socket) -> bytes:
    answer = b""
    while part := stream.recv(65536):
        answer += part
    return answer
