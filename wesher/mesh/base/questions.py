"""Questions that members' agents ask each other, and their answers, as bytes (decision 27).

A question goes to the gossip port in a stream of its own, encrypted as any other, and the answer
comes back with the key of the question. In place of a message there is a byte that memberlist has
no type for, the version of what follows, and a msgpack map. Only members whose metadata says so
are asked (`m`), so a Go member never sees one.

| of a question | what |
|---|---|
| ask | list of topics |

| of an answer | what |
|---|---|
| name, version | who answers, and the version of its wesher |
| tunnels | its tunnels, one list each, in the order of the fields of `Tunnel` |
| wireguard | whether `wg show` told it anything |
| events | what happened to members in the last hour: seconds ago, word, member, and a text |
| settings | what it runs with: names to text; no secrets |
| doctor | what `wesher doctor --json` prints there |
| busy | topics that it will not tell just now: it has been asked too much |

A topic that somebody does not know is not in its answer, nor is any that it leaves out. Whoever
has the cluster key can answer anything: all is bounded and checked here before anybody looks at it.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar

import msgpack

from wesher.base.errors import LimitError, ProtocolError
from wesher.base.frozen import EMPTY, frozen

FIRST_BYTE = 0x77
"""`w`: memberlist counts its types up from 0, and has one at 244."""
_VERSION = 1
MAX_QUESTION = 256  # bytes
MAX_ANSWER = 2 << 20  # bytes
MAX_TUNNELS = 4096  # of one answer
MAX_EVENTS = 512
MAX_SETTINGS = 64
MAX_DOCTOR = 512 << 10  # bytes of JSON
MAX_NAME = 255  # bytes, as a member's
MAX_TEXT = 1024  # characters
EVENTS_FOR = 3600.0  # seconds
_FOREVER = 1e12  # more seconds than anything has lasted, fewer than arithmetic minds

T = TypeVar("T")


class Topic(Enum):
    """What can be asked for."""

    TUNNELS = "tunnels"
    EVENTS = "events"
    SETTINGS = "settings"
    DOCTOR = "doctor"


class Reach(Enum):
    """What a member can say of its tunnel to another; silent is only what was tried just now."""

    ANSWERED = "answered"
    """Something came back through the tunnel just now."""
    SESSION = "session"
    """Not tried just now, but WireGuard has shaken hands in the last three minutes."""
    SILENT = "silent"
    UNTRIED = "untried"
    NOT_A_PEER = "not a peer"


@frozen
class Tunnel:
    """A tunnel as the member on one end of it knows it; seconds, and bytes since it was made.

    `heard` says that packets of the other end arrived while it was tried, answers or not; `state`
    is what gossip holds the other end for.
    """

    peer: str
    reach: Reach
    state: str = ""
    handshake: float | None = None
    round_trip: float | None = None
    received: int = 0
    sent: int = 0
    endpoint: str | None = None
    heard: bool = False


@frozen
class PastEvent:
    """Something that happened to a member, so many seconds before it was told."""

    ago: float
    what: str
    member: str
    text: str = ""


@frozen
class MemberAnswer:
    """What a member's agent has told; None of what it did not."""

    name: str
    version: str
    tunnels: Sequence[Tunnel] | None = None
    wireguard: bool = True
    events: Sequence[PastEvent] | None = None
    settings: Mapping[str, str] | None = None
    doctor: Mapping[str, Any] | None = None
    busy: frozenset[str] = frozenset()


def encode_question(topics: Iterable[Topic]) -> bytes:
    """Return the bytes of a question for these topics."""
    return _encode({"ask": [topic.value for topic in topics]})


def is_question(body: bytes) -> bool:
    """Tell whether what a stream brought is a question, or should be one."""
    return body[:1] == bytes([FIRST_BYTE])


def decode_question(body: bytes) -> frozenset[Topic]:
    """Return the topics that are asked for, as far as we know them; raises ProtocolError."""
    asked = _decode(body, MAX_QUESTION).get("ask")
    if not isinstance(asked, list):
        raise ProtocolError("a question without topics")
    known = {topic.value: topic for topic in Topic}
    return frozenset(known[one] for one in asked if isinstance(one, str) and one in known)


def encode_answer(answer: MemberAnswer) -> bytes:
    """Return the bytes of an answer, which tells no more than may be told."""
    return _encode(answer_as_map(answer))


def answer_as_map(answer: MemberAnswer) -> dict[str, Any]:
    """Return an answer as the map that is sent, which JSON can hold as well."""
    told: dict[str, Any] = {"name": answer.name, "version": answer.version}
    if answer.tunnels is not None:
        told["wireguard"] = answer.wireguard
        told["tunnels"] = [_tunnel_as_list(one) for one in answer.tunnels[:MAX_TUNNELS]]
    if answer.events is not None:
        told["events"] = [
            [round(one.ago, 3), one.what, one.member, one.text[:MAX_TEXT]]
            for one in answer.events[-MAX_EVENTS:]
        ]
    if answer.settings is not None:
        told["settings"] = {name: text[:MAX_TEXT] for name, text in answer.settings.items()}
    if answer.doctor is not None:
        told["doctor"] = json.dumps(answer.doctor)
    if answer.busy:
        told["busy"] = sorted(answer.busy)
    return told


def decode_answer(body: bytes) -> MemberAnswer:
    """Read an answer; raises ProtocolError and nothing else, LimitError for what is too much."""
    return answer_of_map(_decode(body, MAX_ANSWER))


def answer_of_map(told: Mapping[str, Any]) -> MemberAnswer:
    """Read what `answer_as_map` returned; raises ProtocolError and nothing else."""
    return MemberAnswer(
        name=_text(told.get("name"), MAX_NAME),
        version=_text(told.get("version"), MAX_NAME),
        tunnels=_listed(told, "tunnels", MAX_TUNNELS, _tunnel),
        wireguard=told.get("wireguard") is not False,
        events=_listed(told, "events", MAX_EVENTS, _event),
        settings=_settings(told.get("settings")),
        doctor=_doctor(told.get("doctor")),
        busy=frozenset(_text(one, MAX_NAME) for one in _list(told.get("busy", []), len(Topic))),
    )


def _encode(told: Mapping[str, Any]) -> bytes:
    packed: bytes = msgpack.packb(told)
    return bytes([FIRST_BYTE, _VERSION]) + packed


def _decode(body: bytes, limit: int) -> dict[str, Any]:
    if len(body) > limit:
        raise LimitError(f"{len(body)} bytes of a question or an answer")
    if not is_question(body):
        raise ProtocolError("neither a question nor an answer")
    if body[1:2] != bytes([_VERSION]):
        raise ProtocolError("a question or an answer of another version")
    try:
        told = msgpack.unpackb(body[2:])
    except (ValueError, TypeError, RecursionError) as error:
        raise ProtocolError(f"not msgpack: {error}") from error
    if not isinstance(told, dict):
        raise ProtocolError("not a map")
    return told


def _listed(
    told: Mapping[str, Any], key: str, limit: int, read: Callable[[object], T]
) -> list[T] | None:
    return [read(one) for one in _list(told[key], limit)] if key in told else None


def _list(value: object, limit: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > limit:
        raise ProtocolError("an answer with a list that is none, or too long")
    return value


def _tunnel_as_list(tunnel: Tunnel) -> list[Any]:
    return [
        tunnel.peer,
        tunnel.reach.value,
        tunnel.state,
        _rounded(tunnel.handshake, 1),
        _rounded(tunnel.round_trip, 6),
        tunnel.received,
        tunnel.sent,
        tunnel.endpoint,
        tunnel.heard,
    ]


_REACHES = {reach.value: reach for reach in Reach}
_TUNNEL_FIELDS = 9


def _tunnel(fields: object) -> Tunnel:
    if not isinstance(fields, list) or len(fields) < _TUNNEL_FIELDS:
        raise ProtocolError("an answer with a malformed tunnel")
    peer, reach, state, handshake, took, received, sent, endpoint, heard = fields[:_TUNNEL_FIELDS]
    return Tunnel(
        _text(peer, MAX_NAME),
        _REACHES.get(_text(reach, MAX_NAME), Reach.UNTRIED),
        _text(state, MAX_NAME),
        None if handshake is None else _seconds(handshake),
        None if took is None else _seconds(took),
        _count(received),
        _count(sent),
        None if endpoint is None else _text(endpoint, MAX_NAME),
        heard is True,
    )


def _event(fields: object) -> PastEvent:
    if not isinstance(fields, list) or len(fields) < 4:
        raise ProtocolError("an answer with a malformed event")
    ago, what, member, text = fields[:4]
    return PastEvent(
        _seconds(ago), _text(what, MAX_NAME), _text(member, MAX_NAME), _text(text, MAX_TEXT)
    )


def _settings(value: object) -> Mapping[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or len(value) > MAX_SETTINGS:
        raise ProtocolError("an answer with malformed settings")
    return {_text(name, MAX_NAME): _text(text, MAX_TEXT) for name, text in value.items()} or EMPTY


def _doctor(value: object) -> Mapping[str, Any] | None:
    """Return what the doctor printed, whose findings are looked at by `read_findings`."""
    if value is None:
        return None
    try:
        told = json.loads(_text(value, MAX_DOCTOR))
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"an answer whose doctor printed no JSON: {error}") from error
    if not isinstance(told, dict):
        raise ProtocolError("an answer whose doctor printed no object")
    return told


def _text(value: object, limit: int) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise ProtocolError("an answer with a text that is none, or too long")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _FOREVER:
        return float(value)
    raise ProtocolError("an answer with a time that is none")


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ProtocolError("an answer with a number that is none")
    return value


def _rounded(seconds: float | None, digits: int) -> float | None:
    return None if seconds is None else round(seconds, digits)
