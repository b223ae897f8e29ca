"""Take a changed configuration while running: what can change at once, and what needs a restart."""

from collections.abc import Callable

from wesher.base.errors import AgentError, ConfigError, StartError
from wesher.base.frozen import fields, replace
from wesher.config.config import Config
from wesher.config.options import OPTIONS
from wesher.control.status import Json, Running
from wesher.system import log

Reread = Callable[[], Config]
"""Reads the configuration anew, from everywhere but the cluster key's own sources."""

AT_ONCE = ("forget_after", "join", "log_level")
_KEYS = {option.field: option.key for option in OPTIONS}
_NOT_COMPARED = {"cluster_key", "init", "sources"}  # another key is another cluster


def reload(running: Running, reread: Reread, now: float) -> tuple[Running, Json]:
    """Apply what has changed and can be applied; returns what runs from now on, and a report.

    Raises AgentError, having changed nothing, when the configuration cannot be read.
    """
    try:
        wanted = reread()
    except (ConfigError, StartError) as error:
        raise AgentError(f"nothing was changed: {error}") from error
    config = running.config
    changed = [
        name
        for name, value in fields(wanted).items()
        if name not in _NOT_COMPARED and value != getattr(config, name)
    ]
    applied = [name for name in changed if name in AT_ONCE]
    config = replace(config, **{name: getattr(wanted, name) for name in applied})
    log.set_up(config.log_level)
    running.node.reconfigure(config.join, config.forget_after, now)
    running.transport.flush()
    report = {
        "applied": [_KEYS[name] for name in applied],
        "restart_needed": [_KEYS[name] for name in changed if name not in AT_ONCE],
    }
    return replace(running, config=config), report


def in_words(report: Json) -> str:
    """Put what a reload did into one line."""
    told = [f"changed: {', '.join(report['applied'])}"] if report["applied"] else []
    if report["restart_needed"]:
        told.append(f"changed by the next start only: {', '.join(report['restart_needed'])}")
    return "; ".join(told) or "nothing has changed"
