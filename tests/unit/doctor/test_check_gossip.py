"""Seeds and members are contacted by UDP and TCP; what they answer is judged by who they are."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.doctor.cases import account, case, member, network, run, settings, status
from tests.unit.mesh.node_harness import Harness
from tests.unit.system.transports import LOOPBACK, Host, free_port, opened
from wesher.base.addresses import Address, Contact, Heard
from wesher.base.frozen import replace
from wesher.doctor.check_gossip import Role, Target, check_gossip, judge, ourselves
from wesher.doctor.context import Case, find_others, resolve
from wesher.doctor.findings import Finding
from wesher.mesh.base.saved import Saved, SavedMember
from wesher.mesh.base.seeds import Seed
from wesher.mesh.node import MeshNode
from wesher.system.state_file import State, StateFile

KEY = bytes(range(32))
HERE = Address("192.0.2.2", 7946)
ANSWER, SILENCE, OTHER = Heard.ANSWER, Heard.SILENCE, Heard.OTHER_KEY
REFUSED, NAMESAKE = Heard.REFUSED, Heard.OTHER_NAME
ALONE = case(account=account(), status=status())
IN_COMPANY = case(account=account(), status=status(member()))


def node(key: bytes = KEY) -> MeshNode:
    """A node that has announced itself, with this cluster key."""
    return Harness(ring=key).start().node


# Whom to contact


def test_addresses_and_names_are_resolved() -> None:
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
        (Role.SEED, Contact(SILENCE, REFUSED), ALONE, [("fault", "seed-refused")]),
        (Role.SEED, Contact(SILENCE, REFUSED), IN_COMPANY, [("warning", "seed-refused")]),
        (Role.SEED, Contact(ANSWER, REFUSED), ALONE, [("fault", "seed-half")]),
        (Role.MEMBER, Contact(SILENCE, REFUSED), ALONE, [("fault", "member-refused")]),
        (Role.MEMBER, Contact(ANSWER, REFUSED), ALONE, [("fault", "tcp-blocked")]),
        (Role.SEED, Contact(SILENCE, SILENCE), IN_COMPANY, [("warning", "seed-silent")]),
        (Role.MEMBER, Contact(NAMESAKE, NAMESAKE), ALONE, [("fault", "other-name")]),
        (Role.MEMBER, Contact(SILENCE, NAMESAKE), ALONE, [("fault", "other-name")]),
        (Role.OURSELVES, Contact(NAMESAKE, NAMESAKE), ALONE, [("fault", "other-name")]),
        (Role.OURSELVES, Contact(SILENCE, ANSWER), ALONE, [("fault", "ourselves-unreached")]),
    ],
)
def test_what_is_silent_is_judged_by_who_it_is(
    role: Role, made: Contact, of: Case, expected: list[tuple[str, str]]
) -> None:
    found = judge(Target(role, "web", HERE), made, of)

    assert [(one.verdict.value, one.problem) for one in found] == expected


def test_whether_a_router_lets_others_in_is_not_seen_from_inside() -> None:
    target = Target(Role.OURSELVES, "local", Address("203.0.113.7", 7946))

    inside = judge(target, Contact(SILENCE, SILENCE), case(network=network()))
    alone = judge(target, Contact(SILENCE, SILENCE), case())

    assert [one.verdict.value for one in inside] == ["unknown"]
    assert [one.problem for one in alone] == ["ourselves-unreached"]


def test_at_our_own_address_we_are_asked_at_the_port_that_we_listen_on() -> None:
    of = case(told=settings(cluster_port=7000, advertise_port=7100), network=network())

    here = ourselves(of, {"name": "local", "address": "192.0.2.10:7100"})
    there = ourselves(of, {"name": "local", "address": "203.0.113.7:7100"})

    assert here.address == Address("192.0.2.10", 7000)
    assert there.address == Address("203.0.113.7", 7100)


@pytest.mark.parametrize("heard", [SILENCE, NAMESAKE])
def test_a_member_that_has_failed_is_only_a_warning(heard: Heard) -> None:
    target = Target(Role.MEMBER, "web", HERE, failed_for=300.0)

    [finding] = judge(target, Contact(heard, heard), ALONE)

    assert finding.verdict.value == "warning"
    assert finding.text == "member web failed 5 minutes ago"


# The whole check


def keyed(of: Case, **changes: Any) -> Case:
    return replace(of, settings=replace(of.settings, cluster_keys=(KEY,)), **changes)


def found(of: Case) -> list[tuple[str, str | None]]:
    return [(one.verdict.value, one.problem) for one in run(check_gossip(of))]


def test_without_a_key_nobody_can_be_asked() -> None:
    assert found(case()) == [("unknown", None)]


def test_without_others_there_is_nobody_to_ask() -> None:
    [finding] = run(check_gossip(keyed(case())))

    assert finding.text.startswith("nobody to contact")


@pytest.mark.parametrize(
    ("left", "expected"), [(True, ("ok", None)), (False, ("fault", "seed-refused"))]
)
def test_without_an_agent_the_saved_are_contacted_but_not_who_has_left(
    tmp_path: Path, left: bool, expected: tuple[str, str | None]
) -> None:
    gone = SavedMember("gone", Address(str(LOOPBACK), free_port(LOOPBACK)), left=left)
    StateFile(tmp_path, "wgoverlay").save(State(KEY, Saved(members=(gone,))))

    assert found(keyed(case(told=settings(state_dir=tmp_path)))) == [expected]


def test_a_seed_without_an_address_is_a_warning() -> None:
    of = keyed(case(told=settings(join=(Seed("no host has this name", 7946),))))

    assert found(of) == [("warning", "seed-name")]


def test_a_seed_that_answers_is_well() -> None:
    async def scenario() -> list[Finding]:
        async with opened(node()) as host:
            told = settings(join=(Seed(host.ip, host.port),))
            return await check_gossip(keyed(case(told=told)))

    [finding] = run(scenario())

    assert finding.verdict.value == "ok"
    assert finding.text == "1 other reached by UDP and by TCP"


def test_the_fingerprints_of_several_keys_are_told() -> None:
    async def scenario() -> list[Finding]:
        async with opened(node()) as host:
            place = f"{host.ip}:{host.port}"
            told = status(address=place, key_fingerprints=["01234567", "89abcdef"])
            return await check_gossip(keyed(case(status=told)))

    [finding] = run(scenario())

    assert finding.verdict.value == "ok"
    assert finding.text.endswith("; cluster keys 01234567 (primary), 89abcdef")


def test_who_cannot_read_us_is_a_fault_of_its_own() -> None:
    target = Target(Role.MEMBER, "web", Address("127.0.0.1", 7946))

    [finding] = judge(target, Contact(Heard.SILENCE, Heard.NOT_READ), case())

    assert (finding.verdict.value, finding.problem) == ("fault", "not-read")


def told_of(name: str, host: Host) -> Case:
    """A status with one member at a host of ours, which has a name of its own."""
    web = member(name, address=f"{host.ip}:{host.port}")
    return keyed(case(status=status(web)))  # an older agent contacts nobody for us


def test_a_member_counts_as_reached_only_if_it_is_the_one_that_answers() -> None:
    async def scenario(name: str) -> list[Finding]:
        async with opened(node()) as host:
            return await check_gossip(told_of(name, host))

    named = [one for one in run(scenario("local")) if one.problem == "other-name"]
    [finding] = [one for one in run(scenario("web")) if one.problem == "other-name"]

    assert named == []
    assert finding.text.startswith("another member answers at ")
    assert finding.text.endswith(", not web")


def test_a_host_is_not_told_of_as_a_seed_and_as_a_member() -> None:
    async def scenario() -> list[Finding]:
        async with opened(node()) as host:
            of = told_of("web", host)
            return await check_gossip(
                replace(of, settings=replace(of.settings, join=(Seed(host.ip, 1),)))
            )

    async def both() -> list[Finding]:
        port = free_port(LOOPBACK)
        web = member("web", address=f"{LOOPBACK}:{port}")
        told = settings(join=(Seed(str(LOOPBACK), port),))
        return await check_gossip(keyed(case(told=told, status=status(web))))

    assert [one.problem for one in run(both()) if "web" in one.text] == ["member-refused"]
    assert "seed-refused" not in [one.problem for one in run(both())]
    assert "seed-refused" in [one.problem for one in run(scenario())]


def test_the_first_who_knows_members_tells_who_else_has_our_name() -> None:
    nobody = Address("127.0.0.1", 1)

    async def scenario() -> None:
        async with opened(node()) as twin:
            claims_its_address = Harness(ring=KEY, ip=twin.ip, port=twin.port).start().node
            async with opened(claims_its_address) as host:
                somebody = Address(host.ip, host.port)
                asked = [nobody, somebody]
                at_twin = [Address(twin.ip, twin.port)]
                assert await find_others(keyed(case()), "local", asked) == at_twin
                assert await find_others(keyed(case()), "stranger", asked) == []
                assert await find_others(keyed(case()), "local", [nobody]) == []

    run(scenario())
