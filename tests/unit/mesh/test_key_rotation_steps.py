"""How one member takes part in a change of the cluster key: what it waits for, what it believes."""

import pytest

from tests.unit.mesh.node_harness import KEY as OLD
from tests.unit.mesh.node_harness import Harness, joined, remote
from wesher.base.naming import fingerprint
from wesher.gossip import Record, UserMessage
from wesher.gossip.keyring import MAX_KEYS
from wesher.mesh.base.events import SaveKeys
from wesher.mesh.base.rotation import (
    LEAP,
    BeginChange,
    KeysSaved,
    Rotation,
    Step,
    TakeStep,
    decode_rotation,
    encode_rotation,
)
from wesher.mesh.base.user_state import unpack

NEW, RIVAL = b"n" * 32, b"r" * 32


def has(*keys: bytes, name: str = "web", number: int = 2, incarnation: int = 2) -> Record:
    """Return what a member says that holds these keys; none for one that does not say."""
    told = tuple(map(fingerprint, keys))
    return remote(name, number, incarnation=incarnation, key_fingerprints=told)


def ring(harness: Harness) -> tuple[bytes, ...]:
    return harness.wire.keyring.keys


def hears(harness: Harness, rotation: Rotation) -> None:
    harness.hear(UserMessage(encode_rotation(rotation, harness.now)))


def told(harness: Harness) -> Rotation | None:
    """Return what goes with the tables of a member."""
    state = harness.node._gossip._exchanges.user_state
    found = [decode_rotation(part, harness.now) for part in unpack(state)]
    return next(filter(None, found), None)


def step(harness: Harness) -> Step | None:
    rotation = harness.node.saved_keys().rotation
    return rotation.step if rotation else None


def begun(*records: Record, grace: float = 0.0, **marks: bool) -> Harness:
    harness = joined(*records)
    harness.obey(BeginChange(NEW, grace, **marks))
    return harness


def says(harness: Harness, *records: Record) -> None:
    for record in records:
        harness.hear_alive(record)
    harness.pass_time(0.5)


def test_a_step_is_taken_once_all_have_taken_the_one_before() -> None:
    harness = begun(has(OLD), has(OLD, name="db", number=3))
    assert ring(harness) == (OLD, NEW)

    says(harness, has(OLD, NEW, incarnation=3))
    assert step(harness) is Step.INSTALL
    waiting = harness.node.key_status(harness.now).waiting
    assert [(one.member, one.reason) for one in waiting] == [("db", "lacks the new key")]

    says(harness, has(OLD, NEW, name="db", number=3, incarnation=3))
    assert (step(harness), ring(harness)) == (Step.USE, (NEW, OLD))

    says(harness, has(NEW, OLD, incarnation=4))
    assert step(harness) is Step.USE
    says(harness, has(NEW, OLD, name="db", number=3, incarnation=4))
    assert (step(harness), ring(harness)) == (Step.RETIRE, (NEW,))
    assert harness.metadata.key_fingerprints == (fingerprint(NEW),)
    assert harness.node.saved_keys().retired == (fingerprint(OLD),)


def test_old_keys_are_kept_for_the_grace() -> None:
    harness = begun(grace=100.0)
    harness.pass_time(90)
    assert ring(harness) == (NEW, OLD)

    harness.pass_time(11)

    assert ring(harness) == (NEW,)


def test_a_member_that_cannot_follow_is_named_and_the_order_refused() -> None:
    harness = joined(has(OLD), remote("go", 3, version="1.0"))

    with pytest.raises(ValueError, match="go cannot change the key"):
        harness.obey(BeginChange(NEW, 0.0))

    assert harness.node.saved_keys().rotation is None
    harness.obey(BeginChange(NEW, 0.0, forced=True))
    says(harness, has(NEW, OLD, incarnation=3))
    assert ring(harness) == (NEW,)


def test_nothing_is_said_to_be_held_before_it_is_saved() -> None:
    harness = joined()
    harness.node.obey(BeginChange(NEW, 0.0), harness.now)
    (save,) = [one for one in harness.node.events() if isinstance(one, SaveKeys)]

    assert ring(harness) == (OLD, NEW)
    assert harness.metadata.key_fingerprints == (fingerprint(OLD),)
    harness.obey(KeysSaved(save.number))
    harness.pass_time(1)
    assert harness.metadata.key_fingerprints[0] == fingerprint(NEW)


def test_a_rival_that_wins_leaves_the_loser_as_a_key_that_opens() -> None:
    harness = begun(has(OLD))

    hears(harness, Rotation(1, RIVAL, Step.INSTALL, harness.now))
    assert ring(harness) == (OLD, RIVAL, NEW)
    hears(harness, Rotation(1, b"a" * 32, Step.RETIRE, harness.now))
    assert ring(harness) == (OLD, RIVAL, NEW)

    says(harness, has(RIVAL, NEW, OLD, incarnation=3))
    assert ring(harness) == (RIVAL,)


def test_whoever_tells_to_retire_our_own_table_must_agree() -> None:
    harness = joined(has(OLD))

    hears(harness, Rotation(1, NEW, Step.RETIRE, harness.now))
    harness.pass_time(20)

    assert ring(harness) == (NEW, OLD)
    says(harness, has(NEW, OLD, incarnation=3))
    assert ring(harness) == (NEW,)


def test_numbers_do_not_leap() -> None:
    harness = joined(has(OLD))

    hears(harness, Rotation(LEAP + 1, NEW, Step.INSTALL, harness.now))
    assert ring(harness) == (OLD,)

    hears(harness, Rotation(LEAP, NEW, Step.INSTALL, harness.now))
    assert ring(harness) == (OLD, NEW)


def test_many_documents_do_not_fill_the_memory_nor_push_the_newest_out() -> None:
    harness = joined(has(OLD))

    for number in range(1, 50):
        hears(harness, Rotation(number, bytes([number]) * 32, Step.INSTALL, harness.now))

    keys = ring(harness)
    assert len(keys) == MAX_KEYS
    assert keys[:2] == (OLD, bytes([49]) * 32)


def test_a_newcomer_hears_of_it_with_the_first_table() -> None:
    harness = begun(has(OLD))

    rotation = told(harness)

    assert rotation
    assert (rotation.number, rotation.key, rotation.step) == (1, NEW, Step.INSTALL)


def test_by_hand_each_step_is_ordered() -> None:
    harness = begun(has(OLD), by_hand=True)
    with pytest.raises(ValueError, match="web lacks the new key"):
        harness.obey(TakeStep(Step.USE))
    says(harness, has(OLD, NEW, incarnation=3))
    assert step(harness) is Step.INSTALL
    with pytest.raises(ValueError, match="first `wesher key use`"):
        harness.obey(TakeStep(Step.RETIRE))

    harness.obey(TakeStep(Step.USE))
    with pytest.raises(ValueError, match="web does not use the new key yet"):
        harness.obey(TakeStep(Step.RETIRE))
    says(harness, has(NEW, OLD, incarnation=4))
    assert step(harness) is Step.USE
    harness.obey(TakeStep(Step.RETIRE))
    harness.pass_time(0.5)

    assert ring(harness) == (NEW,)
    with pytest.raises(ValueError, match="no change"):
        harness.obey(TakeStep(Step.RETIRE))


def test_another_change_waits_for_the_first_unless_it_is_forced() -> None:
    harness = begun(has(OLD), grace=100.0)

    with pytest.raises(ValueError, match="still under way"):
        harness.obey(BeginChange(RIVAL, 0.0))
    harness.obey(BeginChange(RIVAL, 0.0, forced=True))

    assert ring(harness) == (OLD, RIVAL, NEW)


def test_a_configuration_keeps_what_is_being_installed() -> None:
    harness = begun(has(OLD))

    harness.use_keys(RIVAL, OLD)

    assert ring(harness) == (RIVAL, NEW, OLD)


def test_a_configuration_that_comes_after_a_change_is_left_alone() -> None:
    harness = begun()
    harness.pass_time(2)
    assert ring(harness) == (NEW,)

    harness.use_keys(NEW, RIVAL)
    harness.pass_time(100)

    assert ring(harness) == (NEW, RIVAL)


@pytest.mark.parametrize("grace", [-1.0, 31 * 86400.0, float("inf")])
def test_a_grace_is_within_bounds(grace: float) -> None:
    with pytest.raises(ValueError, match="30 days"):
        joined().obey(BeginChange(NEW, grace))
