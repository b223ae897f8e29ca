"""The saved state: settled with its cluster key by a start, and in the mesh's terms and back."""

import base64
import os
import sys
import time

from loguru import logger

from wesher.base.errors import ConfigError, StartError
from wesher.base.frozen import replace
from wesher.base.naming import fingerprint
from wesher.base.problems import STALE_KEY
from wesher.config.config import Config, Keys
from wesher.config.given_keys import is_stale, keys_to_use, stale_data
from wesher.gossip import Address
from wesher.mesh.base.identity import SEED_SIZE
from wesher.mesh.base.saved import Saved, SavedKeys, SavedMember
from wesher.system.log import tell
from wesher.system.state_file import State, StateFile, StateFileError

KEY_SIZE = 32  # bytes
_KEYLESS_JOIN = "--join needs the cluster's key: give it with --cluster-key or --cluster-key-file"


def load_state(config: Config, file: StateFile) -> State:
    """Return the earlier state, or an empty one when the cluster key is another or yet to be made.

    Blocks on the disk. Raises ConfigError or StartError when there is no usable key. Nothing is
    replaced: a start that is refused later leaves the earlier state in its place.
    """
    given = config.cluster_keys
    if config.init:
        if config.join and not given:
            raise ConfigError(_KEYLESS_JOIN)
        return State()
    earlier = file.load(key_needed=not given)
    if config.join and not given and not earlier.cluster_key:
        raise ConfigError(_KEYLESS_JOIN)
    if not given or not earlier.keys or earlier.keys == given:
        return earlier
    saved, ring = earlier.mesh.keys, earlier.keys
    keys = keys_to_use(given, ring, saved)
    if is_stale(given, keys, saved):
        logger.warning(STALE_KEY.text.format(**stale_data(given, saved)))
    if keys == ring:
        return earlier
    if set(keys).isdisjoint(ring):
        logger.warning(
            "the given cluster key is not the saved one:"
            " this start knows nothing of the old cluster's members"
        )
        return State(identity=earlier.identity)  # it is the same host
    logger.warning(
        "the given cluster keys ({given}) are not the saved ones ({saved}): those given count",
        given=", ".join(map(fingerprint, given)),
        saved=", ".join(map(fingerprint, ring)),
    )
    return replace(earlier, cluster_key=keys[0], other_keys=keys[1:])


def settle_state(config: Config, state: State, file: StateFile) -> State:
    """Save what `load_state` returned with its key; once nothing else can fail the start.

    Blocks on the disk. Raises StartError, with the earlier state in its place.
    """
    if state.cluster_key:
        return state
    old = file.set_aside() if config.init else None
    try:
        settled = _with_keys(config.cluster_keys, state, file)
    except StartError:
        if old:
            file.put_back(old)
        raise
    if old:
        logger.warning("set the earlier state aside as {path}", path=old)
    return settled


def _with_keys(given: Keys, state: State, file: StateFile) -> State:
    if not given:
        return _with_new_key(file)
    state = replace(state, cluster_key=given[0], other_keys=given[1:])
    try:
        file.save(state)
    except StateFileError as error:
        logger.warning("{error}; the next start needs the cluster key again", error=error)
    return state


def _with_new_key(file: StateFile) -> State:
    """Make a cluster key, save it, and only then say so."""
    state = State(cluster_key=os.urandom(KEY_SIZE))
    try:
        file.save(state)
    except StateFileError as error:
        raise StartError(f"{error}; a new cluster key is of no use unsaved") from error
    assert state.cluster_key
    if sys.stdout.isatty():
        text = base64.b64encode(state.cluster_key).decode()
        tell(f"new cluster key generated: {text}")
    else:
        tell(f"new cluster key generated, it is in {file.path}")
    return state


def with_identity(state: State, file: StateFile, *, fresh: bool = False) -> State:
    """Return a state with this host's own key, made and saved at its first start, or if `fresh`.

    Blocks on the disk. One that cannot be saved serves this start only: the next makes another.
    """
    if state.identity is not None and not fresh:
        return state
    state = replace(state, identity=os.urandom(SEED_SIZE))
    try:
        file.save(state)
    except StateFileError as error:
        logger.warning("{error}; the next start makes this host another identity", error=error)
    return state


def wall_clock_began(now: float) -> float:
    """Return the wall-clock time at which the node's clock, which tells `now`, was at 0."""
    return time.clock_gettime(time.CLOCK_REALTIME) - now


def as_saved(state: State, port: int, began: float) -> Saved:
    """Return what the mesh needs of a state.

    `port` is for members saved by Go, without one; `began` is when the node's clock was at 0.
    """
    saved = state.mesh.shifted(-began)
    return replace(saved, members=tuple(_with_port(one, port) for one in saved.members))


def _with_port(one: SavedMember, port: int) -> SavedMember:
    return one if one.address.port else replace(one, address=Address(one.address.ip, port))


def as_state(keys: Keys, identity: bytes | None, saved: Saved, began: float) -> State:
    """Return what belongs in the state file of a member of the cluster with these keys.

    `identity` is the secret of this host's own key.
    """
    return State(keys[0], saved.shifted(began), other_keys=keys[1:], identity=identity)


def with_keys(state: State, keys: Keys, saved: SavedKeys) -> State:
    """Return a state with other cluster keys, and how far a change of them has come."""
    mesh = replace(state.mesh, keys=saved)
    return replace(state, cluster_key=keys[0], other_keys=keys[1:], mesh=mesh)
