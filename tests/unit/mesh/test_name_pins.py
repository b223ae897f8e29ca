"""Pinned names: the first identity has a name for good, until an operator says otherwise."""

from collections.abc import Iterator

import pytest

from tests.unit.mesh.node_harness import Harness, metadata
from tests.unit.mesh.test_identity_contests import (
    DB,
    ELSEWHERE,
    HERE,
    OURS,
    THIEF,
    TRUE,
    WEB,
    Asked,
    claim,
    quiet,
    settled,
    signed,
    told,
)
from wesher.base.errors import ProtocolError
from wesher.base.frozen import replace
from wesher.gossip import Dead, UserMessage
from wesher.mesh.base.identity import Identity
from wesher.mesh.base.pins import Pin, decode_words, encode_words, signed_pin
from wesher.mesh.base.signing import identity_of
from wesher.mesh.base.trust import Trust

DBS = Identity(bytes([4]) * 32)
STRANGER = Identity(bytes([9]) * 32)


@pytest.fixture
def pinned() -> Harness:
    """Return a node of a pinned mesh in which web has failed, and has been claimed since."""
    harness = settled(trust="pinned")
    harness.hear(Dead(3, "web", "db"))
    quiet(harness)
    claim(harness, ELSEWHERE)
    return harness


def is_let_in(harness: Harness) -> bool:
    """Let the claimant show itself where web's old self is silent, and tell whether it has it."""
    asked = Asked(harness)
    if asked.looks:
        asked.shows(ELSEWHERE)
        asked.is_silent()
    held = told(harness)
    return held is not None and identity_of(held) == THIEF.public_key


def hear(harness: Harness, *words: Pin, ip: str = "192.0.2.99") -> None:
    harness.hear(UserMessage(encode_words(words)), ip=ip)


def test_a_new_identity_stays_out_and_the_command_that_lets_it_in_is_named(pinned: Harness) -> None:
    (warning,) = pinned.warnings()

    assert not is_let_in(pinned)
    assert "`wesher trust web`" in warning
    assert THIEF.fingerprint in warning
    assert WEB.fingerprint in warning


def test_an_operator_lets_it_in_here_and_tells_the_others(pinned: Harness) -> None:
    quiet(pinned)

    pinned.node.trust("web", None, pinned.now)
    pinned._drain()

    assert is_let_in(pinned)
    assert pinned.node.pinned_to("web") == THIEF.fingerprint
    said = [one for one in pinned.saved.pins if one.author]
    assert said == [signed_pin("web", THIEF.public_key, 1, OURS)]


def test_the_word_of_another_member_counts_and_everybody_is_warned(pinned: Harness) -> None:
    quiet(pinned)

    hear(pinned, signed_pin("web", THIEF.public_key, 1, DBS))

    assert is_let_in(pinned)
    warnings = pinned.warnings()
    assert any("says an operator on db" in one and THIEF.fingerprint in one for one in warnings)


@pytest.mark.parametrize(
    "word",
    [
        signed_pin("web", THIEF.public_key, 1, STRANGER),
        signed_pin("web", THIEF.public_key, 1, THIEF),
        replace(signed_pin("web", THIEF.public_key, 1, DBS), name="web2"),
        replace(signed_pin("web", DBS.public_key, 1, DBS), identity=THIEF.public_key),
        replace(signed_pin("web", THIEF.public_key, 1, DBS), serial=2),
        replace(signed_pin("web", THIEF.public_key, 1, THIEF), author=DBS.public_key),
    ],
    ids=["a stranger's", "its own", "of another name", "forged", "another serial", "not db's"],
)
def test_a_word_that_no_member_has_signed_changes_nothing(pinned: Harness, word: Pin) -> None:
    quiet(pinned)

    hear(pinned, word)

    assert not is_let_in(pinned)
    assert pinned.node.pinned_to("web") == WEB.fingerprint
    assert pinned.node.pinned_to("web2") is None
    assert any("192.0.2.99:7946" in one for one in pinned.warnings())


def test_no_word_takes_the_name_of_a_member_that_answers() -> None:
    harness = settled(trust="pinned")

    hear(harness, signed_pin("web", THIEF.public_key, 1, DBS))
    claim(harness, ELSEWHERE)
    asked = Asked(harness)
    asked.acks()
    asked.shows(ELSEWHERE)

    assert told(harness) == TRUE


def test_an_old_word_does_not_undo_a_later_one(pinned: Harness) -> None:
    hear(pinned, signed_pin("web", STRANGER.public_key, 2, DBS))

    hear(pinned, signed_pin("web", THIEF.public_key, 1, DBS))

    assert pinned.node.pinned_to("web") == STRANGER.fingerprint


def test_two_words_at_once_come_to_the_same_everywhere(pinned: Harness) -> None:
    other = settled(trust="pinned")
    words = [signed_pin("web", one.public_key, 1, DBS) for one in (THIEF, STRANGER)]

    hear(pinned, *words)
    hear(other, *reversed(words))

    assert pinned.node.pinned_to("web") == other.node.pinned_to("web")


def test_who_was_away_hears_it_with_a_table_and_after_a_restart() -> None:
    harness = settled(trust="pinned")
    hear(harness, signed_pin("web", THIEF.public_key, 1, DBS))

    later = Harness(harness.saved, identity=OURS, trust="pinned").start()

    assert later.node.pinned_to("web") == THIEF.fingerprint
    assert later.node.pinned_to("db") == DBS.fingerprint
    assert later.node._gossip._exchanges.user_state == encode_words(
        [signed_pin("web", THIEF.public_key, 1, DBS)]
    )


def test_forgetting_lets_whoever_comes_next_have_the_name(pinned: Harness) -> None:
    pinned.node.forget("web", pinned.now)
    quiet(pinned)

    assert pinned.node.pinned_to("web") is None
    claim(pinned, HERE, incarnation=9)
    Asked(pinned).shows(HERE)

    assert pinned.node.pinned_to("web") == THIEF.fingerprint


def test_a_pin_outlives_a_member_that_left() -> None:
    harness = settled(trust="pinned")
    harness.hear(Dead(3, "web", "web"))
    harness.pass_time(200)
    quiet(harness)

    claim(harness, HERE, incarnation=9)
    harness.pass_time(2)

    held = told(harness)
    assert held is None or held.state != 0
    harness.node.forget("web", harness.now)
    assert harness.node.pinned_to("web") is None


@pytest.mark.parametrize(("trust", "may"), [("pinned", False), ("pinned,unsigned", True)])
def test_members_without_identity_need_leave(trust: Trust, may: bool) -> None:
    harness = settled(trust=trust)

    claim(harness, signed(None, "new", ip="192.0.2.7", number=7))

    assert (told(harness, "new") is not None) is may
    if not may:
        assert any("has no identity" in one for one in harness.warnings())
    claim(harness, replace(HERE, meta=metadata("10.9.9.2", 66)))
    assert told(harness) == TRUE


def test_of_several_that_claim_a_name_one_must_be_chosen(pinned: Harness) -> None:
    claim(pinned, signed(STRANGER, ip="192.0.2.77", incarnation=5))

    with pytest.raises(ValueError, match="say which with --identity") as error:
        pinned.node.trust("web", None, pinned.now)
    pinned.node.trust("web", THIEF.fingerprint, pinned.now)

    assert STRANGER.fingerprint in str(error.value)
    assert pinned.node.pinned_to("web") == THIEF.fingerprint


@pytest.mark.parametrize(
    ("name", "identity", "said"),
    [("db", None, "nobody has claimed db"), ("web", "00", "no identity 00 has claimed web")],
)
def test_nobody_is_trusted_who_was_not_seen(
    pinned: Harness, name: str, identity: str | None, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        pinned.node.trust(name, identity, pinned.now)


def test_where_names_are_not_pinned_there_is_nothing_to_trust() -> None:
    harness = settled()
    claim(harness, HERE)

    with pytest.raises(ValueError, match="see --trust"):
        harness.node.trust("web", None, harness.now)
    assert harness.saved.pins == ()


def damaged() -> Iterator[bytes]:
    whole = encode_words([signed_pin("web", THIEF.public_key, 1, DBS)])
    yield from (whole[:cut] for cut in range(2, len(whole)))
    yield whole + b"\0"
    for entry in (
        Pin("", None, 1, bytes(32), bytes(64)),
        Pin("web", bytes(31), 1, bytes(32), bytes(64)),
        Pin("web", None, 0, bytes(32), bytes(64)),
        Pin("web", None, 2**40, bytes(32), bytes(64)),
        Pin("web", None, 1, b"", bytes(64)),
        Pin("web", None, 1, bytes(32), b""),
    ):
        yield encode_words([entry])


def test_damaged_words_are_refused_whole() -> None:
    for payload in damaged():
        with pytest.raises(ProtocolError):
            decode_words(payload)


def test_what_is_said_of_names_is_small_and_another_applications_bytes_are_none() -> None:
    assert len(encode_words([signed_pin("web", THIEF.public_key, 1, DBS)])) == 143
    assert decode_words(b"\xf7\x01\x90") == []
    assert DB.name == "db"
