"""Two identities and one name: who has it and answers keeps it, whatever is claimed."""

import random
from typing import Any

import pytest

from tests.testbed.keys import key
from tests.unit.mesh.node_harness import SETTINGS, VERSIONS, Harness, joined, metadata
from wesher.base.addresses import Address
from wesher.base.frozen import replace
from wesher.gossip import Ack, Dead, Ping, PushPull, Record, pack_ip
from wesher.gossip.messages import MAX_LEAP
from wesher.mesh.base.identity import Identity
from wesher.mesh.base.metadata import decode_metadata, encode_metadata
from wesher.mesh.base.saved import Saved, SavedMember
from wesher.mesh.base.signing import identity_of, sign_metadata
from wesher.mesh.base.trust import Trust

OURS, WEB, THIEF = (Identity(bytes([number]) * 32) for number in (1, 2, 3))
AT_WEB, AT_THIEF, SOURCE = "192.0.2.2", "192.0.2.66", "192.0.2.99"


def signed(
    identity: Identity | None,
    name: str = "web",
    *,
    ip: str = AT_WEB,
    number: int = 2,
    incarnation: int = 3,
    state: int = 0,
    overlay: str | None = None,
    **extra: Any,
) -> Record:
    """Return the record of a member that signs, or of one of ours that cannot."""
    meta = metadata(overlay or f"10.9.9.{number}", number, **({"version": "1"} | extra))
    if identity:
        told = replace(decode_metadata(meta), identity=identity.public_key)
        meta = encode_metadata(told, "current")
        meta = sign_metadata(meta, identity, name, Address(ip, 7946))
    return Record(name, pack_ip(ip), 7946, meta, incarnation, state, VERSIONS)


TRUE = signed(WEB)
DB = signed(Identity(bytes([4]) * 32), "db", ip="192.0.2.4", number=4)
GO = Record("web", pack_ip(AT_WEB), 7946, metadata("10.9.9.2", 2), 3, 0, VERSIONS)
"""The same member, running the original."""
HERE = signed(THIEF, number=66, incarnation=4)
"""Web's name at web's address, by somebody else."""
ELSEWHERE = signed(THIEF, ip=AT_THIEF, number=66, incarnation=4)


def settled(*records: Record, trust: Trust = "live", **settings: Any) -> Harness:
    """Return a node that has been up with these members for a while."""
    known = records or (TRUE, DB)
    harness = joined(*known, identity=OURS, trust=trust, **settings)
    harness.keep_alive(*known, until=harness.now + 70)
    quiet(harness)
    return harness


def quiet(harness: Harness) -> None:
    harness.events.clear()
    harness.take_streams()
    harness.packets.clear()


def told(harness: Harness, name: str = "web") -> Record | None:
    """Return what others are told of a member."""
    return next((one for one in harness.push() if one.name == name), None)


def claim(harness: Harness, record: Record, **changes: Any) -> None:
    harness.hear_alive(record, **changes)


class Asked:
    """What a node asks because of a claim, and how it is answered."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        streams = harness.take_streams()
        self.looks = [
            one
            for one in streams
            if isinstance(found := harness.message(one), PushPull) and not found.records
        ]
        self.stream_pings = [one for one in streams if isinstance(harness.message(one), Ping)]
        self.pings = [(to, one) for to, one in harness.pings() if one.node == "web"]

    @property
    def where(self) -> list[str]:
        """The addresses whose tables are read, and those that are pinged."""
        return [one.to.ip for one in self.looks] + [to.ip for to, _ in self.pings]

    def shows(self, *records: Record) -> None:
        (request,) = self.looks
        self.harness.answer(request, *records)

    def hides(self) -> None:
        self.harness.fail(*self.looks)

    def acks(self) -> None:
        for to, ping in self.pings:
            self.harness.hear(Ack(ping.sequence), ip=to.ip)

    def is_silent(self) -> None:
        self.harness.fail(*self.stream_pings)
        self.harness.pass_time(SETTINGS.timing.probe_timeout)


def nothing_changed(harness: Harness, before: Record | None) -> None:
    assert told(harness) == before
    assert harness.plan.peers.keys() == {key(2), key(4)}
    assert not {66} & {len(one.meta or b"") for one in harness.saved.members}
    saved = [one for one in harness.saved.members if one.name == "web"]
    assert [one.meta for one in saved] == [TRUE.meta]


# A live member


@pytest.mark.parametrize("trust", ["live", "pinned", "pinned,unsigned"])
@pytest.mark.parametrize("incarnation", [4, 3 + MAX_LEAP])
@pytest.mark.parametrize(
    "forged",
    [
        HERE,
        ELSEWHERE,
        signed(None, number=66),
        signed(None, number=66, ip=AT_THIEF),
        replace(GO, meta=metadata("10.9.9.2", 66)),
        replace(GO, meta=metadata("10.9.9.2", 66, "v0.2")),
        replace(HERE, meta=ELSEWHERE.meta),
        replace(TRUE, addr=pack_ip(AT_THIEF)),
        replace(TRUE, port=7999),
        replace(TRUE, meta=None),
        replace(TRUE, meta=b"rubbish"),
    ],
    ids=[
        "its address", "elsewhere", "unsigned", "unsigned elsewhere", "go", "v0.2",
        "copied signature", "copied elsewhere", "another port", "no metadata", "unreadable",
    ],
)  # fmt: skip
@pytest.mark.parametrize("by_table", [False, True])
def test_nobody_gets_a_live_members_name(
    trust: Trust, incarnation: int, forged: Record, by_table: bool
) -> None:
    harness = settled(trust=trust)
    before = told(harness)

    if by_table:
        harness.push(replace(forged, incarnation=incarnation))
    else:
        claim(harness, forged, incarnation=incarnation)
    for answer in Asked(harness).looks:
        harness.answer(answer, TRUE, DB)
    harness.pass_time(3)

    nothing_changed(harness, before)
    (warning,) = harness.warnings()
    assert f"{SOURCE}:{40000 if by_table else 7946}" in warning
    assert "web" in warning


@pytest.mark.parametrize("forged", [HERE, ELSEWHERE, signed(None, number=66)])
def test_open_believes_whoever_has_the_cluster_key(forged: Record) -> None:
    harness = settled(trust="open")

    claim(harness, replace(forged, addr=TRUE.addr), incarnation=4)

    held = told(harness)
    assert held
    assert held.incarnation == 4
    assert held.meta == forged.meta


def test_the_warning_names_both_identities_and_who_sent_the_claim() -> None:
    harness = settled()

    claim(harness, HERE)
    Asked(harness).shows(TRUE)

    assert harness.warnings() == [
        f"{SOURCE}:7946 passes on that web is the identity {THIEF.fingerprint}; it is "
        f"{WEB.fingerprint} and keeps its name as long as it answers: if its host was "
        "reinstalled, stop the old one; else somebody with the cluster key wants its name: see "
        f"who runs at {SOURCE}:7946"
    ]


def test_a_members_own_news_is_believed_at_once_and_read_without_asking() -> None:
    harness = settled()

    claim(harness, signed(WEB, incarnation=4, number=5))

    assert Asked(harness).where == []
    held = told(harness)
    assert held
    assert held.incarnation == 4


def test_its_own_words_at_a_higher_incarnation_are_the_same_words() -> None:
    harness = settled()

    claim(harness, TRUE, incarnation=100)
    harness.pass_time(1)

    assert harness.plan.peers.keys() == {key(2), key(4)}
    assert told(harness) == replace(TRUE, incarnation=100)


def test_a_claim_is_looked_into_once_in_a_while() -> None:
    harness = settled()

    claim(harness, HERE)
    first = Asked(harness)
    first.shows(TRUE)
    claim(harness, HERE, incarnation=5)

    assert first.where == [AT_WEB]
    assert Asked(harness).where == []
    harness.pass_time(5)
    harness.take_streams()
    claim(harness, HERE, incarnation=6)
    assert Asked(harness).where == [AT_WEB]


def test_a_thousand_identities_do_not_make_us_ask_a_thousand_times() -> None:
    harness = settled()
    rng = random.Random(1)

    for _ in range(200):
        claim(harness, signed(Identity(rng.randbytes(32)), incarnation=4))

    assert len(Asked(harness).looks) <= 64


# A reinstalled host


def test_a_reinstalled_host_at_its_address_is_let_in_as_soon_as_it_shows_itself() -> None:
    harness = settled()

    claim(harness, HERE)
    Asked(harness).shows(HERE)

    held = told(harness)
    assert held
    assert identity_of(held) == THIEF.public_key
    (warning,) = harness.warnings()
    assert THIEF.fingerprint in warning
    assert WEB.fingerprint in warning


@pytest.mark.parametrize("shown", [(), (TRUE,), (DB,), (ELSEWHERE,)])
def test_who_is_at_the_address_shows_that_it_was_not_reinstalled(shown: tuple[Record, ...]) -> None:
    harness = settled()

    claim(harness, HERE)
    Asked(harness).shows(*shown)

    assert told(harness) == TRUE


def test_where_nobody_shows_a_table_nothing_changes() -> None:
    harness = settled()

    claim(harness, HERE)
    Asked(harness).hides()
    assert told(harness) == TRUE
    harness.pass_time(6)
    harness.take_streams()
    claim(harness, HERE, incarnation=5)
    harness.pass_time(2)

    assert told(harness) == TRUE


@pytest.mark.parametrize("end", ["dead", "left"])
@pytest.mark.parametrize("record", [HERE, ELSEWHERE])
def test_once_a_member_is_gone_a_new_identity_takes_its_name_over(end: str, record: Record) -> None:
    harness = settled()
    harness.hear(Dead(3, "web", "db" if end == "dead" else "web"))
    quiet(harness)

    claim(harness, record)
    asked = Asked(harness)
    asked.shows(record)
    asked.is_silent()

    held = told(harness)
    assert held
    assert identity_of(held) == THIEF.public_key
    assert any(THIEF.fingerprint in warning for warning in harness.warnings())


@pytest.mark.parametrize("end", ["dead", "left"])
@pytest.mark.parametrize("is_quick", [True, False])
def test_who_only_is_said_to_be_gone_keeps_its_name_by_answering(end: str, is_quick: bool) -> None:
    harness = settled()
    harness.hear(Dead(3, "web", "db" if end == "dead" else "web"))
    quiet(harness)

    claim(harness, ELSEWHERE)
    asked = Asked(harness)
    assert asked.where == [AT_THIEF, AT_WEB]
    if is_quick:
        asked.acks()
        asked.shows(ELSEWHERE)
    else:
        asked.shows(ELSEWHERE)
        asked.acks()
    claim(harness, TRUE, incarnation=4)

    assert told(harness) == replace(TRUE, incarnation=4)


def test_it_takes_over_within_two_seconds_of_a_host_that_is_not_there() -> None:
    harness = settled()
    harness.hear(Dead(3, "web", "db"))
    quiet(harness)

    claim(harness, ELSEWHERE)
    Asked(harness).shows(ELSEWHERE)
    harness.pass_time(1.6)

    held = told(harness)
    assert held
    assert identity_of(held) == THIEF.public_key


def test_a_claim_that_nobody_shows_is_hollow_even_if_the_holder_is_gone() -> None:
    harness = settled()
    harness.hear(Dead(3, "web", "db"))
    quiet(harness)

    claim(harness, ELSEWHERE)
    asked = Asked(harness)
    asked.is_silent()
    asked.hides()

    held = told(harness)
    assert held
    assert held.meta == TRUE.meta


def test_a_proven_member_that_is_silent_for_a_moment_is_waited_for() -> None:
    harness = settled()

    claim(harness, ELSEWHERE)
    asked = Asked(harness)
    asked.shows(ELSEWHERE)
    asked.is_silent()

    assert told(harness) == TRUE
    harness.hear(Dead(3, "web", "db"))
    asked = Asked(harness)
    assert asked.where == [AT_THIEF, AT_WEB]
    asked.shows(ELSEWHERE)
    asked.is_silent()
    held = told(harness)
    assert held
    assert identity_of(held) == THIEF.public_key


def test_an_invention_that_never_answered_is_not_waited_for() -> None:
    harness = settled(DB)
    claim(harness, ELSEWHERE)
    quiet(harness)

    claim(harness, replace(TRUE, incarnation=5))
    asked = Asked(harness)
    asked.shows(replace(TRUE, incarnation=5))
    asked.is_silent()

    held = told(harness)
    assert held
    assert identity_of(held) == WEB.public_key


def test_who_had_the_name_and_is_there_has_it_back() -> None:
    harness = settled()
    harness.hear(Dead(3, "web", "db"))
    quiet(harness)
    claim(harness, ELSEWHERE)
    asked = Asked(harness)
    asked.shows(ELSEWHERE)
    asked.is_silent()
    quiet(harness)

    back = replace(TRUE, incarnation=9)
    claim(harness, back)
    asked = Asked(harness)
    asked.acks()
    asked.shows(back)

    assert told(harness) == back


def test_whom_an_earlier_start_knew_keeps_its_name_too() -> None:
    known = SavedMember("web", Address(AT_WEB, 7946), TRUE.meta, incarnation=3)
    harness = Harness(Saved(members=(known,)), identity=OURS).start()
    harness.fail(*harness.take_streams())
    quiet(harness)

    claim(harness, ELSEWHERE)
    asked = Asked(harness)
    assert asked.where == [AT_THIEF, AT_WEB]
    asked.acks()

    assert told(harness) is None
    assert [one.name for one in harness.node._coordinator.failed] == ["web"]
    assert not harness.plan.peers.keys() - {key(2)}


# Members without identity


def test_a_member_of_the_original_is_believed_as_ever() -> None:
    harness = settled(GO, DB)

    claim(harness, GO, incarnation=5, meta=metadata("10.9.9.2", 7))

    held = told(harness)
    assert held
    assert held.incarnation == 5
    assert Asked(harness).where == []


def test_it_keeps_its_name_as_well_while_it_is_there() -> None:
    harness = settled(GO, DB)

    claim(harness, HERE)
    Asked(harness).shows(GO)

    assert told(harness) == GO


def test_one_that_was_upgraded_shows_itself_and_is_let_in() -> None:
    harness = settled(GO, DB)

    claim(harness, HERE)
    Asked(harness).shows(HERE)

    held = told(harness)
    assert held
    assert identity_of(held) == THIEF.public_key


def test_one_that_is_gone_has_nothing_to_keep() -> None:
    harness = settled(GO, DB)
    harness.hear(Dead(3, "web", "db"))
    quiet(harness)

    claim(harness, HERE)

    assert Asked(harness).where == []
    held = told(harness)
    assert held
    assert identity_of(held) == THIEF.public_key


# Ourselves


def test_our_own_name_is_refuted_and_the_claim_told_of() -> None:
    harness = settled()
    mine = harness.record

    thief = signed(THIEF, "local", ip="192.0.2.1", number=66, incarnation=mine.incarnation + 1)
    claim(harness, thief)

    ours = told(harness, "local")
    assert ours
    assert ours.incarnation == mine.incarnation + 2
    assert identity_of(ours) == OURS.public_key
    warnings = harness.warnings()
    assert any(THIEF.fingerprint in one and OURS.fingerprint in one for one in warnings)
    assert any(SOURCE in one for one in warnings)


def test_what_is_still_known_of_our_earlier_self_is_no_trouble_right_after_the_start() -> None:
    harness = joined(TRUE, identity=OURS)
    mine = harness.record
    quiet(harness)

    claim(harness, signed(THIEF, "local", ip="192.0.2.1", incarnation=mine.incarnation + 1))

    assert harness.warnings() == []
