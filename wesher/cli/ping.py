"""`wesher ping NAME`: gossip and overlay side by side, to see which of the two is broken."""

from collections.abc import Iterator, Mapping
from typing import Any

from wesher.cli.client import choose_agent, show, show_json
from wesher.cli.formatting import facts, milliseconds

PATIENCE = 30.0  # seconds: every way is tried more than once before it counts as broken

_METHODS = {"gossip": "by its gossip", "icmp": "by ICMP echo, as ping does"}


def run(given: Mapping[str, str]) -> int:
    """Reach a member in every way; returns 1 when one of them fails."""
    result = choose_agent(given).ask("ping", name=given["name"], patience=PATIENCE)
    if "json" in given:
        show_json(result)
    else:
        show([*facts(_facts(result)), *_verdict(result)])
    return 0 if all(_works(result)) else 1


def _facts(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("gossip by UDP", _answer(result["gossip_udp"], result["address"])),
        ("gossip by TCP", _by_tcp(result)),
        ("overlay", _overlay(result["overlay"])),
    ]


def _by_tcp(result: Mapping[str, Any]) -> str:
    if _is_refused(result):
        return f"refused by {result['address']}"
    return _answer(result["gossip_tcp"], result["address"])


def _is_refused(result: Mapping[str, Any]) -> bool:
    """Tell whether the host says that nothing listens there; an agent of before does not tell."""
    return result.get("refused") is True


def _answer(seconds: float | None, address: str) -> str:
    told = "no answer" if seconds is None else milliseconds(seconds)
    return f"{told} from {address}"


def _overlay(overlay: Mapping[str, Any]) -> str:
    if overlay["address"] is None:
        return f"not tried: it {overlay['reason'] or 'has no overlay address'}"
    return f"{_answer(overlay['seconds'], overlay['address'])}, {_METHODS[overlay['method']]}"


def _works(result: Mapping[str, Any]) -> tuple[bool, bool, bool]:
    ways = (result["gossip_udp"], result["gossip_tcp"], result["overlay"]["seconds"])
    udp, tcp, overlay = (seconds is not None for seconds in ways)
    return udp, tcp, overlay


def _verdict(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield what to do about what is broken."""
    udp, tcp, overlay = _works(result)
    name, port = result["name"], result["address"].rpartition(":")[2]
    if _is_refused(result) and not udp:
        yield f"nothing listens at {result['address']}: is wesher running there?"
        return
    if not (udp or tcp or overlay):
        yield f"{name} cannot be reached at all: is the host up, and is there a way to it?"
        return
    if not udp:
        yield f"gossip is broken by UDP: let UDP port {port} through, both ways"
    if not tcp:
        yield f"gossip is broken by TCP: let TCP port {port} through, both ways"
    if not overlay and result["overlay"]["address"]:
        yield "the overlay is broken: `wesher doctor` looks for the reason"
