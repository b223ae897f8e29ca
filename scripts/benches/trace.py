"""How far one packet travels through the code: a new member's alive, up to the new Plan.

A settled MeshNode of three hears of a fourth. Counted are the calls of Python code of ours, and how
often a call is in another file, or on the other side of the line between gossip/ and mesh/, than
the one before it: what a reader has to follow who asks what a packet does.
"""

import base64
import random
import sys
from ipaddress import ip_address, ip_interface
from itertools import pairwise
from pathlib import Path
from types import FrameType

from scripts.benches.measuring import Options, Result
from wesher.gossip import WAN, Address, Alive, Keyring, Wire, pack_ip
from wesher.gossip.codec import encode
from wesher.mesh.base.events import PlanChanged
from wesher.mesh.base.metadata import Metadata, encode_metadata
from wesher.mesh.base.plan import LocalFacts
from wesher.mesh.base.saved import Saved
from wesher.mesh.base.settings import NodeSettings
from wesher.mesh.node import MeshNode

_OURS = str(Path(__file__).parents[2] / "wesher")
_PORT = 7946
_VERSIONS = bytes([1, 5, 2, 0, 0, 0])
_HEARD_AT, _SETTLED_AT = 1.0, 4.0  # seconds, before anybody could become suspect
_PATIENCE = 1.0  # seconds until the Plan must have changed


def measure(_options: Options) -> Result:
    """Calls, files, moves from file to file, crossings between gossip/ and mesh/."""
    nonces = random.Random(1)
    wire = Wire(Keyring(bytes(32)), lambda: nonces.randbytes(12))
    node = MeshNode(_settings(), Saved(), LocalFacts(), wire, random.Random(2))
    node.start(0.0)
    for number in (2, 3):
        node.receive_packet(_alive(wire, number), _address(number), _HEARD_AT)
    _run(node, _SETTLED_AT)
    news, way = _alive(wire, 4), _Way()
    sys.setprofile(way.follow)
    try:
        node.receive_packet(news, _address(4), _SETTLED_AT)
        _run_until_planned(node)
    finally:
        sys.setprofile(None)
    plan = node.plan()
    assert plan is not None
    assert len(plan.peers) == 3, "the new member is a peer"
    return way.result()


class _Way:
    """Where control has been."""

    def __init__(self) -> None:
        self._files: list[str] = []

    def follow(self, frame: FrameType, event: str, _argument: object) -> None:
        """Take note of a call, as sys.setprofile reports it."""
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(_OURS):
            self._files.append(str(Path(file).relative_to(_OURS)))

    def result(self) -> Result:
        """Return the counts."""
        packages = [file.partition("/")[0] for file in self._files]
        return {
            "calls": len(self._files),
            "files": len(set(self._files)),
            "file_moves": _changes(self._files),
            "package_crossings": _changes([one for one in packages if one in ("gossip", "mesh")]),
        }


def _changes(items: list[str]) -> int:
    return sum(one != following for one, following in pairwise(items))


def _run(node: MeshNode, until: float) -> None:
    """Let time pass, with every timer on the way."""
    while (at := node.next_timer()) is not None and at <= until:
        node.handle_timer(at)
    for output in (node.packets_to_send(), node.streams_to_open(), node.events()):
        list(output)


def _run_until_planned(node: MeshNode) -> None:
    while not any(isinstance(event, PlanChanged) for event in node.events()):
        at = node.next_timer()
        assert at is not None, "the plan changes"
        assert at < _SETTLED_AT + _PATIENCE, "the plan changes at once"
        node.handle_timer(at)


def _settings() -> NodeSettings:
    return NodeSettings(
        name="node1",
        ip=_address(1).ip,
        port=_PORT,
        mapped=False,
        seeds=(),
        overlay_net=ip_interface("10.0.0.0/8"),
        overlay_addr=None,
        public_key=_key(1),
        wireguard_port=51820,
        metadata_format="current",
        forget_after=86400,
        timing=WAN,
    )


def _alive(wire: Wire, number: int) -> bytes:
    """Return the packet in which a member of ours says that it is alive."""
    meta = encode_metadata(
        Metadata(ip_address(f"10.9.9.{number}"), _key(number), has_ext=True, version="1"),
        "current",
    )
    addr = pack_ip(_address(number).ip)
    message = Alive(1, f"node{number}", addr, _PORT, meta, _VERSIONS)
    return wire.seal_packet([encode(message)], checksum=False)


def _address(number: int) -> Address:
    return Address(f"192.0.2.{number}", _PORT)


def _key(number: int) -> str:
    return base64.b64encode(bytes([number]) * 32).decode()
