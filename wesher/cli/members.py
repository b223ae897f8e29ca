"""`wesher members`: names, overlay addresses and states, for scripts."""

from collections.abc import Iterator, Mapping
from typing import Any

from wesher.base.errors import ConfigError
from wesher.cli.client import choose_agent, show, show_json
from wesher.cli.formatting import NOTHING
from wesher.config.options import STATE
from wesher.mesh.base.hostnames import name_problem


def run(given: Mapping[str, str]) -> int:
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
