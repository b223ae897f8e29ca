"""Which cluster keys count when the configuration names others than those saved.

Who configures keys decides. But a change by `wesher key rotate` leaves a configuration as it is
that does not know of it: keys that it has retired do not come back by a restart, and what it has
installed is not taken away by one. So the ring in the state file counts where such a change
explains the difference, and the operator is told to put the new key into the configuration.
"""

from collections.abc import Mapping

from wesher.base.naming import fingerprint
from wesher.config.config import Keys
from wesher.gossip.keyring import MAX_KEYS
from wesher.mesh.base.saved import SavedKeys


def keys_to_use(given: Keys, ring: Keys, saved: SavedKeys) -> Keys:
    """Return the keys to hold with this configuration, after these were held; `given` are some."""
    retired = {*saved.retired, *(saved.rotation.retired if saved.rotation else ())}
    valid = tuple(key for key in given if key in ring or fingerprint(key) not in retired)
    rotation = saved.rotation
    if not valid:
        return ring
    if rotation is None or set(valid).isdisjoint(ring):
        return valid
    if set(valid) <= set(ring) and (not saved.over or set(ring) - set(valid) <= {rotation.key}):
        return ring
    if saved.over or rotation.key in valid:
        return valid
    return (*valid[:1], rotation.key, *valid[1 : MAX_KEYS - 1])


def is_stale(given: Keys, ring: Keys, saved: SavedKeys) -> bool:
    """Tell whether a configuration lacks a key that a change has brought."""
    rotation = saved.rotation
    return bool(given) and rotation is not None and rotation.key in set(ring) - set(given)


def stale_data(given: Keys, saved: SavedKeys) -> Mapping[str, object]:
    """Return what the warning of a stale configuration says."""
    new = saved.rotation.fingerprint if saved.rotation else ""
    return {"new": new, "given": ", ".join(map(fingerprint, given))}
