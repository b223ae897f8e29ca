"""`wesher status`, `wesher members`, `wesher info NAME`: this node and the members, as they are."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any

from wesher.base.errors import ConfigError, printable
from wesher.cli.client import (
    NOTHING,
    choose_agent,
    duration,
    facts,
    milliseconds,
    show,
    show_json,
    size,
)
from wesher.cli.members import Rates, in_vain, is_reached, members_table, notes, totals
from wesher.config.options import STATE
from wesher.mesh.base.hostnames import name_problem, natural
from wesher.system.terminal import ANYWHERE, Line, Screen, screen_of, wrapped

_ADVICE = "run `wesher doctor`"
_IMPLEMENTATIONS = {"wesher": "wesher", "go": "the original wesher, in Go", None: NOTHING}


def run_status(given: Mapping[str, str]) -> int:
    """Show the status; returns the exit code."""
    wanted = _state(given)
    if "watch" in given:
        # Nobody else needs what drives a terminal.
        watch = import_module("wesher.cli.watch").watch
        return int(watch(given, partial(render, wanted=wanted, left="all" in given)))
    status = choose_agent(given).ask("status")
    if "json" in given:
        chosen = [one for one in status["members"] if wanted in (None, one["state"])]
        show_json(status | {"members": chosen})
    else:
        show(render(status, screen_of(sys.stdout), wanted=wanted, left="all" in given))
    return 0


def render(
    status: Mapping[str, Any],
    screen: Screen = ANYWHERE,
    *,
    wanted: str | None = None,
    left: bool = False,
    rates: Rates | None = None,
) -> Iterator[Line]:
    """Yield what a person reads: totals and this node, then members, those in trouble first.

    Shown are those in the state `wanted`, else all, with those that have `left` only if told so.
    """
    yield from facts(_facts(status), screen)
    yield ""
    shown = [
        one
        for one in status["members"]
        if one["state"] == wanted or (wanted is None and (left or one["state"] != "left"))
    ]
    if not shown:
        yield f"no member is {wanted}" if wanted else "no other members"
        return
    yield from members_table(shown, screen, rates)
    for line in notes(shown):
        yield from wrapped(printable(line), screen.columns, 2)


def _facts(status: Mapping[str, Any]) -> list[tuple[str, str]]:
    node = status["node"]
    return [
        ("members", totals(status["members"])),
        ("node", f"{node['name']} at {node['address']}, wesher {node['version']}"),
        ("up for", f"{duration(node['uptime'])} (pid {node['pid']}){_unfinished(node)}"),
        ("overlay", f"{node['overlay_address'] or 'no address yet'} in {node['overlay_network']}"),
        ("interface", f"{node['interface']}, {node['device']} WireGuard, {_port(node)}"),
        _keys(node, status["members"]),
        *_tunnels(node, status["members"]),
        *(("identity", f"fingerprint {one}") for one in [node.get("identity")] if one),
        ("mesh", _verdict(node, status["members"])),
        *(("seed", f"{seed['seed']} {_fares(seed)}") for seed in status["seeds"]),
        *(("network", one) for one in _networks(status)),
        *(("trouble", trouble) for trouble in status["troubles"]),
    ]


def _keys(node: Mapping[str, Any], members: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Tell the fingerprints of the keys; of several also how many members speak with each."""
    first, *others = node.get("key_fingerprints", [node["key_fingerprint"]])
    if not others:
        return "cluster key", f"fingerprint {first}"
    spoken = Counter(member.get("key_fingerprint") for member in members)
    told = [f"{one} (spoken by {spoken[one]})" for one in others]
    return "cluster keys", f"{first} (primary, spoken by {spoken[first]}), {', '.join(told)}"


def _tunnels(
    node: Mapping[str, Any], members: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Tell how many tunnels have a preshared key, if there are any, and the agent says so."""
    found = [one["preshared_key"] for one in members if one.get("preshared_key") is not None]
    if not found:
        return
    off = "" if node.get("preshared_keys", True) else ", --psk is off"
    if all(found):
        which = "all with" if len(found) > 1 else "with"
    else:
        which = f"{sum(found) or 'none'} of them with" if len(found) > 1 else "without"
    yield "tunnels", f"{len(found)}, {which} a preshared key{off}"


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
    reached = sum(map(is_reached, wanted))
    if reached < len(wanted):
        return f"{reached} of {len(wanted)} members reached; {_ADVICE}"
    return "the other member is reached" if reached == 1 else f"all {reached} members reached"


def _networks(status: Mapping[str, Any]) -> Iterator[str]:
    """Yield the networks behind this host and others, and why one is not reached there."""
    hosts = [("this host", status["node"]), *((one["name"], one) for one in status["members"])]
    for name, host in hosts:
        for one in host.get("networks", ()):
            yield f"{one['network']} behind {name}{_refusal(one)}"


def _refusal(network: Mapping[str, Any]) -> str:
    return "" if network["taken"] else f", not taken: it {network['reason']}"


def _fares(seed: Mapping[str, Any]) -> str:
    answered = seed["answered"]
    told = "has not answered yet" if answered is None else f"answered {duration(answered)} ago"
    return f"{told} ({seed['trouble']})" if seed["trouble"] else told


def run_members(given: Mapping[str, str]) -> int:
    """List the members; returns the exit code."""
    wanted = _state(given)
    found = [
        member
        for member in usable(choose_agent(given).ask("status"))
        if member["state"] == wanted or (wanted is None and member["state"] != "left")
    ]
    if "json" in given:
        fields = ("name", "state", "overlay_address", "identity")
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
    for member in sorted([*ours, *others], key=lambda one: natural(str(one["name"]))):
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
        show(facts(_details(member), screen_of(sys.stdout)))
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
        ("protocol versions", _versions(member["protocol_versions"])),
        ("metadata format", _text(member["metadata_format"])),
        ("overlay address", f"{_text(member['overlay_address'])}{_firmness(member)}"),
        ("overlay network", _text(member["overlay_network"])),
        ("public key", _text(member["public_key"])),
        ("cluster key", _spoken(member.get("key_fingerprint"))),
        ("identity", _identity(member.get("identity"))),
        *(("claims", f"its name {in_vain(one)}") for one in [member.get("denied")] if one),
        ("announced endpoint", _text(member["announced_endpoint"])),
        ("endpoint in use", _text(member["endpoint"])),
        ("allowed ips", ", ".join(member["allowed_ips"]) or NOTHING),
        *(("network behind it", _behind(one)) for one in member.get("networks", ())),
        ("keepalive", _keepalive(member["keepalive"])),
        ("preshared key", _preshared(member)),
        ("last handshake", _handshake(member["handshake"])),
        ("received, sent", _traffic(member["received"], member["sent"])),
    ]


def _behind(network: Mapping[str, Any]) -> str:
    priority = f" (priority {network['priority']})" if network["priority"] else ""
    return f"{network['network']}{priority}{_refusal(network)}"


def _versions(versions: Sequence[int] | None) -> str:
    if versions is None:
        return NOTHING
    least, greatest, spoken = versions
    return f"{spoken} (understands {least} to {greatest})"


def _traffic(received: int | None, sent: int | None) -> str:
    return NOTHING if received is sent is None else f"{size(received)}, {size(sent)}"


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


def _spoken(key: str | None) -> str:
    return f"fingerprint {key}" if key else NOTHING


def _identity(fingerprint: str | None) -> str:
    return f"fingerprint {fingerprint}" if fingerprint else "none: it cannot prove who it is"


def _preshared(member: Mapping[str, Any]) -> str:
    has = member.get("preshared_key")
    if has is None:
        return NOTHING
    reason = member.get("without_preshared_key")
    return "yes" if has else f"no: {reason}" if reason else "no"


def _keepalive(seconds: int | None) -> str:
    if seconds is None:
        return NOTHING
    return f"every {seconds}s" if seconds else "off"


def _handshake(seconds: float | None) -> str:
    return "never" if seconds is None else f"{duration(seconds)} ago"


def _text(value: object) -> str:
    return NOTHING if value is None else str(value)
