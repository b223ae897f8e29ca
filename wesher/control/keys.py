"""Answers about the cluster keys: which there are, who has which, where a change of them stands.

No key itself is in any of these answers.
"""

import os
from collections.abc import Callable, Mapping

from wesher.base.errors import AgentError
from wesher.base.problems import STALE_KEY
from wesher.config.given_keys import is_stale, stale_data
from wesher.config.option_types import KEY_LENGTH
from wesher.control.status import Json, Running
from wesher.mesh.base.rotation import BeginChange, KeyOrder, Step, TakeStep
from wesher.mesh.keys import KeyStatus

Request = Mapping[str, object]


def as_keys(running: Running, now: float) -> Json:
    """Return all that `wesher key list` and `wesher key status` show."""
    status = running.node.key_status(now)
    stale = stale_key(running)
    return {
        "keys": [_key(one, status) for one in _all(status)],
        "unknown": sorted(status.holders.get("", ())),
        "change": _change(status),
        "retired": list(status.retired),
        "stale_configuration": stale and stale["fault"],
    }


def stale_key(running: Running) -> Json | None:
    """Return what is wrong with a configuration that lacks the key that a change has brought."""
    given, saved = running.config.cluster_keys, running.node.saved_keys()
    if not is_stale(given, running.keyring.keys, saved):
        return None
    data = stale_data(given, saved)
    return {"fault": STALE_KEY.fault_of(data), "data": dict(data)}


def _all(status: KeyStatus) -> list[str]:
    """Return our keys, and then those that only others have."""
    others = sorted({*status.holders} - {*status.fingerprints, ""})
    return [*status.fingerprints, *others]


def _key(fingerprint: str, status: KeyStatus) -> Json:
    return {
        "fingerprint": fingerprint,
        "primary": fingerprint == status.fingerprints[0],
        "here": fingerprint in status.fingerprints,
        "members": sorted(status.holders.get(fingerprint, ())),
    }


def _change(status: KeyStatus) -> Json | None:
    rotation = status.rotation
    if rotation is None:
        return None
    return {
        "number": rotation.number,
        "fingerprint": rotation.fingerprint,
        "step": "over" if status.over else rotation.step.name.lower(),
        "by_hand": rotation.by_hand,
        "grace": round(status.grace, 3),
        "waiting": [{"member": one.member, "reason": one.reason} for one in status.waiting],
    }


async def change_keys(running: Running, request: Request, now: Callable[[], float]) -> Json:
    """Begin a change of the key, or take a step of one; AgentError says what stands in the way.

    It is on the disk when that has been answered.
    """
    try:
        running.node.obey(_order(request), now())
    except ValueError as error:
        raise AgentError(str(error)) from error
    running.transport.flush()
    await running.reconciler.save_state()
    return as_keys(running, now())


def _order(request: Request) -> KeyOrder:
    what, forced = request.get("what"), request.get("force") is True
    match what:
        case "rotate" | "install":
            grace = request.get("grace")
            if not isinstance(grace, int | float):
                raise AgentError("the request lacks the seconds of grace")
            return BeginChange(os.urandom(KEY_LENGTH), grace, what == "install", forced)
        case "use":
            return TakeStep(Step.USE, forced)
        case "remove":
            return TakeStep(Step.RETIRE, forced)
    raise AgentError("the request does not say what to do about the keys")
