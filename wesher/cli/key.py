"""`wesher key`: show the cluster key, list all, or change it on the whole mesh."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from wesher.base.errors import ConfigError, StartError
from wesher.cli.client import choose_agent, duration, facts, show, show_json
from wesher.cli.columns import Column, table
from wesher.config.options import GRACE, KEY_WORDS
from wesher.system.terminal import Line, screen_of

SHOWN = 8  # names of members in one line

_COLUMNS = (Column("KEY"), Column("HERE"), Column("MEMBERS", right=True), Column("WHICH", rank=1))
_STEPS = {
    "install": "being installed on all members",
    "use": "used; the old ones still open what others send",
    "retire": "used by all; the old ones are being retired",
    "over": "the only one",
}


def run(given: Mapping[str, str]) -> int:
    """Do what was asked with the keys; returns the exit code."""
    match given.get(KEY_WORDS.name, "show"):
        case "show":
            return _show_keys(given)
        case "list":
            return _tell(given, choose_agent(given).ask("keys"), _listed)
        case "status":
            return _tell(given, choose_agent(given).ask("keys"), _status)
        case what:
            grace = 0.0 if what in ("use", "remove") else _grace(given)
            agent, forced = choose_agent(given), "force" in given
            told = agent.ask("change-keys", what=what, grace=grace, force=forced)
            return _tell(given, told, _status)


def _show_keys(given: Mapping[str, str]) -> int:
    """Show the keys on a terminal; elsewhere, where they may be kept, only by force."""
    if "force" not in given and not sys.stdout.isatty():
        raise StartError(
            "standard output is no terminal, so the key might be kept in a file or a log: "
            "use --force if it is meant to"
        )
    result = choose_agent(given).ask("key")
    if "json" in given:
        show_json(result)
    else:
        keys = result.get("keys", [result])
        show([one["key"] for one in keys])  # what can be a --cluster-key-file
        if len(keys) > 1:
            marks = [f"{one['fingerprint']}{' (primary)' * (one is keys[0])}" for one in keys]
            sys.stderr.write(f"fingerprints, in this order: {', '.join(marks)}\n")
    return 0


def _grace(given: Mapping[str, str]) -> float:
    try:
        grace: float = GRACE.parse(given.get(GRACE.name, GRACE.default or ""))
    except ValueError as error:
        raise ConfigError(f"{GRACE.flag}: {error}") from error
    return grace


def _tell(given: Mapping[str, str], told: Mapping[str, Any], lines: Any) -> int:
    if "json" in given:
        show_json(told)
    else:
        show(lines(told))
    return 0


def _listed(told: Mapping[str, Any]) -> Iterator[Line]:
    rows = [
        (
            one["fingerprint"],
            "primary" if one["primary"] else "yes" if one["here"] else "no",
            str(len(one["members"])),
            _names(one["members"]),
        )
        for one in told["keys"]
    ]
    yield from table(_COLUMNS, rows, screen_of(sys.stdout))
    if told["unknown"]:
        yield f"not known of {_names(told['unknown'])}: Go, or an older wesher"


def _names(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more if names else "-"


def _status(told: Mapping[str, Any]) -> Iterator[Line]:
    change = told["change"]
    if change is None:
        yield "the key was never changed by `wesher key rotate`"
        return
    yield from facts(list(_facts(change)), screen_of(sys.stdout))
    if told["stale_configuration"]:
        yield f"{told['stale_configuration']}: put the new key there, `wesher key show` prints it"


def _facts(change: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "new key", f"{change['fingerprint']}, {_STEPS[change['step']]}"
    if change["step"] == "over":
        return
    if change["by_hand"]:
        following = "`wesher key use`" if change["step"] == "install" else "`wesher key remove`"
        yield "next step", f"{following}, once nobody is waited for"
    elif change["step"] == "use" and change["grace"]:
        yield "old keys", f"go in {duration(change['grace'])}"
    waiting = [f"{one['member']} {one['reason']}" for one in change["waiting"]]
    yield "waits for", "; ".join(waiting[:SHOWN]) or "nobody"
