"""`wesher status`: this node and all members at a glance."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wesher.cli.client import choose_agent, show, show_json
from wesher.cli.formatting import NOTHING, duration, facts, milliseconds, size, table

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
_ADVICE = "run `wesher doctor`"


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
        if member["unnamed"]:
            yield f"{member['name']} {member['unnamed']}"


def _facts(status: Mapping[str, Any]) -> list[tuple[str, str]]:
    node = status["node"]
    return [
        ("node", f"{node['name']} at {node['address']}, wesher {node['version']}"),
        ("up for", f"{duration(node['uptime'])} (pid {node['pid']}){_unfinished(node)}"),
        ("overlay", f"{node['overlay_address'] or 'no address yet'} in {node['overlay_network']}"),
        ("interface", f"{node['interface']}, {node['device']} WireGuard, {_port(node)}"),
        ("cluster key", f"fingerprint {node['key_fingerprint']}"),
        ("mesh", _verdict(node, status["members"])),
        *(("seed", f"{seed['seed']} {_fares(seed)}") for seed in status["seeds"]),
        *(("trouble", trouble) for trouble in status["troubles"]),
    ]


def _unfinished(node: Mapping[str, Any]) -> str:
    return "" if node["complete"] else ", nobody has answered yet"


def _port(node: Mapping[str, Any]) -> str:
    unknown = "" if node["wireguard_answers"] else " (`wg show` gives no answer)"
    return f"UDP port {node['wireguard_port']}{unknown}"


def _verdict(node: Mapping[str, Any], members: Sequence[Mapping[str, Any]]) -> str:
    """Say how much of the mesh this node reaches."""
    wanted = [one for one in members if one["state"] != "left"]
    if not wanted:
        return "no other members" if node["complete"] else f"no member reached yet; {_ADVICE}"
    if not node["wireguard_answers"]:
        return f"unknown, `wg show` gives no answer; {_ADVICE}"
    reached = sum(map(_is_reached, wanted))
    if reached < len(wanted):
        return f"{reached} of {len(wanted)} members reached; {_ADVICE}"
    return "the other member is reached" if reached == 1 else f"all {reached} members reached"


def _is_reached(member: Mapping[str, Any]) -> bool:
    """Tell whether gossip hears of a member, and WireGuard has shaken hands with it.

    How long ago does not matter: without traffic a tunnel that works shakes hands with nobody.
    """
    there = member["state"] in {"alive", "suspect"} and member["peer"] and not member["reason"]
    return there and member["handshake"] is not None


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
