"""`wesher info NAME`: everything known of one member."""

from collections.abc import Mapping
from typing import Any

from wesher.cli.client import choose_agent, show, show_json
from wesher.cli.formatting import NOTHING, duration, facts, milliseconds, size

_IMPLEMENTATIONS = {"wesher": "wesher", "go": "the original wesher, in Go", None: NOTHING}


def run(given: Mapping[str, str]) -> int:
    """Show one member; returns the exit code."""
    member = choose_agent(given).ask("info", name=given["name"])
    if "json" in given:
        show_json(member)
    else:
        show(facts(_facts(member)))
    return 0


def _facts(member: Mapping[str, Any]) -> list[tuple[str, str]]:
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
