"""Both members of a pair come to the same preshared key, and nobody else sees it."""

import base64
import hashlib
import hmac
from itertools import permutations, product
from typing import Any

import pytest

from tests.testbed.keys import key
from tests.unit.mesh.node_harness import KEY, Harness, joined, metadata, remote
from wesher.base.frozen import replace
from wesher.base.naming import fingerprint
from wesher.gossip import Dead, Keyring, Record
from wesher.mesh.base.plan import NO_KEY
from wesher.mesh.base.settings import Adjustable
from wesher.mesh.planning import preshared_keys
from wesher.mesh.planning.preshared_keys import derive, shared_key
from wesher.mesh.reporting import Standing

OLD, NEW, OTHER = KEY, bytes(range(1, 33)), bytes(range(2, 34))
SMALL, LARGE = key(1), key(2)


def hkdf(key: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 without a salt, for 32 bytes (RFC 5869, 2.2 and 2.3)."""
    extracted = hmac.digest(bytes(hashlib.sha256().digest_size), key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def ours(number: int = 2, *ring: bytes, **extra: Any) -> Record:
    """A member that uses preshared keys and holds these cluster keys."""
    told = tuple(map(fingerprint, ring or (OLD,)))
    return remote(f"n{number}", number, preshared=True, key_fingerprints=told, **extra)


def preshared(harness: Harness, number: int = 2) -> str | None:
    return harness.plan.peers[key(number)].preshared_key


# The derivation


@pytest.mark.parametrize("cluster_key", [OLD, bytes(16), bytes(24)])
def test_it_is_hkdf_over_the_cluster_key_and_the_pair(cluster_key: bytes) -> None:
    pair = base64.b64decode(SMALL) + base64.b64decode(LARGE)
    wanted = base64.b64encode(hkdf(cluster_key, b"wesher preshared key 1" + pair)).decode()

    assert derive(cluster_key, SMALL, LARGE) == wanted
    assert derive(cluster_key, LARGE, SMALL) == wanted


def test_the_value_that_docs_protocol_tells() -> None:
    assert derive(bytes(32), SMALL, LARGE) == "qLHTjoLLR5keqFsyKJ6MLmH6CsAz6dPybvGbFtM+E14="


def test_the_order_is_that_of_the_bytes_not_of_the_text() -> None:
    # In base64 the letters come before the digits, in ASCII after them.
    first, second = bytes([0xFB]) + bytes(31), bytes([0xD0]) + bytes(31)
    one, other = (base64.b64encode(each).decode() for each in (first, second))
    assert (one < other) is not (first < second)

    made = base64.b64decode(derive(OLD, one, other))

    assert made == hkdf(OLD, b"wesher preshared key 1" + second + first)


def test_every_cluster_key_and_every_pair_has_another() -> None:
    rings, keys = (OLD, NEW), [key(number) for number in range(1, 6)]
    pairs = [(one, other) for one, other in permutations(keys, 2) if one < other]

    made = {derive(ring, *pair) for ring, pair in product(rings, pairs)}

    assert len(made) == len(rings) * len(pairs)


# Which cluster key


@pytest.mark.parametrize(
    ("ours", "theirs", "shared"),
    [
        ("a", "a", "a"),
        ("a", "b", None),
        ("", "a", None),
        ("ab", "ab", "a"),
        ("ba", "ba", "b"),
        ("ab", "ba", "a"),
        ("ba", "a", "a"),
        ("ba", "b", "b"),
        ("cab", "b", "b"),
        ("cba", "dab", "a"),
        ("cb", "ab", "b"),
        ("ca", "bca", "c"),
        ("cab", "dba", "a"),
    ],
)
def test_the_cluster_key_is_one_that_both_hold(ours: str, theirs: str, shared: str | None) -> None:
    assert shared_key(ours, theirs) == shared
    assert shared_key(theirs, ours) == shared


# In a plan


def test_a_peer_has_its_preshared_key_from_the_first() -> None:
    harness = joined(ours())

    assert preshared(harness) == derive(OLD, key(1), key(2))
    assert harness.metadata.preshared


def test_both_sides_plan_the_same() -> None:
    one = joined(ours(2))
    other = Harness(public_key=key(2), name="other").start()
    other.hear_alive(one.record)
    other.pass_time(0.2)

    assert preshared(one, 2) == preshared(other, 1) is not None


@pytest.mark.parametrize(
    "member",
    [
        remote("n2", 2, meta=metadata("10.9.9.2", 2)),
        remote("n2", 2, meta=metadata("10.9.9.2", 2, "v0.2")),
        remote("n2", 2),
        remote("n2", 2, key_fingerprints=(fingerprint(OLD),)),
    ],
    ids=["Go", "Go, v0.2", "ours, older", "ours, --psk off"],
)
def test_who_does_not_say_so_gets_none(member: Record) -> None:
    harness = joined(member, ours(3))

    assert preshared(harness, 2) == NO_KEY
    assert preshared(harness, 3)


def test_none_is_used_where_we_do_not_want_any() -> None:
    harness = Harness(preshared_keys=False).start()
    harness.hear_alive(ours())
    harness.pass_time(0.2)

    assert preshared(harness) == NO_KEY
    assert not harness.metadata.preshared


@pytest.mark.parametrize("ring", [(NEW,), ()])
def test_without_a_key_in_common_the_peer_is_left_what_it_has(ring: tuple[bytes, ...]) -> None:
    told = tuple(map(fingerprint, ring))
    harness = joined(remote("n2", 2, preshared=True, key_fingerprints=told))

    assert preshared(harness) is None


def test_a_failed_member_keeps_its_own() -> None:
    harness = joined(ours(2), ours(3))
    before = preshared(harness)
    harness.hear(Dead(1, "n2", "n3"))
    harness.pass_time(1)
    failed = [one for one in harness.node.status().members if one.standing is Standing.FAILED]
    assert [one.name for one in failed] == ["n2"]

    assert preshared(harness) == before is not None


def test_a_member_that_stops_to_use_them_has_none_any_more() -> None:
    harness = joined(ours())

    harness.hear_alive(remote("n2", 2), incarnation=2)
    harness.pass_time(0.2)
    assert preshared(harness) == NO_KEY

    harness.hear_alive(ours(), incarnation=3)
    harness.pass_time(0.2)
    assert preshared(harness) == derive(OLD, key(1), key(2))


def test_we_may_stop_to_use_them_and_begin_again() -> None:
    harness = joined(ours())
    harness.take_streams()
    wanted = preshared(harness)
    incarnation = harness.record.incarnation

    for number, (on, then) in enumerate([(False, NO_KEY), (False, NO_KEY), (True, wanted)]):
        harness.node.reconfigure(Adjustable((), 3600, preshared_keys=on), harness.now)
        harness.pass_time(0.2)
        assert preshared(harness) == then
        assert harness.metadata.preshared is on
        assert harness.record.incarnation == incarnation + (1, 1, 2)[number]


def test_a_change_of_the_cluster_key_is_followed_from_both_sides() -> None:
    harness = joined(ours(2, OLD))
    old, new = (derive(cluster, key(1), key(2)) for cluster in (OLD, NEW))
    by_order = min((fingerprint(OLD), old), (fingerprint(NEW), new))[1]

    steps = [
        ((OLD, NEW), (OLD,), old),
        ((OLD, NEW), (OLD, NEW), old),
        ((NEW, OLD), (OLD, NEW), by_order),
        ((NEW, OLD), (NEW, OLD), new),
        ((NEW,), (NEW, OLD), new),
        ((NEW,), (NEW,), new),
        ((NEW, OTHER), (OTHER, NEW), None),
    ]
    for number, (held, told, then) in enumerate(steps, 2):
        harness.use_keys(*held)
        harness.hear_alive(ours(2, *told), incarnation=number)
        harness.pass_time(0.3)
        if then:
            assert preshared(harness) == then, (held, told)
    assert preshared(harness) in {derive(cluster, key(1), key(2)) for cluster in (NEW, OTHER)}


def test_what_is_not_told_of_our_keys_is_not_derived_from() -> None:
    many = [bytes([number]) * 32 for number in range(6)]
    harness = Harness().start()
    harness.use_keys(*many)

    harness.hear_alive(ours(2, *many[4:]))
    harness.hear_alive(ours(3, many[3], many[5]))
    harness.pass_time(0.3)

    assert preshared(harness, 2) is None
    assert preshared(harness, 3) == derive(many[3], key(1), key(3))


def test_each_is_derived_once(monkeypatch: pytest.MonkeyPatch) -> None:
    derived: list[str] = []

    def counted(cluster_key: bytes, one: str, other: str) -> str:
        derived.append(other)
        return derive(cluster_key, one, other)

    monkeypatch.setattr(preshared_keys, "derive", counted)
    harness = joined(ours(2), ours(3))
    harness.hear_alive(ours(4))
    harness.pass_time(0.3)
    harness.hear_alive(ours(3, endpoint="192.0.2.77"), incarnation=2)
    harness.pass_time(0.3)

    assert sorted(derived) == sorted(map(key, (2, 3, 4)))


def test_nothing_that_a_node_says_shows_one() -> None:
    harness = joined(ours(2))
    harness.events.clear()
    harness.use_keys(OLD, NEW)
    harness.pass_time(0.3)
    secret = preshared(harness)
    assert secret

    told: list[object] = [harness.plan, harness.plan.peers, harness.node.status(), *harness.events]
    told += [harness.node._overlay.outcome, harness.saved]

    assert not [one for one in told if secret in repr(one)]
    assert secret.encode() not in (harness.record.meta or b"")


def test_a_plan_that_differs_by_one_alone_is_another() -> None:
    plan = joined(ours(2)).plan
    other = {one: replace(peer, preshared_key=NO_KEY) for one, peer in plan.peers.items()}

    assert replace(plan, peers=other) != plan


def test_a_keyring_may_change_before_we_have_met_anybody() -> None:
    keyring = Keyring(OLD)
    found = preshared_keys.PresharedKeys(key(1), keyring)

    assert found.fill(keyring.fingerprints, {}, ()) == {}
    keyring.replace((NEW,))
    assert found.fill(keyring.fingerprints, {}, ()) == {}
