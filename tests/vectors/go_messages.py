"""Turns the fields of the recorded vectors into our messages."""

from collections.abc import Callable
from typing import Any

from wesher.gossip.messages import (
    Ack,
    Alive,
    Dead,
    ErrorReply,
    IndirectPing,
    Message,
    Nack,
    Ping,
    PushPull,
    Record,
    Suspect,
    UserMessage,
)

_ALIVE = (Alive, ("Incarnation", "Node", "Addr", "Port", "Meta", "Vsn"))
_ACCUSATION = ("Incarnation", "Node", "From")
_SOURCE = ("SourceAddr", "SourcePort", "SourceNode")
_RECORD = ("Name", "Addr", "Port", "Meta", "Incarnation", "State", "Vsn")
_BY_NAME: dict[str, tuple[Callable[..., Message], tuple[str, ...]]] = {
    "ping": (Ping, ("SeqNo", "Node", *_SOURCE)),
    "indirectPing": (IndirectPing, ("SeqNo", "Target", "Port", "Node", "Nack", *_SOURCE)),
    "ackResp": (Ack, ("SeqNo", "Payload")),
    "suspect": (Suspect, _ACCUSATION),
    "alive": _ALIVE,
    "dead": (Dead, _ACCUSATION),
    "nackResp": (Nack, ("SeqNo",)),
    "err": (ErrorReply, ("Error",)),
}
_NAMES = {0: "ping", 1: "indirectPing", 2: "ackResp", 3: "suspect", 4: "alive", 5: "dead"} | {
    11: "nackResp",
    13: "err",
}
_SOURCE_DEFAULTS = {"SourceAddr": b"", "SourcePort": 0, "SourceNode": ""}


def message_of(kind: str | int, fields: dict[str, Any]) -> Message:
    """Return the message that a vector of this kind (name or type number) describes."""
    if kind == 8:
        return UserMessage(bytes.fromhex(fields["raw"]))
    make, names = _BY_NAME[_NAMES[kind] if isinstance(kind, int) else kind]
    values = _SOURCE_DEFAULTS | {name: _value(value) for name, value in fields.items()}
    return make(*(values[name] for name in names))


def push_pull_of(
    header: dict[str, Any], states: list[dict[str, Any]], user_state: bytes
) -> PushPull:
    """Return the push/pull that a vector describes; byte fields may be bare hex."""
    records = []
    for state in states:
        values = {name: _value(value) for name, value in state.items()}
        for name in ("Addr", "Meta", "Vsn"):
            if isinstance(values[name], str):
                values[name] = bytes.fromhex(values[name])
        records.append(Record(*(values[name] for name in _RECORD)))
    assert header["Nodes"] == len(records)
    assert header["UserStateLen"] == len(user_state)
    return PushPull(header["Join"], tuple(records), user_state)


def _value(value: Any) -> Any:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value
