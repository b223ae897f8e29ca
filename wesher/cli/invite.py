"""`wesher invite`: make an invitation, list them, or withdraw one."""

import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from wesher.base.errors import ConfigError
from wesher.cli.client import choose_agent, duration, show, show_json
from wesher.cli.columns import Column, table
from wesher.config.options import INVITATION, INVITING, TTL, USES, Option
from wesher.system.terminal import Line, screen_of

_COLUMNS = (
    Column("ID"),
    Column("STATE"),
    Column("LEFT", right=True),
    Column("EXPIRES", right=True),
    Column("LAST USED BY", rank=1),
)


def run(given: Mapping[str, str]) -> int:
    """Do what was asked with invitations; returns the exit code."""
    match given.get(INVITING.name), given.get(INVITATION.name):
        case None, None:
            return _invite(given)
        case "list", None:
            return _list(given)
        case "revoke", str(wanted):
            return _revoke(given, wanted)
        case "revoke", None:
            raise ConfigError("which invitation? `wesher invite list` shows them; or revoke all")
    raise ConfigError(f"{given[INVITATION.name]!r} is one word too many; see wesher invite --help")


def _invite(given: Mapping[str, str]) -> int:
    ttl, uses = _value(TTL, given), _value(USES, given)
    made = choose_agent(given).ask("invite", ttl=ttl, uses=uses)
    if "json" in given:
        show_json(made)
        return 0
    show([made["command"]])
    hosts = "1 host" if uses == 1 else f"{uses} hosts"
    told = f"for {hosts}, within {duration(ttl)}; `wesher invite revoke {made['id']}` withdraws it"
    if sys.stdout.isatty():
        print(told, file=sys.stderr)
    return 0


def _value(option: Option, given: Mapping[str, str]) -> int:
    try:
        value: int = option.parse(given.get(option.name, option.default or ""))
    except ValueError as error:
        raise ConfigError(f"{option.flag}: {error}") from error
    return value


def _list(given: Mapping[str, str]) -> int:
    told = choose_agent(given).ask("invitations")
    if "json" in given:
        show_json(told)
    else:
        show(_listed(told, time.clock_gettime(time.CLOCK_REALTIME)))
    return 0


def _listed(told: Mapping[str, Any], now: float) -> Iterator[Line]:
    if told["invitations"]:
        rows = [_row(one, now) for one in told["invitations"]]
        yield from table(_COLUMNS, rows, screen_of(sys.stdout))
    else:
        yield "no invitations: `wesher invite` makes one"
    refused = {
        name.removeprefix("refused_"): count
        for name, count in told["counts"].items()
        if name.startswith(("refused_", "shut_out")) and count
    }
    if refused:
        listed = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in refused.items())
        yield f"refused since the agent's start: {listed}"


def _row(one: Mapping[str, Any], now: float) -> tuple[str, ...]:
    left = one["expires_at"] - now
    expires = f"in {duration(left)}" if left > 0 else f"{duration(-left)} ago"
    used_by = one["used_by"]
    last = f"{used_by[-1]['host']} at {used_by[-1]['address']}" if used_by else "-"
    return one["id"], one["state"], f"{one['left']}/{one['uses']}", expires, last


def _revoke(given: Mapping[str, str], wanted: str) -> int:
    told = choose_agent(given).ask("revoke", id=wanted)
    if "json" in given:
        show_json(told)
    else:
        names = told["withdrawn"]
        show([f"withdrawn: {', '.join(names)}" if names else "no invitation was open"])
    return 0
