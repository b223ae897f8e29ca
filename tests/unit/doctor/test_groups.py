"""What many members have in common is told once, with the cause that their number tells."""

from tests.unit.doctor.cases import settings
from wesher.base.frozen import replace
from wesher.base.problems import UDP_BLOCKED, Problem
from wesher.cli.diagnosis import as_json, summary
from wesher.doctor.findings import Finding, Share, fault, ok, unknown, warning
from wesher.doctor.groups import Group, grouped, listed
from wesher.doctor.problems import (
    MEMBER_FAILED,
    MEMBER_SILENT,
    NARROW_TUNNEL,
    NO_HANDSHAKE,
    SILENT_TUNNEL,
    TCP_BLOCKED,
)


def silent(
    problem: Problem,
    count: int,
    *,
    tried: int = 200,
    total: int = 200,
    first: int = 1,
    service: str = "51820/udp",
) -> list[Finding]:
    """Return the same of so many members."""
    make = warning if problem is MEMBER_FAILED else fault
    port = service.partition("/")[0]
    return [
        replace(
            make(
                "tunnels",
                problem,
                member=f"node{number}",
                address=f"192.0.2.{number}:{port}",
                endpoint=f"192.0.2.{number}:{port}",
                port=port,
                ago="3 minutes",
                service=service,
            ),
            share=Share(tried, total),
        )
        for number in range(first, first + count)
    ]


def texts(findings: list[Finding]) -> list[str]:
    told = [one.finding if isinstance(one, Group) else one for one in grouped(findings)]
    return [f"{one.text} -> {one.remedy}" for one in told]


def test_silence_of_all_is_our_own_fault() -> None:
    assert texts(silent(NO_HANDSHAKE, 200)) == [
        "51820/udp: 200 of 200 members unreachable: a firewall of this host"
        " -> let UDP port 51820 through on this host, both ways"
    ]


def test_silence_of_some_is_theirs() -> None:
    assert texts(silent(NO_HANDSHAKE, 47)) == [
        "51820/udp: 47 of 200 members unreachable: node1, node2, node3 and 44 more"
        " -> the others are reached, so it is not this host: let UDP port 51820 through on theirs"
    ]


def test_of_those_that_were_not_tried_nothing_is_concluded() -> None:
    [said] = texts(silent(NO_HANDSHAKE, 200, tried=200, total=1000))

    assert said.startswith("51820/udp: 200 of 1000 members unreachable: node1, ")
    assert said.endswith("on both hosts: it may be the firewall of either")


def test_one_is_told_as_ever() -> None:
    [finding] = silent(NO_HANDSHAKE, 1, tried=1, total=1)

    assert grouped([finding]) == [finding]


def test_two_of_two_are_told_as_our_own_fault() -> None:
    [said] = texts(silent(NO_HANDSHAKE, 2, tried=2, total=2))

    assert "2 of 2 members unreachable: a firewall of this host" in said


def test_tunnels_that_never_were_and_those_that_broke_have_one_cause() -> None:
    mixed = silent(NO_HANDSHAKE, 120) + silent(SILENT_TUNNEL, 80, first=121)

    assert len(texts(mixed)) == 1
    assert "200 of 200 members unreachable: a firewall of this host" in texts(mixed)[0]


def test_several_ports_are_named() -> None:
    [said] = texts(
        silent(NO_HANDSHAKE, 2, total=3, tried=3)
        + silent(NO_HANDSHAKE, 1, total=3, tried=3, first=3, service="4500/udp")
    )

    assert said.startswith("4500/udp, 51820/udp: 3 of 3 members unreachable")
    assert "UDP port 4500 and 51820" in said


def test_who_is_silent_and_who_failed_of_it_count_together() -> None:
    service = "7946/udp+tcp"
    both = silent(MEMBER_SILENT, 50, service=service)
    both += silent(MEMBER_FAILED, 150, first=51, service=service)

    assert [one.partition(" -> ")[0] for one in texts(both)] == [
        "7946/udp+tcp: 50 of 200 members unreachable: a firewall of this host",
        "7946/udp+tcp: 150 of 200 members have failed: a firewall of this host",
    ]
    [few] = texts(silent(MEMBER_FAILED, 3, service=service))
    assert "3 of 200 members have failed: node1, node2 and node3 -> see whether their hosts" in few


def test_gossip_by_one_protocol_has_words_of_its_own() -> None:
    [udp] = texts(silent(UDP_BLOCKED, 200, service="7946/udp"))
    [tcp] = texts(silent(TCP_BLOCKED, 20, service="7946/tcp"))

    assert udp.startswith("7946/udp: 200 of 200 members answer by TCP only: a firewall of this")
    assert tcp.startswith("7946/tcp: 20 of 200 members answer by UDP only: node1, node2, node3 and")


def test_whatever_else_is_alike_is_said_of_one_and_counted() -> None:
    narrow = [
        fault("path-mtu", NARROW_TUNNEL, member=name, size=1, needed=1, address="a", interface="w")
        for name in ("node10", "node2", "node1", "node3", "node4", "node5")
    ]

    [said] = texts(narrow)
    assert said.startswith("packets of 1 bytes to member node1 get lost")
    assert "; the same of node2, node3, node4 and 2 more -> " in said
    assert len(texts(narrow[:3])) == 3


def test_members_with_different_reasons_are_not_alike() -> None:
    odd = [unknown("members", f"member n{one} is {one}", about=f"n{one}") for one in range(5)]
    same = [unknown("members", f"member n{one} is new", about=f"n{one}") for one in range(5)]

    assert len(grouped(odd)) == 5
    assert len(grouped(same)) == 1
    assert len(grouped([ok("clock", "fine")] * 9)) == 9


def test_json_has_every_finding_and_what_they_are_together() -> None:
    findings = silent(NO_HANDSHAKE, 200)

    told = as_json(settings(), findings)

    assert len(told["findings"]) == 200
    assert told["findings"][0]["text"].startswith("member node1 is reached by gossip, but")
    [group] = told["groups"]
    assert group["trouble"] == "no-handshake"
    assert group["verdict"] == "fault"
    assert group["members"][9] == "node10"
    assert group["of"] == len(group["members"]) == 200
    assert summary(grouped(findings)) == "not healthy: 1 fault"


def test_names_are_listed_briefly() -> None:
    names = [f"n{one}" for one in range(9)]

    assert [listed(names[:count]) for count in (1, 2, 4, 5)] == [
        "n0",
        "n0 and n1",
        "n0, n1, n2 and n3",
        "n0, n1, n2 and 2 more",
    ]
