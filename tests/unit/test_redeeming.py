"""The door through which a token's holder comes in: what it answers, counts, logs and refuses."""

import asyncio
import os
from collections.abc import Coroutine, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from wesher.base.addresses import Address
from wesher.base.errors import AgentError
from wesher.config.config import load
from wesher.control.invitations import (
    COUNTED,
    WRONG_BURST,
    WRONG_RATE,
    Invitations,
    Redeeming,
    addresses_of,
    as_counts,
    as_invitations,
)
from wesher.mesh.invitations import (
    Asking,
    Grant,
    Member,
    Reason,
    Refused,
    Request,
    derive,
    prologue,
    read_reply,
    read_token,
    sealed_request,
)
from wesher.system.invitation_file import InvitationFile
from wesher.system.network import Link, LinkAddress, Network

HERE = (Address("192.0.2.1", 7946),)
SOURCE = Address("192.0.2.7", 40000)
GRANT = Grant(
    (os.urandom(32),),
    "10.0.0.0/8",
    "wan",
    "current",
    7946,
    "alpha",
    bytes(32),
    1_800_000_000,
    (Member("alpha", HERE[0]),),
)


class Inviter:
    """An agent's invitations and their door."""

    def __init__(self, directory: Path) -> None:
        self.file = InvitationFile(directory, "wgoverlay")
        self.invitations = Invitations(self.file)
        self.members: set[str] = set()
        self.door = Redeeming(self.invitations, lambda: GRANT, self.members.__contains__)

    async def token(self, uses: int = 1, ttl: float = 60) -> bytes:
        """Return the secret of a new token."""
        _, text = await self.invitations.issue(ttl, uses, HERE)
        return read_token(text).secret

    async def hear(self, host: "NewHost", source: Address = SOURCE) -> Grant | Refused:
        """Return what a new host is told."""
        answer = await self.door.answer(host.frame, source)
        assert answer.data is not None
        return read_reply(host.asking, answer.data)

    def refusals(self) -> dict[str, int]:
        counts = as_counts(self.invitations)
        return {one[8:]: count for one, count in counts.items() if one[:8] == "refused_" and count}


class NewHost:
    """A host that redeems a token once or again."""

    def __init__(self, secret: bytes) -> None:
        name, key = derive(secret)
        self.asking = Asking(key, prologue(name), os.urandom(32))
        self.frame = sealed_request(name, self.asking, Request("beta", "1", 0, bytes(32)))


@pytest.fixture
def inviter(tmp_path: Path) -> Inviter:
    return Inviter(tmp_path)


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []
    number = logger.add(lambda line: lines.append(str(line)), format="{level} {message}")
    yield lines
    logger.remove(number)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_whoever_has_the_token_is_let_in_once(inviter: Inviter, log: list[str]) -> None:
    async def test() -> None:
        secret = await inviter.token()
        assert await inviter.hear(NewHost(secret)) == GRANT
        assert await inviter.hear(NewHost(secret)) == Refused(Reason.USED, "alpha", 1_800_000_000)

    run(test())
    counts = as_counts(inviter.invitations)
    assert (counts["redeemed"], counts["refused_used"], sum(counts.values())) == (1, 1, 3)
    assert "was used by beta at 192.0.2.7 (identity" in log[0]
    assert "192.0.2.7 was not let in by an invitation: it is used up" in log[1]


def test_the_same_host_asks_again_for_nothing(inviter: Inviter) -> None:
    async def test() -> None:
        host = NewHost(await inviter.token())
        assert [await inviter.hear(host) for _ in range(3)] == [GRANT] * 3

    run(test())
    counts = as_counts(inviter.invitations)
    assert (counts["redeemed"], counts["repeated"]) == (1, 2)


def test_hosts_that_come_at_once_do_not_share_a_use(inviter: Inviter) -> None:
    async def test() -> None:
        secret = await inviter.token(uses=3)
        hosts = [NewHost(secret) for _ in range(10)]
        outcomes = await asyncio.gather(*map(inviter.hear, hosts))
        assert sum(isinstance(one, Grant) for one in outcomes) == 3

    run(test())


def test_uses_are_on_the_disk_before_the_keys_are_on_the_wire(inviter: Inviter) -> None:
    async def test() -> None:
        secret = await inviter.token()
        await inviter.hear(NewHost(secret))
        again = Inviter(inviter.file.path.parent)
        told = await again.hear(NewHost(secret))
        assert isinstance(told, Refused)
        assert told.why is Reason.USED

    run(test())


def test_a_use_that_cannot_be_saved_is_none(
    inviter: Inviter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        secret = await inviter.token()
        kept, aside = inviter.file.path.parent, inviter.file.path.parent.with_name("aside")
        kept.rename(aside)
        kept.touch()  # no directory can be made here
        told = await inviter.hear(NewHost(secret))
        assert isinstance(told, Refused)
        assert told.why is Reason.UNSAVED
        with pytest.raises(AgentError, match="cannot save"):
            await inviter.token()
        with pytest.raises(AgentError, match="nothing was withdrawn: cannot save"):
            await inviter.invitations.withdraw(None)
        kept.unlink()
        aside.rename(kept)
        assert await inviter.hear(NewHost(secret)) == GRANT

    run(test())


def test_no_bit_of_a_request_can_change_nor_changes_anything(inviter: Inviter) -> None:
    async def test() -> None:
        secret = await inviter.token()
        host = NewHost(secret)
        before = inviter.invitations.listed()
        number, size = int.from_bytes(host.frame), len(host.frame)
        for bit in range(8 * size):
            changed = (number ^ 1 << bit).to_bytes(size)
            source = Address(f"10.{bit >> 8}.{bit & 255}.1", 1)
            answer = await inviter.door.answer(changed, source)
            assert answer.data is not None
            assert isinstance(read_reply(host.asking, answer.data), Refused), bit
        assert inviter.invitations.listed() == before
        assert await inviter.hear(host) == GRANT

    run(test())
    assert set(inviter.refusals()) == {"version", "unknown", "forged"}


def test_wrong_ones_are_not_looked_into_after_a_while(inviter: Inviter, log: list[str]) -> None:
    async def test() -> None:
        secret = await inviter.token(uses=50)
        frame = bytearray(NewHost(secret).frame)
        frame[-1] ^= 1
        replies = [await inviter.door.answer(bytes(frame), SOURCE) for _ in range(500)]
        assert not any(one.unwelcome for one in replies[: int(WRONG_BURST)])
        assert replies[-1].unwelcome, "the kernel is to deal with it"
        limited = await inviter.hear(NewHost(secret), Address("192.0.2.99", 1))
        assert limited == Refused(Reason.LIMITED), "of the same network"
        elsewhere = await inviter.hear(NewHost(secret), Address("198.51.100.1", 1))
        assert elsewhere == GRANT

    run(test())
    told = inviter.refusals()
    assert WRONG_BURST <= told["forged"] < WRONG_BURST + 20 * WRONG_RATE
    assert told["forged"] + told["limited"] == 501
    assert as_counts(inviter.invitations)["shut_out"] > 300
    assert len([line for line in log if "not let in" in line]) == 1, "no disk is filled"


def test_ids_that_nobody_has_are_borne_with_no_longer(inviter: Inviter) -> None:
    async def test() -> None:
        frame = NewHost(os.urandom(16)).frame
        replies = [await inviter.door.answer(frame, SOURCE) for _ in range(200)]
        assert replies[-1].unwelcome

    run(test())


def test_a_member_is_not_shut_out_whoever_guesses_on_its_host(inviter: Inviter) -> None:
    async def test() -> None:
        inviter.members.add(SOURCE.ip)
        frame = NewHost(os.urandom(16)).frame
        replies = [await inviter.door.answer(frame, SOURCE) for _ in range(200)]
        assert not any(one.unwelcome for one in replies)

    run(test())


def test_many_hosts_of_one_network_are_let_in_at_once(inviter: Inviter) -> None:
    async def test() -> None:
        secret = await inviter.token(uses=50)
        outcomes = [await inviter.hear(NewHost(secret)) for _ in range(50)]
        assert outcomes == [GRANT] * 50

    run(test())


def test_networks_that_guess_are_not_remembered_without_end(inviter: Inviter) -> None:
    async def test() -> None:
        frame = NewHost(await inviter.token()).frame[:-1] + b"x"
        for number in range(600):
            await inviter.door.answer(frame, Address(f"10.{number >> 8}.{number & 255}.1", 1))
        for number in range(600):
            await inviter.door.answer(frame, Address(f"2001:db8:0:{number:x}::1%eth0", 1))

    run(test())
    assert len(inviter.door._wrong) == 256


def test_what_is_withdrawn_is_named(inviter: Inviter) -> None:
    async def test() -> None:
        secrets = [await inviter.token() for _ in range(3)]
        first, second, third = (derive(one)[0] for one in secrets)
        assert await inviter.invitations.withdraw(first) == [first]
        with pytest.raises(AgentError, match=f"invitation {first} is withdrawn already"):
            await inviter.invitations.withdraw(first)
        with pytest.raises(AgentError, match="there is no invitation 'nothing'"):
            await inviter.invitations.withdraw("nothing")
        assert await inviter.invitations.withdraw(None) == [second, third]
        assert await inviter.invitations.withdraw(None) == []

    run(test())
    told = as_invitations(inviter.invitations, 0)
    assert [one["state"] for one in told["invitations"]] == ["withdrawn"] * 3


def test_no_secret_is_told_or_kept(inviter: Inviter, log: list[str]) -> None:
    secrets: list[bytes] = []

    async def test() -> None:
        secrets.append(await inviter.token())
        await inviter.hear(NewHost(secrets[0]))

    run(test())
    told = repr(as_invitations(inviter.invitations, 0)) + "".join(log)
    key = derive(secrets[0])[1]
    assert not any(one.hex() in told or repr(one) in told for one in (secrets[0], key))
    content = inviter.file.path.read_bytes()
    assert secrets[0].hex().encode() not in content
    assert inviter.file.path.stat().st_mode & 0o777 == 0o600


def test_a_damaged_file_voids_what_was_in_it_and_says_so(inviter: Inviter, log: list[str]) -> None:
    async def test() -> None:
        host = NewHost(await inviter.token())
        for content in (b"{", b"{}", b'{"Version": 2}', b"[]", b'{"Version":1,"Invitations":[{}]}'):
            inviter.file.path.write_bytes(content)
            other = Inviter(inviter.file.path.parent)
            assert await other.hear(host) == Refused(Reason.UNKNOWN)

    run(test())
    assert len([line for line in log if "the invitations of before are void" in line]) == 5


def test_every_count_is_told_from_the_start(inviter: Inviter) -> None:
    assert as_counts(inviter.invitations) == dict.fromkeys(COUNTED, 0)


NAT = "203.0.113.9"


def link(name: str, *ips: str) -> Link:
    networks = {one: ip_network(f"{one}/{24 if '.' in one else 64}", strict=False) for one in ips}
    addresses = tuple(LinkAddress(ip_address(one), networks[one]) for one in ips)
    return Link(name, up=True, addresses=addresses)


HOST = Network(
    {
        "eth0": link("eth0", "192.0.2.1", "192.0.2.5", "2001:db8::1", "2001:db8::2"),
        "eth1": link("eth1", "198.51.100.1"),
    }
)


@pytest.mark.parametrize(
    ("given", "advertised", "found"),
    [
        ({}, "192.0.2.1", ["192.0.2.1", "192.0.2.5"]),
        ({}, "2001:db8::1", ["2001:db8::1", "192.0.2.1", "192.0.2.5"]),
        (
            {"advertise_addr": "203.0.113.9"},
            "203.0.113.9",
            ["203.0.113.9", "192.0.2.1", "192.0.2.5"],
        ),
        ({"bind_addr": "192.0.2.1"}, "192.0.2.1", ["192.0.2.1"]),
        (
            {"bind_addr": "10.0.0.5", "advertise_addr": "192.0.2.1"},
            "192.0.2.1",
            ["192.0.2.1", "10.0.0.5"],
        ),
        ({"bind_iface": "eth0"}, "192.0.2.1", ["192.0.2.1"]),
    ],
)
def test_a_token_names_where_we_listen(
    given: dict[str, str], advertised: str, found: list[str]
) -> None:
    config = load({"config": "/dev/null", "node_name": "alpha", **given}, {})
    made = addresses_of(config, Address(advertised, 7946), HOST)
    assert made == tuple(Address(one, 7946) for one in found)


def test_a_forwarded_port_is_told_with_its_address_only() -> None:
    given = {"advertise_addr": NAT, "advertise_port": "7100"}
    config = load({"config": "/dev/null", "node_name": "alpha", **given}, {})

    made = addresses_of(config, Address(NAT, config.told_port), HOST)

    assert made[:2] == (Address(NAT, 7100), Address("192.0.2.1", 7946))
