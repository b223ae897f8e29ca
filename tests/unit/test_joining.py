"""The new host's side: whom it asks, what it says of each refusal, and what it starts from."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest

from wesher.agent import joining
from wesher.agent.joining import Redeemed, clock_skew, redeem, settings_of, state_of
from wesher.base.addresses import Address
from wesher.base.errors import StartError
from wesher.base.frozen import replace
from wesher.config.config import Config, load
from wesher.mesh.base.identity import Identity
from wesher.mesh.base.saved import SavedMember
from wesher.mesh.invitations import (
    Answering,
    Grant,
    Member,
    Reason,
    Refused,
    Token,
    derive,
    open_request,
    prologue,
    read_request,
    refused_plainly,
    sealed_reply,
)

NOW = 1_800_000_000
ONE, TWO = Address("192.0.2.1", 7946), Address("2001:db8::1", 7946)
TOKEN = Token((ONE, TWO), NOW + 60, bytes(range(16)))
IDENTITY = Identity(bytes(range(32)))
GRANT = Grant(
    (b"k" * 32, b"l" * 32),
    "10.0.0.0/8",
    "wan",
    "current",
    7946,
    "alpha",
    bytes(32),
    NOW,
    (Member("alpha", ONE), Member("gamma", Address("192.0.2.3", 7000))),
)

Reply = Grant | Refused | bytes | Exception


class Agents:
    """What is said at each address, to each of the requests in turn; the last is said for ever."""

    def __init__(self, **told: list[Reply]) -> None:
        self._told = {Address(ip, 7946): replies for ip, replies in told.items()}
        self.asked: list[tuple[Address, bytes]] = []

    async def ask(self, address: Address, frame: bytes, _whole: Callable[..., Any]) -> bytes:
        self.asked.append((address, frame))
        replies = self._told[address]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, bytes) else _sealed(frame, reply)


def _sealed(frame: bytes, outcome: Grant | Refused) -> bytes:
    name, message = read_request(frame)
    answering = Answering(derive(TOKEN.secret)[1], prologue(name))
    open_request(answering, message)
    return sealed_reply(answering, outcome, os.urandom(32))


@pytest.fixture(autouse=True)
def _time_of_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "_wall", lambda: NOW)


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Reply], list[Reply]], Agents]:
    """Have both addresses of the token say these things; nobody waits."""
    monkeypatch.setattr(joining, "STAGGER", 0.0)
    monkeypatch.setattr(joining, "ROUNDS", (0.0, 0.0, 0.0))

    def says(one: list[Reply], two: list[Reply]) -> Agents:
        agents = Agents(**{ONE.ip: one, TWO.ip: two})
        monkeypatch.setattr(joining, "ask", agents.ask)
        return agents

    return says


Says = Callable[[list[Reply], list[Reply]], Agents]


def go(token: Token = TOKEN) -> Redeemed:
    return asyncio.run(redeem(token, "beta", IDENTITY))


def test_whoever_answers_first_is_taken(says: Says) -> None:
    says([ConnectionRefusedError(111, "x")], [GRANT])
    assert go() == Redeemed(GRANT, TWO)


def test_all_are_asked_with_one_and_the_same_request(says: Says) -> None:
    agents = says([TimeoutError(), TimeoutError(), GRANT], [TimeoutError()])
    assert go() == Redeemed(GRANT, ONE)
    assert {address for address, _ in agents.asked} == {ONE, TWO}
    assert len({frame for _, frame in agents.asked}) == 1


def test_who_is_asked_too_often_is_asked_again(says: Says) -> None:
    says([refused_plainly(Reason.LIMITED), GRANT], [TimeoutError()])
    assert go().grant == GRANT


@pytest.mark.parametrize(
    ("why", "told"),
    [
        (Reason.USED, "the invitation is used up: make another with `wesher invite`"),
        (Reason.WITHDRAWN, "the invitation was withdrawn: make another with"),
        (Reason.UNSAVED, "alpha cannot save that the invitation is used: its log says why"),
        (Reason.UNKNOWN, "the invitation is refused: make another"),
    ],
)
def test_a_refusal_under_seal_is_final(says: Says, why: Reason, told: str) -> None:
    agents = says([Refused(why, "alpha", NOW)], [TimeoutError()])
    with pytest.raises(StartError, match=told):
        go()
    assert len(agents.asked) <= 2


def test_one_that_expired_is_told_by_the_inviters_clock_and_ours_is_compared(says: Says) -> None:
    at = TOKEN.expires_at + 7200
    says([Refused(Reason.EXPIRED, "alpha", at)], [TimeoutError()])
    told = r"the invitation expired 2 h ago: make .* \(this host's clock is 2 h behind theirs\)"
    with pytest.raises(StartError, match=told):
        go()


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (refused_plainly(Reason.UNKNOWN), "192.0.2.1:7946 knows no such invitation: it was made"),
        (refused_plainly(Reason.FORGED), "does not accept the token's secret"),
        (refused_plainly(Reason.LIMITED), "too many wrong tokens by this network: wait a minute"),
        (refused_plainly(Reason.VERSION), "speaks another version of invitations"),
        (b"\xf6\x02\x00\x00", "speaks another version of invitations"),
        (b"\x0a\x00\x00\x00\x40", "answers, but knows no invitations: is that an older wesher"),
        (b"", "answers, but knows no invitations"),
        (b"\xf6\x01\x00\x31\x00" + bytes([9] * 48), "answers something else than asked"),
    ],
)
def test_each_answer_that_is_none_has_its_line(says: Says, reply: bytes, told: str) -> None:
    says([reply], [TimeoutError()])
    with pytest.raises(StartError, match=told):
        go()


def test_what_is_not_sealed_ends_nothing_at_another_address(says: Says) -> None:
    says([refused_plainly(Reason.UNKNOWN)], [TimeoutError(), GRANT])
    assert go() == Redeemed(GRANT, TWO)


def test_silence_names_the_addresses_and_the_port(says: Says) -> None:
    agents = says([ConnectionRefusedError(111, "x")], [TimeoutError()])
    with pytest.raises(StartError) as raised:
        go()
    assert str(raised.value) == (
        "nobody answers at 192.0.2.1:7946 (connection refused), [2001:db8::1]:7946 (no answer "
        "within 5 s): does wesher run there, and is TCP port 7946 open?"
    )
    assert len(agents.asked) == 6


def test_silence_about_one_that_seems_expired_says_so_too(says: Says) -> None:
    says([TimeoutError()], [TimeoutError()])
    with pytest.raises(StartError, match="By this host's clock the invitation expired 3 h ago"):
        go(replace(TOKEN, expires_at=NOW - 10_800))


def test_a_wrong_clock_keeps_nobody_out(says: Says) -> None:
    says([replace(GRANT, at=NOW - 10**6)], [TimeoutError()])
    assert go(replace(TOKEN, expires_at=0)).grant.at == NOW - 10**6


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        (0, None),
        (-59, None),
        (-7300, "this host's clock is 2 h ahead of theirs"),
        (300, "this host's clock is 5 min behind theirs"),
        (10**6, "this host's clock is 12 d behind theirs"),
    ],
)
def test_clocks_are_compared(theirs: int, told: str | None) -> None:
    assert clock_skew(NOW + theirs) == told


def test_a_first_start_has_keys_and_contacts_but_no_members() -> None:
    state = state_of(Redeemed(GRANT, TWO), IDENTITY)

    assert state.keys == GRANT.keys
    assert state.identity == IDENTITY.seed
    assert state.mesh.members == (
        SavedMember("alpha", ONE, left=True),
        SavedMember("gamma", Address("192.0.2.3", 7000), left=True),
        SavedMember("alpha", TWO, left=True),
    )
    assert len(state_of(Redeemed(GRANT, ONE), IDENTITY).mesh.members) == 2


def config(**given: str) -> Config:
    return load({"config": "/dev/null", "node_name": "beta", **given}, {})


def test_only_what_differs_from_the_mesh_is_told() -> None:
    other = replace(GRANT, overlay_net="10.9.0.0/16", timing="lan", port=7000)

    assert settings_of(GRANT, config()) == {}
    assert settings_of(other, config()) == {
        "overlay_net": "10.9.0.0/16",
        "timing": "lan",
        "cluster_port": "7000",
    }
    own = config(overlay_net="10.9.0.0/16", timing="lan", cluster_port="7001")
    assert settings_of(other, own) == {}
