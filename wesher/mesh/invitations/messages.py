"""What is said when a token is redeemed: one frame each way on a stream of the gossip port.

    request   f6 | version 1 | length 2 | id 5 | ephemeral 32 | sealed request, tag 16
    reply     f6 | version 1 | length 2 | 00   | ephemeral 32 | sealed answer, tag 16
              f6 | version 1 | length 2 | why no answer can be sealed

`length` counts what follows it. memberlist has no message f6: a Go member takes it for an
unencrypted stream, answers with an error and closes. The first two bytes and the id are the Noise
prologue (handshake.py), so nothing of a frame can be changed unnoticed, but for the length, which
makes another frame of it.

What is sealed is a msgpack map; unknown keys are ignored, so that more can be told later.

| request | | answer | |
|---|---|---|---|
| n | name of the new host | n | name of the inviting node |
| v | version of its wesher | t | its time |
| t | its time, seconds since 1970 | r | why not, absent when it is granted |
| d | its Ed25519 public key | d | its Ed25519 public key |
| | | k | cluster keys, the primary one first |
| | | o, i, f, p | overlay network, timing, metadata format, gossip port |
| | | m | members to contact first: name, IP, port |
"""

import struct
from collections.abc import Callable, Mapping
from enum import Enum
from ipaddress import ip_address
from typing import Any, TypeVar

import msgpack

from wesher.base.addresses import Address
from wesher.base.errors import LimitError, ProtocolError
from wesher.base.frozen import frozen
from wesher.mesh.invitations.handshake import Answering, Asking

FIRST_BYTE = 0xF6  # beside the f7 of our user messages; no type of memberlist
VERSION = 1
MAX_REQUEST = 1024  # bytes after the head
MAX_REPLY = 8192
MAX_MEMBERS = 8
MAX_KEYS = 8
MAX_TEXT = 255  # bytes
_HEAD = struct.Struct(">BBH")
_ID_SIZE = 8  # letters
_KEY_SIZE = 32
_SEALED = 0

T = TypeVar("T")


class OtherVersionError(ProtocolError):
    """A frame of another version than ours."""


class Reason(Enum):
    """Why a token is not redeemed, as the reply says it; the first four are never sealed."""

    UNKNOWN = 1
    FORGED = 2
    LIMITED = 3
    VERSION = 4
    USED = 5
    EXPIRED = 6
    WITHDRAWN = 7
    UNSAVED = 8


_PLAIN = {Reason.UNKNOWN, Reason.FORGED, Reason.LIMITED, Reason.VERSION}


@frozen
class Request:
    """What a new host says of itself; `at` is its time, in seconds since 1970.

    `identity` is its own public key: a claim that nobody else with the token has made.
    """

    name: str
    version: str
    at: int
    identity: bytes


@frozen
class Member:
    """A member to contact first."""

    name: str
    address: Address


@frozen(hidden=("keys",))
class Grant:
    """What a new host needs to be a member.

    `at` is the time of the node that invites, `identity` its own public key.
    """

    keys: tuple[bytes, ...]
    overlay_net: str
    timing: str
    metadata_format: str
    port: int
    inviter: str
    identity: bytes
    at: int
    members: tuple[Member, ...]


@frozen
class Refused:
    """A token was not redeemed; `inviter` and `at` are known if that was sealed."""

    why: Reason
    inviter: str | None = None
    at: int | None = None


def whole(head: bytes, *, reply: bool = False) -> int | None:
    """Return the size of the frame that begins with `head`; None to be asked again with more.

    Raises ProtocolError for what is no frame of ours, LimitError for one that is too long. One of
    another version is just its head.
    """
    if head and head[0] != FIRST_BYTE:
        raise ProtocolError("not of an invitation")
    if len(head) < _HEAD.size:
        return None
    _, version, length = _HEAD.unpack_from(head)
    if version != VERSION:
        return _HEAD.size
    if length > (MAX_REPLY if reply else MAX_REQUEST):
        raise LimitError(f"a frame of {length} bytes")
    return _HEAD.size + int(length)


def sealed_request(invitation: str, asking: Asking, request: Request) -> bytes:
    """Return the frame that redeems an invitation; `asking` was made with its `prologue`."""
    told = {"n": request.name, "v": request.version, "t": request.at, "d": request.identity}
    return _frame(invitation.encode() + asking.ask(msgpack.packb(told)))


def prologue(invitation: str) -> bytes:
    """Return what both sides must agree in, and is not sealed."""
    return bytes([FIRST_BYTE, VERSION]) + invitation.encode()


def read_request(frame: bytes) -> tuple[str, bytes]:
    """Return the id of an invitation, and the message that is to prove its key.

    Raises OtherVersionError for another version, ProtocolError for no frame.
    """
    body = _body(frame)
    if len(body) < _ID_SIZE:
        raise ProtocolError("too short")
    return body[:_ID_SIZE].decode("ascii", "replace"), body[_ID_SIZE:]


def open_request(answering: Answering, message: bytes) -> Request:
    """Return what a new host says that has the token; raises ProtocolError."""
    told = _Fields(answering.open(message))
    return Request(told.text("n"), told.text("v"), told.number("t"), told.key("d"))


def sealed_reply(answering: Answering, outcome: Grant | Refused, ephemeral: bytes) -> bytes:
    """Return the frame that answers a request that has been opened; raises ProtocolError."""
    told = _granted(outcome) if isinstance(outcome, Grant) else _told(outcome)
    return _frame(bytes([_SEALED]) + answering.answer(msgpack.packb(told), ephemeral))


def refused_plainly(why: Reason) -> bytes:
    """Return the frame that answers what cannot be answered under seal."""
    assert why in _PLAIN, "what can be sealed is"
    return _frame(bytes([why.value]))


def read_reply(asking: Asking, frame: bytes) -> Grant | Refused:
    """Return what was answered; raises ProtocolError for what no inviting agent has sent."""
    body = _body(frame)
    if not body:
        raise ProtocolError("an empty answer")
    if body[0] != _SEALED:
        return _plain(body)
    told = _Fields(asking.open(body[1:]))
    if "r" in told.fields:
        why = _refusal(told.number("r"))
        return Refused(why, told.text("n"), told.number("t"))
    return Grant(
        told.listed("k", _key, MAX_KEYS),
        told.text("o"),
        told.text("i"),
        told.text("f"),
        told.number("p"),
        told.text("n"),
        told.key("d"),
        told.number("t"),
        told.listed("m", _member, MAX_MEMBERS),
    )


def _plain(body: bytes) -> Refused:
    why = _refusal(body[0])
    if why not in _PLAIN or len(body) > 1:
        raise ProtocolError("a refusal that is not sealed")
    return Refused(why)


def _refusal(number: int) -> Reason:
    try:
        return Reason(number)
    except ValueError:
        raise ProtocolError(f"a refusal of kind {number}") from None


def _granted(grant: Grant) -> dict[str, object]:
    members = [[one.name, one.address.ip, one.address.port] for one in grant.members]
    return {
        "k": list(grant.keys),
        "o": grant.overlay_net,
        "i": grant.timing,
        "f": grant.metadata_format,
        "p": grant.port,
        "n": grant.inviter,
        "d": grant.identity,
        "t": grant.at,
        "m": members[:MAX_MEMBERS],
    }


def _told(refused: Refused) -> dict[str, object]:
    return {"r": refused.why.value, "n": refused.inviter or "", "t": refused.at or 0}


def _frame(body: bytes) -> bytes:
    return _HEAD.pack(FIRST_BYTE, VERSION, len(body)) + body


def _body(frame: bytes) -> bytes:
    size = whole(frame, reply=True)
    if size is None or len(frame) < size:
        raise ProtocolError("ended early")
    if frame[1] != VERSION:
        raise OtherVersionError(f"version {frame[1]} of invitations")
    return frame[_HEAD.size : size]


class _Fields:
    """A msgpack map whose values are of the types they should be; ProtocolError otherwise."""

    def __init__(self, packed: bytes) -> None:
        try:
            fields = msgpack.unpackb(packed, raw=False, strict_map_key=True)
        except (ValueError, TypeError, RecursionError) as error:
            raise ProtocolError(f"not msgpack: {error}") from error
        if not isinstance(fields, dict):
            raise ProtocolError("not a map")
        self.fields: Mapping[str, Any] = fields

    def text(self, name: str) -> str:
        value = self.fields.get(name)
        if not isinstance(value, str) or len(value.encode()) > MAX_TEXT:
            raise ProtocolError(f"{name} is no text")
        return value

    def number(self, name: str) -> int:
        value = self.fields.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ProtocolError(f"{name} is no number")
        return value

    def key(self, name: str) -> bytes:
        return _key(self.fields.get(name))

    def listed(self, name: str, read: Callable[[Any], T], most: int) -> tuple[T, ...]:
        value = self.fields.get(name)
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            raise ProtocolError(f"{name} is no list of 1 to {most}")
        return tuple(map(read, value))


def _key(value: Any) -> bytes:
    if not isinstance(value, bytes) or len(value) != _KEY_SIZE:
        raise ProtocolError("no key of 32 bytes")
    return value


def _member(value: Any) -> Member:
    match value:
        case [str(name), str(ip), int(port)] if 0 < port < 65536 and len(name) <= MAX_TEXT:
            try:
                return Member(name, Address(str(ip_address(ip)), port))
            except ValueError:
                pass
    raise ProtocolError("no member")
