"""`wesher members`: names and overlay addresses, for scripts."""

from collections.abc import Mapping

from wesher.cli.client import choose_agent, show, show_json
from wesher.cli.text import NOTHING
from wesher.errors import ConfigError
from wesher.options import STATE


def run(given: Mapping[str, str]) -> int:
    """List the members; returns the exit code."""
    wanted = _state(given)
    found = [
        member
        for member in choose_agent(given).ask("status")["members"]
        if member["state"] == wanted or (wanted is None and member["state"] != "left")
    ]
    if "json" in given:
        fields = ("name", "state", "overlay_address")
        show_json([{field: member[field] for field in fields} for member in found])
    else:
        show(f"{member['name']} {member['overlay_address'] or NOTHING}" for member in found)
    return 0


def _state(given: Mapping[str, str]) -> str | None:
    if STATE.name not in given:
        return None
    try:
        state: str = STATE.parse(given[STATE.name])
    except ValueError as error:
        raise ConfigError(f"{STATE.flag}: {error}") from error
    return state
