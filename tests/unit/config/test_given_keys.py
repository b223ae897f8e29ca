"""Which cluster keys count when the configuration has not the saved ones."""

import pytest

from wesher.base.naming import fingerprint
from wesher.config.given_keys import is_stale, keys_to_use
from wesher.mesh.base.rotation import Rotation, Step
from wesher.mesh.base.saved import SavedKeys

OLD, NEW, OTHER, OLDER = (bytes([number]) * 32 for number in range(4))
Ring = tuple[bytes, ...]

UNDER_WAY = SavedKeys(Rotation(3, NEW, Step.INSTALL, 0))
OVER = SavedKeys(
    Rotation(3, NEW, Step.RETIRE, 0, retired=(fingerprint(OLDER),)), True, (fingerprint(OLD),)
)
NEVER = SavedKeys()


@pytest.mark.parametrize(
    ("given", "ring", "saved", "expected", "stale"),
    [
        ((OTHER,), (OLD,), NEVER, (OTHER,), False),
        ((OTHER, OLD), (OLD,), NEVER, (OTHER, OLD), False),
        ((OLD,), (OLD, OTHER), NEVER, (OLD,), False),
        # A change under way: the state file has come further than the configuration.
        ((OLD,), (OLD, NEW), UNDER_WAY, (OLD, NEW), True),
        ((OLD,), (NEW, OLD), UNDER_WAY, (NEW, OLD), True),
        ((NEW,), (NEW, OLD), UNDER_WAY, (NEW, OLD), False),
        ((NEW, OLD), (OLD, NEW), UNDER_WAY, (OLD, NEW), False),
        ((OTHER, OLD), (OLD, NEW), UNDER_WAY, (OTHER, NEW, OLD), True),
        ((OTHER, NEW), (OLD, NEW), UNDER_WAY, (OTHER, NEW), False),
        ((OTHER,), (OLD, NEW), UNDER_WAY, (OTHER,), False),
        # One that is over: a key that it has retired does not come back.
        ((OLD,), (NEW,), OVER, (NEW,), True),
        ((OLDER,), (NEW,), OVER, (NEW,), True),
        ((OLD, NEW), (NEW,), OVER, (NEW,), False),
        ((OTHER, OLD, NEW), (NEW,), OVER, (OTHER, NEW), False),
        ((OTHER,), (NEW,), OVER, (OTHER,), False),
        ((NEW,), (NEW, OTHER), OVER, (NEW,), False),
        ((OLD,), (NEW, OTHER), OVER, (NEW, OTHER), True),
    ],
)
def test_the_configuration_counts_but_for_what_a_change_explains(
    given: Ring, ring: Ring, saved: SavedKeys, expected: Ring, stale: bool
) -> None:
    keys = keys_to_use(given, ring, saved)

    assert keys == expected
    assert is_stale(given, keys, saved) is stale
