"""`wesher status`, `wesher members`, `wesher info NAME`: this node and the members, as they are."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wesher.base.errors import ConfigError
from wesher.cli.client import (
    NOTHING,
    choose_agent,
    duration,
    facts,
    milliseconds,
    show,
    show_json,
    size,
    table,
)
from wesher.config.options import STATE
from wesher.mesh.base.hostnames import name_problem

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
_IMPLEMENTATIONS = {"wesher": "wesher", "go": "the original wesher, in Go", None: NOTHING}


def run_status(given: Mapping[str, str]) -> int:
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


def run_members(given: Mapping[str, str]) -> int:
    """List the members; returns the exit code."""
    wanted = _state(given)
    found = [
        member
        for member in usable(choose_agent(given).ask("status"))
        if member["state"] == wanted or (wanted is None and member["state"] != "left")
    ]
    if "json" in given:
        fields = ("name", "state", "overlay_address")
        show_json([{field: member[field] for field in fields} for member in found])
    else:
        show(
            f"{member['name']} {member['overlay_address'] or NOTHING} {member['state']}"
            for member in found
        )
    return 0


def usable(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield this host and the others, in the order of their names, as far as scripts can use them.

    Left out are members that are not peers and have not left, and names that are no host names.
    """
    this = status["node"] | {"state": "alive"}
    ours = [this] if this["overlay_address"] else []
    others = [one for one in status["members"] if one["peer"] or one["state"] == "left"]
    for member in sorted([*ours, *others], key=lambda one: str(one["name"])):
        if name_problem(member["name"]) is None:
            yield member


def _state(given: Mapping[str, str]) -> str | None:
    if STATE.name not in given:
        return None
    try:
        state: str = STATE.parse(given[STATE.name])
    except ValueError as error:
        raise ConfigError(f"{STATE.flag}: {error}") from error
    return state


def run_info(given: Mapping[str, str]) -> int:
    """Show one member; returns the exit code."""
    member = choose_agent(given).ask("info", name=given["name"])
    if "json" in given:
        show_json(member)
    else:
        show(facts(_details(member)))
    return 0


def _details(member: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("name", member["name"]),
        ("state", f"{member['state']} for {duration(member['since'])}"),
        ("peer", _peer(member)),
        ("runs", _runs(member)),
        ("gossip address", member["address"]),
        ("gossip round trip", milliseconds(member["round_trip"])),
        ("incarnation", _text(member["incarnation"])),
        ("protocol versions", _text(member["protocol_versions"])),
        ("metadata format", _text(member["metadata_format"])),
        ("overlay address", f"{_text(member['overlay_address'])}{_firmness(member)}"),
        ("overlay network", _text(member["overlay_network"])),
        ("public key", _text(member["public_key"])),
        ("announced endpoint", _text(member["announced_endpoint"])),
        ("endpoint in use", _text(member["endpoint"])),
        ("allowed ips", ", ".join(member["allowed_ips"]) or NOTHING),
        ("keepalive", _keepalive(member["keepalive"])),
        ("last handshake", _handshake(member["handshake"])),
        ("received, sent", f"{size(member['received'])}, {size(member['sent'])}"),
    ]


def _peer(member: Mapping[str, Any]) -> str:
    if member["reason"] is None:
        return f"yes, but it {member['unnamed']}" if member["unnamed"] else "yes"
    verdict = "yes, but without packets" if member["peer"] else "no"
    return f"{verdict}: it {member['reason']}"


def _runs(member: Mapping[str, Any]) -> str:
    version = f" {member['version']}" if member["version"] else ""
    return _IMPLEMENTATIONS[member["implementation"]] + version


def _firmness(member: Mapping[str, Any]) -> str:
    if member["address_is_fixed"]:
        return " (fixed)"
    return " (kept from before its start)" if member["address_was_kept"] else ""


def _keepalive(seconds: int | None) -> str:
    if seconds is None:
        return NOTHING
    return f"every {seconds}s" if seconds else "off"


def _handshake(seconds: float | None) -> str:
    return "never" if seconds is None else f"{duration(seconds)} ago"


def _text(value: object) -> str:
    return NOTHING if value is None else str(value)
