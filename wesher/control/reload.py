"""Take a changed configuration while running: what can change at once, and what needs a restart."""

from collections import Counter
from collections.abc import Callable, Iterator

from wesher.base.errors import AgentError, ConfigError, StartError
from wesher.base.frozen import fields, replace
from wesher.base.naming import fingerprint
from wesher.base.problems import STALE_KEY
from wesher.config.config import Config, Keys
from wesher.config.given_keys import is_stale, keys_to_use, stale_data
from wesher.config.options import OPTIONS
from wesher.control.status import Json, Running
from wesher.mesh.base.rotation import HoldConfigured
from wesher.mesh.base.settings import Adjustable
from wesher.system import log

Reread = Callable[[], Config]
"""Reads the configuration anew, from everywhere but standard input."""

AT_ONCE = ("forget_after", "join", "keepalive", "log_level", "mtu", "psk", "route", "routes")
_KEYS = {option.field: option.key for option in OPTIONS}
_NOT_COMPARED = {"cluster_keys", "init", "sources"}  # the keys are compared with those in use


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
    taken = {name: getattr(wanted, name) for name in applied}
    config = replace(config, **taken, cluster_keys=wanted.cluster_keys)
    log.set_up(config.log_level)
    adjustable = Adjustable(
        config.join,
        config.forget_after,
        config.keepalive,
        config.mtu,
        config.psk == "on",
        config.routing,
    )
    running.node.reconfigure(adjustable, now)
    # Without any, as when they come from the state file, those in use stay.
    ring, saved = running.keyring.keys, running.node.saved_keys()
    keys = keys_to_use(wanted.cluster_keys, ring, saved) if wanted.cluster_keys else ring
    other_keys = keys != ring
    warnings = list(_change_keys(running, keys, now)) if other_keys else []
    if is_stale(wanted.cluster_keys, keys, saved):
        warnings.append(STALE_KEY.text.format(**stale_data(wanted.cluster_keys, saved)))
    running.transport.flush()
    report = {
        "applied": ["cluster-key"] * other_keys + [_KEYS[name] for name in applied],
        "restart_needed": [_KEYS[name] for name in changed if name not in AT_ONCE],
        "warnings": warnings,
    }
    return replace(running, config=config), report


def _change_keys(running: Running, wanted: Keys, now: float) -> Iterator[str]:
    """Use these keys from now on, and say of each that goes who still spoke with it."""
    keyring = running.keyring
    others = running.node.members.others()
    spoken = Counter(keyring.spoken(one.address.ip) for one in others)
    for key in keyring.keys:
        if key not in wanted and (members := spoken[key]):
            yield (
                f"cluster key {fingerprint(key)} is gone here, but {members} of {len(others)} "
                "other members spoke last with it: give them one of ours, or us that one back"
            )
    running.node.obey(HoldConfigured(wanted), now)
    running.reconciler.wake()


def in_words(report: Json) -> str:
    """Put what a reload did into one line."""
    told = [f"changed: {', '.join(report['applied'])}"] if report["applied"] else []
    if report["restart_needed"]:
        told.append(f"changed by the next start only: {', '.join(report['restart_needed'])}")
    return "; ".join([*told, *report["warnings"]]) or "nothing has changed"
