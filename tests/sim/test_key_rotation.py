"""One command changes the cluster key, and nobody is lost whatever happens meanwhile."""

import pytest

from tests.testbed.sim.key_rotation import KeyRotation


@pytest.mark.parametrize("seed", range(16))
def test_all_have_the_new_key_alone_in_the_end(seed: int) -> None:
    KeyRotation(seed).run()


@pytest.mark.parametrize("seed", [54, 79, 85, 148])
def test_what_once_went_wrong_does_not_again(seed: int) -> None:
    KeyRotation(seed).run()
