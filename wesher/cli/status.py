"""`wesher status`: this node and all members at a glance."""

from collections.abc import Iterator, Mapping
from typing import Any

from wesher.cli.client import choose_agent, show, show_json
from wesher.cli.text import NOTHING, duration, facts, milliseconds, size, table

HEADS = (
    "NAME",
    "STATE",
    ">FOR",
    "ADDRESS",
    "ENDPOINT",
    ">HANDSHAKE",
    ">RECEIVED",
    ">SENT",
    ">ROUND TRIP",
)


def run(given: Mapping[str, str]) -> int:
    """Show the status; returns the exit code."""
    status = choose_agent(given).ask("status")
    if "json" in given:
        show_json(status)
    else:
        show(render(status))
    return 0


def render(status: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a person reads."""
    yield from facts(_facts(status))
    yield ""
    members = status["members"]
    if not members:
        yield "no other members"
        return
    yield from table(HEADS, [_row(member) for member in members])
    for member in members:
        if member["reason"] and member["state"] != "left":
            yield f"{member['name']} {member['reason']}"


def _facts(status: Mapping[str, Any]) -> list[tuple[str, str]]:
    node = status["node"]
    return [
        ("node", f"{node['name']} at {node['address']}, wesher {node['version']}"),
        ("up for", f"{duration(node['uptime'])} (pid {node['pid']}){_unfinished(node)}"),
        ("overlay", f"{node['overlay_address'] or 'no address yet'} in {node['overlay_network']}"),
        ("interface", f"{node['interface']}, {node['device']} WireGuard, {_port(node)}"),
        ("cluster key", f"fingerprint {node['key_fingerprint']}"),
        ("health", _health(node["health_score"])),
        *(("seed", f"{seed['seed']} {_fares(seed)}") for seed in status["seeds"]),
        *(("trouble", trouble) for trouble in status["troubles"]),
    ]


def _unfinished(node: Mapping[str, Any]) -> str:
    return "" if node["complete"] else ", nobody has answered yet"


def _port(node: Mapping[str, Any]) -> str:
    unknown = "" if node["wireguard_answers"] else " (`wg show` gives no answer)"
    return f"UDP port {node['wireguard_port']}{unknown}"


def _health(score: int) -> str:
    return "good" if score == 0 else f"score {score}: our own probes get lost or come late"


def _fares(seed: Mapping[str, Any]) -> str:
    answered = seed["answered"]
    told = "has not answered yet" if answered is None else f"answered {duration(answered)} ago"
    return f"{told} ({seed['trouble']})" if seed["trouble"] else told


def _row(member: Mapping[str, Any]) -> list[str]:
    endpoint = member["endpoint"] or member["announced_endpoint"]
    handshake = member["handshake"]
    return [
        member["name"],
        member["state"],
        duration(member["since"]),
        member["overlay_address"] or NOTHING,
        endpoint or NOTHING,
        NOTHING if handshake is None else f"{duration(handshake)} ago",
        size(member["received"]),
        size(member["sent"]),
        milliseconds(member["round_trip"]),
    ]
