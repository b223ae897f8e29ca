"""Every member says which cluster keys it holds."""

import pytest

from tests.unit.mesh.node_harness import KEY, Harness
from wesher.base.naming import fingerprint

NEW = bytes(range(1, 33))


def test_a_member_with_one_key_says_which() -> None:
    harness = Harness().start()

    assert harness.metadata.key_fingerprints == (fingerprint(KEY),)


@pytest.mark.parametrize("ring", [(KEY, NEW), (NEW, KEY), (NEW,)])
def test_other_keys_are_announced_at_once(ring: tuple[bytes, ...]) -> None:
    harness = Harness().start()
    before = harness.record.incarnation

    harness.use_keys(*ring)

    assert harness.metadata.key_fingerprints == tuple(map(fingerprint, ring))
    assert harness.record.incarnation == before + 1


def test_keys_given_before_we_enter_are_announced_with_us() -> None:
    harness = Harness()

    harness.use_keys(NEW, KEY)
    harness.start()

    assert harness.metadata.key_fingerprints == (fingerprint(NEW), fingerprint(KEY))


def test_keys_of_another_size_are_refused_and_change_nothing() -> None:
    harness = Harness().start()

    with pytest.raises(ValueError, match="bytes"):
        harness.use_keys(NEW, b"short")

    assert harness.metadata.key_fingerprints == (fingerprint(KEY),)
