"""Somebody with the cluster key who invents members: nobody is where they claim to be."""

import base64
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address

from tests.testbed.lab.gossip_lookup import CLUSTER_PORT, wire_of
from tests.testbed.lab.netns import Host
from wesher.gossip import PushPull, Record, RecordState
from wesher.gossip.codec import encode
from wesher.mesh.base.metadata import Metadata, encode_metadata

_VERSIONS = bytes([1, 5, 5, 0, 0, 0])
_FIRST_UNDERLAY = int(IPv4Address("198.18.0.1"))  # RFC 2544: nobody has it
_FIRST_OVERLAY = int(IPv4Address("10.128.0.1"))


def record_of(name: str, number: int, underlay: IPv4Address) -> Record:
    """Return what a member of ours would say of itself, with an overlay address by its number."""
    metadata = Metadata(
        overlay_addr=IPv4Address(_FIRST_OVERLAY + number),
        public_key=base64.b64encode(os.urandom(32)).decode(),
        wireguard_port=51820,
        overlay_net="10.0.0.0/8",
        has_ext=True,
    )
    encoded = encode_metadata(metadata, "current")
    return Record(name, underlay.packed, CLUSTER_PORT, encoded, 1, RecordState.ALIVE, _VERSIONS)


def invent(first: int, count: int) -> Iterator[Record]:
    """Yield so many members that look like any other."""
    for number in range(first, first + count):
        yield record_of(f"invented{number}", number, IPv4Address(_FIRST_UNDERLAY + number))


def attack(source: Host, target: Host, key: bytes, members: int, streams: int = 4) -> None:
    """Tell the agent on `target` of so many invented members, in several tables."""
    wire = wire_of(key)
    share = members // streams
    for part in range(streams):
        table = encode(PushPull(join=True, records=tuple(invent(part * share, share))))
        with source.socket(socket.SOCK_STREAM) as stream, suppress(OSError):
            stream.settimeout(30)
            stream.connect((target.address, CLUSTER_PORT))
            stream.sendall(wire.seal_frame(table))
            while stream.recv(65536):
                pass
