"""Seeds and members are contacted by UDP and TCP; what they answer is judged by who they are."""

import asyncio
import socket
from dataclasses import replace

import pytest

from tests.unit.doctor.cases import account, case, member, settings, status
from tests.unit.mesh.node_bench import Bench
from tests.unit.system.transports import opened
from wesher.doctor.contacts import Contact, Heard, contact, look, resolve, wire_of
from wesher.doctor.reachability import Role, Target, as_address, check_gossip, judge
from wesher.gossip import Address
from wesher.mesh.rejoin import Seed

KEY = bytes(range(32))
HERE = Address("192.0.2.2", 7946)
ANSWER, SILENCE, OTHER = Heard.ANSWER, Heard.SILENCE, Heard.OTHER_KEY
ALONE = case(account=account(), status=status())
IN_COMPANY = case(account=account(), status=status(member()))


def run(scenario):
    return asyncio.run(asyncio.wait_for(scenario, 60))


def node(key=KEY):
    """A node that has announced itself, with this cluster key."""
    return Bench(ring=key).start().node


# What comes back


def test_a_node_answers_by_udp_and_by_tcp():
    async def scenario():
        async with opened(node()) as host:
            return await contact(wire_of(KEY), Address(host.ip, host.port))

    assert run(scenario()) == Contact(ANSWER, ANSWER)


def test_a_node_with_another_key_is_recognised():
    async def scenario():
        async with opened(node(bytes(32))) as host:
            return await contact(wire_of(KEY), Address(host.ip, host.port))

    made = run(scenario())

    assert made.tcp is OTHER
    assert made.other_key


def test_nobody_is_silent_by_both():
    async def scenario():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
            mute.bind(("127.0.0.1", 0))
            return await contact(wire_of(KEY), Address(*mute.getsockname()))

    assert run(scenario()).silent == ["UDP", "TCP"]


def test_who_accepts_but_closes_is_silent():
    async def close(_reader, writer):
        writer.close()

    async def scenario():
        server = await asyncio.start_server(close, "127.0.0.1", 0)
        async with server:
            return await contact(wire_of(KEY), Address(*server.sockets[0].getsockname()))

    assert run(scenario()).silent == ["UDP", "TCP"]


def test_a_look_tells_the_members_and_nothing_of_us():
    engine = node()

    async def scenario():
        async with opened(engine) as host:
            return await look(wire_of(KEY), Address(host.ip, host.port))

    assert [record.name for record in run(scenario())] == ["local"]
    assert len(engine.members) == 1


def test_a_look_at_nobody_tells_nobody():
    assert run(look(wire_of(KEY), Address("127.0.0.1", 1))) == ()


def test_addresses_and_names_are_resolved():
    assert run(resolve("192.0.2.2", 7946)) == [HERE]
    assert Address("127.0.0.1", 7946) in run(resolve("localhost", 7946))
    assert run(resolve("no host has this name", 7946)) == []


# What it means


@pytest.mark.parametrize(
    ("role", "made", "of", "expected"),
    [
        (Role.MEMBER, Contact(ANSWER, ANSWER), ALONE, []),
        (Role.MEMBER, Contact(SILENCE, ANSWER), ALONE, [("fault", "udp-blocked")]),
        (Role.MEMBER, Contact(ANSWER, SILENCE), ALONE, [("fault", "tcp-blocked")]),
        (Role.MEMBER, Contact(SILENCE, SILENCE), ALONE, [("fault", "member-silent")]),
        (Role.MEMBER, Contact(SILENCE, OTHER), ALONE, [("fault", "other-key")]),
        (Role.SEED, Contact(SILENCE, ANSWER), ALONE, [("fault", "seed-half")]),
        (Role.SEED, Contact(ANSWER, SILENCE), ALONE, [("fault", "seed-half")]),
        (Role.SEED, Contact(SILENCE, SILENCE), ALONE, [("fault", "seed-silent")]),
        (Role.SEED, Contact(SILENCE, SILENCE), IN_COMPANY, [("warning", "seed-silent")]),
        (Role.OURSELVES, Contact(SILENCE, ANSWER), ALONE, [("fault", "ourselves-unreached")]),
    ],
)
def test_what_is_silent_is_judged_by_who_it_is(role, made, of, expected):
    found = judge(Target(role, "web", HERE), made, of)

    assert [(one.verdict.value, one.trouble) for one in found] == expected


def test_a_member_that_has_failed_is_only_a_warning():
    target = Target(Role.MEMBER, "web", HERE, failed_for=300.0)

    [finding] = judge(target, Contact(SILENCE, SILENCE), ALONE)

    assert finding.verdict.value == "warning"
    assert finding.text == "member web has failed 5 minutes ago"


@pytest.mark.parametrize("text", ["192.0.2.2:7946", "[2001:db8::2]:7946"])
def test_addresses_are_read_as_they_are_written(text):
    assert str(as_address(text)) == text


# The whole check


def keyed(of, **changes):
    return replace(of, given_key=KEY, **changes)


def found(of):
    return [(one.verdict.value, one.trouble) for one in run(check_gossip(of))]


def test_without_a_key_nobody_can_be_asked():
    assert found(case()) == [("unknown", None)]


def test_without_others_there_is_nobody_to_ask():
    [finding] = run(check_gossip(keyed(case())))

    assert finding.text.startswith("nobody to contact")


def test_a_seed_without_an_address_is_a_warning():
    of = keyed(case(told=settings(join=(Seed("no host has this name", 7946),))))

    assert found(of) == [("warning", "seed-name")]


def test_a_seed_that_answers_is_well():
    async def scenario():
        async with opened(node()) as host:
            told = settings(join=(Seed(host.ip, host.port),))
            return await check_gossip(keyed(case(told=told)))

    [finding] = run(scenario())

    assert finding.verdict.value == "ok"
    assert finding.text == "1 other reached by UDP and by TCP"
